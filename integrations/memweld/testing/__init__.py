"""What adapters, engines and applications are tested with: conformance suites, scripted models, a hash embedder.

Nothing here needs a key, a server or a download, and nothing here is used by memweld outside of tests and the demo.
The suites need pytest; the rest does not, so each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports

if TYPE_CHECKING:
    from .adapters import AdapterDriver, AdapterSuite, Mode, ToolReply, Turn
    from .backends import BackendSuite
    from .broken import BrokenMemory
    from .embedding import HashEmbedder
    from .llm import ScriptedExtractor, facts

__all__ = [
    "AdapterDriver",
    "AdapterSuite",
    "BackendSuite",
    "BrokenMemory",
    "HashEmbedder",
    "Mode",
    "ScriptedExtractor",
    "ToolReply",
    "Turn",
    "facts",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".adapters": ["AdapterDriver", "AdapterSuite", "Mode", "ToolReply", "Turn"],
        ".backends": ["BackendSuite"],
        ".broken": ["BrokenMemory"],
        ".embedding": ["HashEmbedder"],
        ".llm": ["ScriptedExtractor", "facts"],
    },
)

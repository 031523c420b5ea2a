"""Tools for testing adapters, engines and applications: conformance suites, scripted models, a hash embedder.

They need no key, no server and no download. memweld itself uses them only in tests and in the demo. Only the suites
need pytest, so each name is loaded at its first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports

if TYPE_CHECKING:
    from .adapters import AdapterDriver, AdapterSuite, Mode, ToolDriver, ToolReply, Turn
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
    "ToolDriver",
    "ToolReply",
    "Turn",
    "facts",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".adapters": ["AdapterDriver", "AdapterSuite", "Mode", "ToolDriver", "ToolReply", "Turn"],
        ".backends": ["BackendSuite"],
        ".broken": ["BrokenMemory"],
        ".embedding": ["HashEmbedder"],
        ".llm": ["ScriptedExtractor", "facts"],
    },
)

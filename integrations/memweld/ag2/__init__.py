"""memweld for AG2 (ag2 >= 1.2): one plugin with tools, recall and capture, and streams whose history is kept.

::

    from ag2 import Agent
    from memweld.ag2 import MemweldPlugin, session_stream

    agent = Agent("assistant", config=config, plugins=[MemweldPlugin(backend)])
    await agent.ask("I keep bees", variables={"user_id": "ana"})
    await agent.ask("And now?", stream=session_stream(ana, "session-1"), variables={"user_id": "ana"})

Each name loads its part when it is first used. For AG2 Classic (``import autogen``) see
`memweld.tools.memory_functions`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import missing_extra

if TYPE_CHECKING:
    from .capture import MemweldCapture
    from .plugin import MemweldPlugin
    from .recall import MemweldRecall
    from .storage import MemweldStorage, session_stream
    from .tools import MemweldTool, memory_tools

__all__ = [
    "MemweldCapture",
    "MemweldPlugin",
    "MemweldRecall",
    "MemweldStorage",
    "MemweldTool",
    "memory_tools",
    "session_stream",
]

try:
    importlib.import_module("ag2")
except ImportError as error:
    raise missing_extra("ag2", "ag2") from error

_MODULES = {
    "MemweldCapture": ".capture",
    "MemweldPlugin": ".plugin",
    "MemweldRecall": ".recall",
    "MemweldStorage": ".storage",
    "MemweldTool": ".tools",
    "memory_tools": ".tools",
    "session_stream": ".storage",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

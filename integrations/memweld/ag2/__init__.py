"""memweld for AG2 (ag2 >= 1.2): one plugin with tools, recall and capture, and streams whose history is kept.

::

    from ag2 import Agent
    from memweld.ag2 import MemweldPlugin, session_stream

    agent = Agent("assistant", config=config, plugins=[MemweldPlugin(backend)])
    await agent.ask("I keep bees", variables={"user_id": "ana"})
    await agent.ask("And now?", stream=session_stream(ana, "session-1"), variables={"user_id": "ana"})

Each name loads its module when it is first used. For AG2 Classic (``import autogen``) see
`memweld.tools.memory_functions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports

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

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".capture": ["MemweldCapture"],
        ".plugin": ["MemweldPlugin"],
        ".recall": ["MemweldRecall"],
        ".storage": ["MemweldStorage", "session_stream"],
        ".tools": ["MemweldTool", "memory_tools"],
    },
    extra="ag2",
    needs={"ag2": "ag2"},
)

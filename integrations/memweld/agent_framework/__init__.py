"""memweld for Microsoft Agent Framework: recall and capture, chat history, and memory tools.

::

    from agent_framework import Agent
    from memweld.agent_framework import MemweldContextProvider, MemweldHistoryProvider, memory_tools

    agent = Agent(
        client,
        tools=memory_tools(ana),
        context_providers=[MemweldHistoryProvider(ana), MemweldContextProvider(ana)],
    )
    await agent.run("I keep bees", session=agent.create_session(session_id="session-1"))

Each name loads its part when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..errors import missing_extra

if TYPE_CHECKING:
    from .context import MemweldContextProvider
    from .history import MemweldHistoryProvider
    from .tools import MemweldTool, memory_tools

__all__ = ["MemweldContextProvider", "MemweldHistoryProvider", "MemweldTool", "memory_tools"]

try:
    importlib.import_module("agent_framework")
except ImportError as error:
    raise missing_extra("agent-framework", "agent-framework-core") from error

_MODULES = {
    "MemweldContextProvider": ".context",
    "MemweldHistoryProvider": ".history",
    "MemweldTool": ".tools",
    "memory_tools": ".tools",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

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

Each name loads its module when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports

if TYPE_CHECKING:
    from .context import MemweldContextProvider
    from .history import MemweldHistoryProvider
    from .tools import MemweldTool, memory_tools

__all__ = ["MemweldContextProvider", "MemweldHistoryProvider", "MemweldTool", "memory_tools"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".context": ["MemweldContextProvider"],
        ".history": ["MemweldHistoryProvider"],
        ".tools": ["MemweldTool", "memory_tools"],
    },
    extra="agent-framework",
    needs={"agent_framework": "agent-framework-core"},
)

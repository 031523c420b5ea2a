"""LangChain and LangGraph: memory tools, automatic memory for agents, chat history, a retriever.

::

    from langchain.agents import create_agent
    from memweld.langchain import MemweldMiddleware, memory_tools

    agent = create_agent(model, tools=memory_tools(backend), middleware=[MemweldMiddleware(backend)])
    agent.invoke({"messages": […]}, context={"user_id": "ana"})

Each name loads the part of LangChain that it needs when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..lazy import lazy_exports

if TYPE_CHECKING:
    from .history import MemweldChatMessageHistory
    from .mcp_tools import mcp_tools
    from .middleware import MemweldMiddleware
    from .retriever import MemweldRetriever
    from .store import MemweldStore
    from .tools import memory_tools

__all__ = [
    "MemweldChatMessageHistory",
    "MemweldMiddleware",
    "MemweldRetriever",
    "MemweldStore",
    "mcp_tools",
    "memory_tools",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        ".history": ["MemweldChatMessageHistory"],
        ".mcp_tools": ["mcp_tools"],
        ".middleware": ["MemweldMiddleware"],
        ".retriever": ["MemweldRetriever"],
        ".store": ["MemweldStore"],
        ".tools": ["memory_tools"],
    },
    extra="langchain",
    needs={"langchain_core": "langchain", "langgraph.version": "langchain", "langchain": "langchain"},
)

# The first call would load these on the event loop: anyio 4 picks its backend when it is first asked.
for _package in ("anyio._backends._asyncio", "ulid"):
    importlib.import_module(_package)

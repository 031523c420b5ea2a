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
from typing import TYPE_CHECKING, Any

from ..errors import missing_extra

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

try:
    for _package in ("langchain_core", "langgraph.version", "langchain"):
        importlib.import_module(_package)
except ImportError as error:
    raise missing_extra("langchain", "langchain") from error

# What would otherwise be loaded by the first call, on the event loop: anyio 4 picks its backend when it is first asked.
for _package in ("anyio._backends._asyncio", "ulid"):
    importlib.import_module(_package)

_MODULES = {
    "MemweldChatMessageHistory": ".history",
    "MemweldMiddleware": ".middleware",
    "MemweldRetriever": ".retriever",
    "MemweldStore": ".store",
    "mcp_tools": ".mcp_tools",
    "memory_tools": ".tools",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_MODULES[name], __name__), name)
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in ("langchain_mcp_adapters", "mcp"):
            raise
        raise missing_extra("langchain", package) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

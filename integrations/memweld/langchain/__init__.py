"""LangChain and LangGraph: memory tools, automatic memory for agents, chat history.

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
    from .middleware import MemweldMiddleware
    from .tools import memory_tools

__all__ = ["MemweldChatMessageHistory", "MemweldMiddleware", "memory_tools"]

try:
    for _package in ("langchain_core", "langgraph.version", "langchain"):
        importlib.import_module(_package)
except ImportError as error:
    raise missing_extra("langchain", "langchain") from error

_MODULES = {
    "MemweldChatMessageHistory": ".history",
    "MemweldMiddleware": ".middleware",
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

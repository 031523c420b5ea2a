"""The tools that agents are given, defined once: name, description, arguments, and the text of the answer.

A tool is a function over a `Memory`: whose memory it is was decided before a model saw anything, and no argument can
change it. The MCP server registers these tools (adding ``user_id`` and ``agent_id`` where its contract has them); the
adapters wrap the same functions in their framework's idiom, and `memory_functions` makes plain functions of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_exports
from .answers import as_utc, item_data
from .registry import DEFAULT_TOOLSETS, TOOLS, TOOLSETS, select_tools
from .run import Answer, MemoryTool, Toolset, arguments_error

if TYPE_CHECKING:
    from ..adapters.functions import memory_functions

__all__ = [
    "DEFAULT_TOOLSETS",
    "TOOLS",
    "TOOLSETS",
    "Answer",
    "MemoryTool",
    "Toolset",
    "arguments_error",
    "as_utc",
    "item_data",
    "memory_functions",
    "select_tools",
]

# Plain functions find the user of a call, which is the business of the adapters above this package.
__getattr__, __dir__ = lazy_exports(__name__, {"..adapters.functions": ["memory_functions"]})

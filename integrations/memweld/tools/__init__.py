"""The tools that agents are given, defined once: name, description, arguments, and the text of the answer.

A tool is a function over a `Memory`: whose memory it is was decided before a model saw anything, and no argument can
change it. The MCP server registers these tools (adding ``user_id`` and ``agent_id`` where its contract has them); the
adapters wrap the same functions in their framework's idiom, and `memory_functions` makes plain functions of them.
"""

from __future__ import annotations

from .answers import as_utc, item_data
from .arguments import arguments_error
from .call import ToolOutcome, run_tool, run_tool_async
from .functions import memory_functions
from .registry import DEFAULT_TOOLSETS, TOOLS, TOOLSETS, select_tools
from .run import Answer, MemoryTool, Toolset

__all__ = [
    "DEFAULT_TOOLSETS",
    "TOOLS",
    "TOOLSETS",
    "Answer",
    "MemoryTool",
    "ToolOutcome",
    "Toolset",
    "arguments_error",
    "as_utc",
    "item_data",
    "memory_functions",
    "run_tool",
    "run_tool_async",
    "select_tools",
]

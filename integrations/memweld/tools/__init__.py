"""The tools that agents are given, defined once: name, description, arguments, and the text of the answer.

A tool is a function over a `Memory`: whose memory it is was decided before a model saw anything, and no argument can
change it. The MCP server registers these tools (adding ``user_id`` and ``agent_id`` where its contract has them); the
adapters wrap the same functions in their framework's idiom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import invalid
from .answers import as_utc, item_data
from .history import HISTORY_TOOLS
from .memories import MEMORY_TOOLS
from .preferences import PREFERENCES_TOOLS, SetPreference
from .state import STATE_TOOLS, SetState
from .tasks import TASKS_TOOLS
from .tool import Answer, MemoryTool, Toolset, arguments_error

__all__ = [
    "DEFAULT_TOOLSETS",
    "TOOLS",
    "TOOLSETS",
    "Answer",
    "MemoryTool",
    "SetPreference",
    "SetState",
    "Toolset",
    "arguments_error",
    "as_utc",
    "item_data",
    "select_tools",
]

TOOLSETS: tuple[Toolset, ...] = ("memory", "preferences", "tasks", "state", "history")
"""The sets by which tools are chosen."""

DEFAULT_TOOLSETS: tuple[Toolset, ...] = ("memory", "preferences", "tasks")
"""What is offered where nothing is chosen: each further schema costs a model tokens."""

TOOLS: Mapping[str, MemoryTool] = {
    tool.name: tool for tool in (*MEMORY_TOOLS, *PREFERENCES_TOOLS, *TASKS_TOOLS, *STATE_TOOLS, *HISTORY_TOOLS)
}
"""All tools, by name."""


def select_tools(chosen: Sequence[str] | None = None) -> list[MemoryTool]:
    """The tools of some toolsets or names; those of the `DEFAULT_TOOLSETS` if ``chosen`` is None.

    Raises:
        InvalidInputError: A word is neither a toolset nor a tool.
    """
    if chosen is None:
        chosen = DEFAULT_TOOLSETS
    for word in chosen:
        if word not in TOOLSETS and word not in TOOLS:
            known = ", ".join((*TOOLSETS, *TOOLS))
            raise invalid("tools", word, "it names no toolset and no tool", f"Choose among {known}.")
    return [tool for tool in TOOLS.values() if tool.toolset in chosen or tool.name in chosen]

"""All tools by name, and how some of them are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import invalid
from .history import HISTORY_TOOLS
from .memory import MEMORY_TOOLS
from .preferences import PREFERENCES_TOOLS
from .run import MemoryTool, Toolset
from .state import STATE_TOOLS
from .tasks import TASKS_TOOLS

__all__ = ["DEFAULT_TOOLSETS", "TOOLS", "TOOLSETS", "select_tools"]

TOOLSETS: tuple[Toolset, ...] = ("memory", "preferences", "tasks", "state", "history")
"""The sets by which tools are chosen."""

DEFAULT_TOOLSETS: tuple[Toolset, ...] = ("memory", "preferences", "tasks")
"""The default tools: each further schema costs a model tokens."""

TOOLS: Mapping[str, MemoryTool] = {
    tool.name: tool for tool in (*MEMORY_TOOLS, *PREFERENCES_TOOLS, *TASKS_TOOLS, *STATE_TOOLS, *HISTORY_TOOLS)
}
"""All tools, by name."""


def select_tools(chosen: Sequence[str] | None = None) -> list[MemoryTool]:
    """The tools of some toolsets or names; those of the `DEFAULT_TOOLSETS` if ``chosen`` is None.

    Raises:
        InvalidInputError: A word is neither a toolset nor a tool, or ``chosen`` is a word itself.
    """
    if chosen is None:
        chosen = DEFAULT_TOOLSETS
    if isinstance(chosen, str):
        raise invalid("tools", chosen, "it is one word and not a list of them", f"Pass [{chosen!r}].")
    for word in chosen:
        if word not in TOOLSETS and word not in TOOLS:
            known = ", ".join((*TOOLSETS, *TOOLS))
            raise invalid("tools", word, "it names no toolset and no tool", f"Choose among {known}.")
    return [tool for tool in TOOLS.values() if tool.toolset in chosen or tool.name in chosen]

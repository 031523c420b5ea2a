"""The memory tools as AG2 tools. The user comes from the turn's variables, which no model sees."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

from ag2 import ToolResult, tool
from ag2.annotations import Context
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResultEvent
from ag2.tools.final import FunctionTool
from typing_extensions import Self

from ..adapters.binding import MemorySource, validate_source
from ..tools import MemoryTool, run_tool_async, select_tools
from .binding import USER_VARIABLE, memory_of_turn

__all__ = ["MemweldTool", "memory_tools"]


def memory_tools(
    memory: MemorySource, tools: Sequence[str] | None = None, *, user_variable: str | None = USER_VARIABLE
) -> list[MemweldTool]:
    """The memory tools for ``Agent(tools=…)``.

    Args:
        memory: A memory; or a backend, then each turn names its user.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.

    Raises:
        InvalidInputError: ``memory`` is neither, or a word in ``tools`` is neither a toolset nor a tool.
    """
    source = validate_source(memory)
    return [MemweldTool(source, each, user_variable) for each in select_tools(tools)]


class MemweldTool(FunctionTool):
    """One memory tool. `memory_tools` makes them.

    A model reads an error as one line; AG2 (1.2) by itself would show it a traceback.
    """

    def __init__(self, source: MemorySource, memory_tool: MemoryTool, user_variable: str | None) -> None:
        schema = cast("Any", memory_tool.parameters)
        name, description = memory_tool.name, memory_tool.description
        # AG2 wants the model of a function; `__call__` runs the tool instead.
        model = tool(lambda: None, name=name, description=description, schema=schema).model
        super().__init__(model, name=name, description=description, schema=schema)
        self._source = source
        self._tool = memory_tool
        self._variable = user_variable

    @property
    def source(self) -> str:
        """The implementation behind this tool."""
        return f"function:memweld.tools:{self.name}:{self.name}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Agents copy their tools; the copies share the memory, which is a handle."""
        return copy.copy(self)

    async def __call__(self, event: ToolCallEvent, context: Context) -> ToolResultEvent:
        """Run the tool in a thread."""
        outcome = await run_tool_async(
            self._tool, lambda: memory_of_turn(self._source, context, self._variable), _arguments(event)
        )
        if outcome.error is None:
            return ToolResultEvent.from_call(event, result=outcome.text)
        result = ToolResult(outcome.text)
        return ToolErrorEvent(parent_id=event.id, name=event.name, error=outcome.error, result=result)


def _arguments(event: ToolCallEvent) -> object:
    """The arguments; None where they are no JSON, which the tool explains to the model."""
    try:
        return event.serialized_arguments
    except (ValueError, RecursionError):
        return None

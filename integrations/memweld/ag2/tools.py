"""The memory tools as AG2 tools. The user comes from the turn's variables, which no model sees."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import anyio.to_thread
from ag2 import ToolResult, tool
from ag2.annotations import Context
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResultEvent
from ag2.tools.final import FunctionTool
from typing_extensions import Self

from ..adapters.binding import MemorySource, validate_source
from ..errors import InvalidInputError, MemweldError
from ..tools import MemoryTool, select_tools
from .binding import USER_VARIABLE, memory_of_turn

__all__ = ["MemweldTool", "memory_tools"]


def memory_tools(
    memory: MemorySource, tools: Sequence[str] | None = None, *, user_variable: str | None = USER_VARIABLE
) -> list[MemweldTool]:
    """The memory tools for ``Agent(tools=…)``.

    Args:
        memory: A memory; or a backend, then each call is for the user whom the turn names.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.

    Raises:
        InvalidInputError: ``memory`` is neither, or a word in ``tools`` is neither a toolset nor a tool.
    """
    source = validate_source(memory)
    return [MemweldTool(source, each, user_variable) for each in select_tools(tools)]


class MemweldTool(FunctionTool):
    """One memory tool. `memory_tools` makes them.

    What goes wrong comes back to the model as an error in one line; AG2 (1.2) would show it a traceback.
    """

    def __init__(self, source: MemorySource, memory_tool: MemoryTool, user_variable: str | None) -> None:
        made = tool(
            functools.partial(_unused),
            name=memory_tool.name,
            description=memory_tool.description,
            schema=cast("Any", memory_tool.arguments.model_json_schema()),
        )
        super().__init__(
            made.model,
            name=memory_tool.name,
            description=memory_tool.description,
            schema=made.schema.function.parameters,
        )
        self._source = source
        self._tool = memory_tool
        self._variable = user_variable

    @property
    def source(self) -> str:
        """The implementation behind this tool."""
        return f"function:memweld.tools:{self.name}:{self.name}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Agents copy their tools; a memory is a handle and is shared by the copies."""
        return copy.copy(self)

    async def __call__(self, event: ToolCallEvent, context: Context) -> ToolResultEvent:
        """Run the tool in a thread."""
        try:
            memory = memory_of_turn(self._source, context, self._variable)
            answer = await anyio.to_thread.run_sync(self._tool, memory, _arguments(event))
        except MemweldError as error:
            return _failed(event, error)
        except Exception as error:  # noqa: BLE001 - a stranger's words are not for a model to read
            return _failed(event, MemweldError(f"Internal error in {self.name}: {type(error).__name__}"))
        return ToolResultEvent.from_call(event, result=answer.text)


def _unused() -> None:
    """AG2 wants a function; `MemweldTool.__call__` runs the tool itself."""


def _arguments(event: ToolCallEvent) -> Mapping[str, Any]:
    try:
        arguments = cast("object", event.serialized_arguments)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"Invalid arguments for {event.name}: they are no JSON object") from error
    if not isinstance(arguments, Mapping):
        raise InvalidInputError(f"Invalid arguments for {event.name}: they are no JSON object")
    return cast("Mapping[str, Any]", arguments)


def _failed(event: ToolCallEvent, error: MemweldError) -> ToolErrorEvent:
    return ToolErrorEvent(parent_id=event.id, name=event.name, error=error, result=ToolResult(str(error)))

"""The memory tools as CrewAI tools: one class over the shared definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crewai.tools import BaseTool, ToolFailure, ToolFailureReason
from pydantic import PrivateAttr, field_serializer

from ..adapters.saved_config import SavedMemory
from ..errors import BackendUnavailableError, InvalidInputError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..models import JSON
from ..tools import TOOLS, MemoryTool, ToolOutcome, run_tool, run_tool_async, select_tools
from .binding import MemoryBinding

__all__ = ["MemweldTool", "memory_tools", "never_cache"]


def never_cache(_arguments: Any = None, _result: Any = None) -> bool:
    """No result is cached: CrewAI's cache knows no users, so one user would be answered with another's memories."""
    return False


class MemweldTool(BaseTool):
    """One memory tool. `memory_tools` makes them."""

    source: SavedMemory

    # Live objects stay in private attributes: a public field would be written into CrewAI's checkpoints.
    _binding: MemoryBinding = PrivateAttr()

    @classmethod
    def over(cls, tool: MemoryTool, binding: MemoryBinding) -> MemweldTool:
        """The CrewAI tool for a memory tool."""
        # The cache function is module-level because a checkpoint keeps it by its name.
        made = cls(
            name=tool.name,
            description=tool.description,
            args_schema=tool.arguments,
            cache_function=never_cache,
            source=binding.saved,
        )
        made._binding = binding
        return made

    @field_serializer("source")
    def _dump_source(self, _source: SavedMemory) -> dict[str, JSON]:
        return self._binding.saved.model_dump(exclude_none=True)

    def model_post_init(self, context: Any, /) -> None:
        """Find the memory again after a checkpoint."""
        super().model_post_init(context)
        self._binding = MemoryBinding(self.source)
        if self.name in TOOLS:
            # A checkpoint keeps the schema alone, and CrewAI makes a stricter model of it.
            self.args_schema = TOOLS[self.name].arguments

    def _validate_kwargs(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        # The memory tool checks its arguments itself, unknown ones included, and says what is wrong in one line.
        return kwargs

    def _run(self, /, **arguments: Any) -> str | ToolFailure:
        return _result(run_tool(TOOLS[self.name], self._binding.resolve, arguments))

    async def _arun(self, /, **arguments: Any) -> str | ToolFailure:
        return _result(await run_tool_async(TOOLS[self.name], self._binding.resolve, arguments))


def _result(outcome: ToolOutcome) -> str | ToolFailure:
    if outcome.error is None:
        return outcome.text
    refused = isinstance(outcome.error, InvalidInputError)
    return ToolFailure(
        message=outcome.text,
        reason=ToolFailureReason.INVALID_INPUT if refused else ToolFailureReason.TOOL_REPORTED,
        code=type(outcome.error).__name__,
        retryable=isinstance(outcome.error, BackendUnavailableError),
    )


def memory_tools(memory: Memory | Backend, tools: Sequence[str] | None = None) -> list[BaseTool]:
    """Make the memory tools for a CrewAI agent or task.

    A failure in a tool comes back as CrewAI's `ToolFailure`: the model reads the message, the task's output lists it
    under ``tool_failures``.

    Args:
        memory: One user's memory; or a backend, then the user is the one that ``memweld.user_scope`` names around the
            kickoff, and without one every tool refuses.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if not given.

    Raises:
        InvalidInputError: A word names no tool, or ``memory`` is neither.
    """
    binding = MemoryBinding(memory)
    return [MemweldTool.over(tool, binding) for tool in select_tools(tools)]

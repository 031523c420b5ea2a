"""The memory tools as CrewAI tools: one class over the shared definitions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from crewai.tools import BaseTool, ToolFailure, ToolFailureReason
from pydantic import BaseModel, Field, JsonValue, PrivateAttr, WithJsonSchema, field_serializer

from ..adapters.saved_config import SavedMemory
from ..errors import BackendUnavailableError, ConfigurationError, InvalidInputError, MemweldError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..models import JSON
from ..tools import TOOLS, MemoryTool, SetPreference, SetState, select_tools
from .binding import Whose

__all__ = ["MemweldTool", "memory_tools", "never_cache"]

_log = logging.getLogger("memweld.crewai")


def never_cache(_arguments: Any = None, _result: Any = None) -> bool:
    """No result is cached: CrewAI's cache knows no users, so one user would be answered with another's memories."""
    return False


# CrewAI marks every schema as strict, and OpenAI refuses a request with a strict schema that leaves a type open. Only
# what is shown is narrower: any JSON value is taken.
_ShownValue: TypeAlias = Annotated[
    JsonValue,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]


class _SetPreference(SetPreference):
    value: _ShownValue = Field(description="What is preferred: text, number, true or false, or a list of texts.")


class _SetState(SetState):
    value: _ShownValue = Field(description="What to keep: text, number, true or false, or a list of texts.")


_SHOWN: dict[str, type[BaseModel]] = {"set_preference": _SetPreference, "set_state": _SetState}


class MemweldTool(BaseTool):
    """One memory tool. `memory_tools` makes them."""

    source: SavedMemory | None = None

    # Live objects stay in private attributes: a public field would be written into CrewAI's checkpoints.
    _tool: MemoryTool | None = PrivateAttr(default=None)
    _whose: Whose | None = PrivateAttr(default=None)

    @classmethod
    def over(cls, tool: MemoryTool, whose: Whose) -> MemweldTool:
        """The CrewAI tool for a memory tool."""
        # The cache function is module-level because a checkpoint keeps it by its name.
        made = cls(
            name=tool.name,
            description=tool.description,
            args_schema=_SHOWN.get(tool.name, tool.arguments),
            cache_function=never_cache,
        )
        made._tool = tool
        made._whose = whose
        return made

    @field_serializer("source")
    def _dump_source(self, _source: SavedMemory | None) -> dict[str, JSON] | None:
        return None if self._whose is None else self._whose.reference().model_dump(exclude_none=True)

    def model_post_init(self, context: Any, /) -> None:
        """Find the memory again after a checkpoint."""
        super().model_post_init(context)
        if self.source is not None:
            self._tool, self._whose = TOOLS.get(self.name), Whose.referred(self.source)

    def _validate_kwargs(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        # The memory tool checks its arguments itself, unknown ones included, and says what is wrong in one line.
        return kwargs

    def _run(self, **arguments: Any) -> str | ToolFailure:
        try:
            if self._tool is None or self._whose is None:
                raise ConfigurationError(
                    f"The tool {self.name} came out of a checkpoint without its memory; "
                    "give the agent fresh ones: tools=memory_tools(memory)."
                )
            return self._tool(self._whose.memory(), arguments).text
        except MemweldError as error:
            return _failure(error)
        except Exception as error:  # noqa: BLE001 - a tool's failure must not end the crew
            # A stranger's text may hold what no model should read: it sees the type, the log has the rest.
            _log.exception("The tool %s failed", self.name)
            name = type(error).__name__
            return ToolFailure(message=f"The memory failed with {name}", code=name)

    async def _arun(self, **arguments: Any) -> str | ToolFailure:
        return await asyncio.to_thread(self._run, **arguments)


def _failure(error: MemweldError) -> ToolFailure:
    refused = isinstance(error, InvalidInputError)
    return ToolFailure(
        message=str(error),
        reason=ToolFailureReason.INVALID_INPUT if refused else ToolFailureReason.TOOL_REPORTED,
        code=type(error).__name__,
        retryable=isinstance(error, BackendUnavailableError),
    )


def memory_tools(memory: Memory | Backend, tools: Sequence[str] | None = None) -> list[BaseTool]:
    """Make the memory tools for a CrewAI agent or task.

    What goes wrong in a tool comes back as CrewAI's `ToolFailure`: the model reads the message, the task's output lists
    it under ``tool_failures``.

    Args:
        memory: One user's memory; or a backend, then the user is the one that ``memweld.user_scope`` names around the
            kickoff, and without one every tool refuses.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if not given.

    Raises:
        InvalidInputError: A word names no tool, or ``memory`` is neither.
    """
    whose = Whose(memory)
    return [MemweldTool.over(tool, whose) for tool in select_tools(tools)]

"""The memory tools as Agent Framework tools. The user comes from the session, which no model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent_framework import Content, FunctionInvocationContext, FunctionTool
from pydantic import BaseModel, ConfigDict

from ..adapters.binding import MemorySource, validate_source
from ..tools import MemoryTool, run_tool_async, select_tools
from .binding import USER_KEY, memory_of_session

__all__ = ["MemweldTool", "memory_tools"]


def memory_tools(
    memory: MemorySource, tools: Sequence[str] | None = None, *, user_key: str | None = USER_KEY
) -> list[MemweldTool]:
    """The memory tools for ``Agent(client, tools=…)``.

    Args:
        memory: A memory; or a backend, then the session's state or `memweld.user_scope` names the user of each call.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.
        user_key: The key of ``session.state`` that names the user of a backend; None for `memweld.user_scope` alone.

    Raises:
        InvalidInputError: ``memory`` is neither, or a word in ``tools`` is neither a toolset nor a tool.
    """
    source = validate_source(memory)
    return [MemweldTool(source, tool, user_key) for tool in select_tools(tools)]


class _Arguments(BaseModel):
    """Any arguments: the tool itself checks them and explains what is wrong."""

    model_config = ConfigDict(extra="allow")


class MemweldTool(FunctionTool):
    """One memory tool. `memory_tools` makes them.

    An error is answered as ``Error: …``, because Agent Framework (1.23) tells a model nothing of an exception but that
    there was one. For programs the item of the answer names the class in ``additional_properties["error"]``.
    """

    def __init__(self, source: MemorySource, memory_tool: MemoryTool, user_key: str | None) -> None:
        super().__init__(
            name=memory_tool.name, description=memory_tool.description, func=self._run, input_model=_Arguments
        )
        self._source = source
        self._tool = memory_tool
        self._key = user_key

    def parameters(self) -> dict[str, Any]:
        """The JSON schema that a model is shown."""
        return self._tool.parameters

    async def _run(self, _invocation: FunctionInvocationContext, **arguments: Any) -> list[Content]:
        outcome = await run_tool_async(
            self._tool, lambda: memory_of_session(self._source, _invocation.session, self._key), arguments
        )
        properties = {"error": type(outcome.error).__name__} if outcome.is_error else None
        return [Content.from_text(outcome.marked, additional_properties=properties)]

"""The memory tools as Agent Framework tools. The user comes from the session, which no model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio.to_thread
from agent_framework import Content, FunctionInvocationContext, FunctionTool
from pydantic import BaseModel, ConfigDict

from ..adapters.binding import MemorySource, validate_source
from ..errors import MemweldError
from ..tools import MemoryTool, select_tools
from .binding import USER_KEY, memory_of_session

__all__ = ["MemweldTool", "memory_tools"]


def memory_tools(
    memory: MemorySource, tools: Sequence[str] | None = None, *, user_key: str | None = USER_KEY
) -> list[MemweldTool]:
    """The memory tools for ``Agent(client, tools=…)``.

    Args:
        memory: A memory; or a backend, then each call is for the user whom the session's state or
            `memweld.user_scope` names.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.
        user_key: The key of ``session.state`` that names the user of a backend; None for `memweld.user_scope` alone.

    Raises:
        InvalidInputError: ``memory`` is neither, or a word in ``tools`` is neither a toolset nor a tool.
    """
    source = validate_source(memory)
    return [MemweldTool(source, each, user_key) for each in select_tools(tools)]


class _Arguments(BaseModel):
    """Whatever a model passes: the tool itself says what is wrong with it, the framework would only say that."""

    model_config = ConfigDict(extra="allow")


class MemweldTool(FunctionTool):
    """One memory tool. `memory_tools` makes them.

    What goes wrong is answered as ``Error: …``. Agent Framework (1.23) shows a model nothing of an exception but that
    there was one. For programs the answer's item has the name of the error in ``additional_properties["error"]``.
    """

    def __init__(self, source: MemorySource, memory_tool: MemoryTool, user_key: str | None) -> None:
        super().__init__(
            name=memory_tool.name,
            description=memory_tool.description,
            func=self._run,
            input_model=_Arguments,
        )
        self._source = source
        self._tool = memory_tool
        self._key = user_key

    def parameters(self) -> dict[str, Any]:
        """The JSON schema that a model is shown."""
        return self._tool.arguments.model_json_schema()

    async def _run(self, _invocation: FunctionInvocationContext, **arguments: Any) -> list[Content]:
        try:
            memory = memory_of_session(self._source, _invocation.session, self._key)
            answer = await anyio.to_thread.run_sync(self._tool, memory, arguments)
        except MemweldError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001 - a stranger's words are not for a model to read
            return _failed(MemweldError(f"Internal error in {self.name}: {type(error).__name__}"))
        return [Content.from_text(answer.text)]


def _failed(error: MemweldError) -> list[Content]:
    return [Content.from_text(f"Error: {error}", additional_properties={"error": type(error).__name__})]

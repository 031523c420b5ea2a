"""The agent tools as LangChain tools."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ArgsSchema, BaseTool, ToolException
from pydantic import PrivateAttr

from ..adapters.binding import MemorySource, validate_source
from ..memory.memory import Memory
from ..models import JSON
from ..tools import MemoryTool, ToolOutcome, run_tool, run_tool_async, select_tools
from .binding import memory_of_run

__all__ = ["MemweldTool", "memory_tools"]


def memory_tools(memory: MemorySource, tools: Sequence[str] | None = None) -> list[BaseTool]:
    """The memory tools for an agent: ``create_agent(model, tools=memory_tools(ana))``.

    A tool message has the answer's text as content and its data as artifact. What goes wrong with the memory or with
    the arguments comes back to the model as a tool message with status ``error``.

    Args:
        memory: A memory; or a backend, then each call is for the user that the run names: the authenticated user,
            the runtime context, ``configurable`` or `memweld.user_scope`.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.

    Raises:
        InvalidInputError: ``memory`` is neither, or a word in ``tools`` is neither a toolset nor a tool.
    """
    source = validate_source(memory)
    return [MemweldTool(source, tool) for tool in select_tools(tools)]


class MemweldTool(BaseTool):
    """One memory tool. `memory_tools` makes them."""

    _source: MemorySource = PrivateAttr()
    _tool: MemoryTool = PrivateAttr()

    def __init__(self, source: MemorySource, tool: MemoryTool, **fields: Any) -> None:
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=tool.arguments,
            response_format="content_and_artifact",
            handle_tool_error=True,
            **fields,
        )
        self._source = source
        self._tool = tool

    @property
    def tool_call_schema(self) -> ArgsSchema:
        """The JSON schema for models, as every framework has it."""
        return {**self._tool.parameters, "description": self.description}

    def _parse_input(self, tool_input: str | dict[str, Any], tool_call_id: str | None) -> str | dict[str, Any]:  # noqa: ARG002
        # The memory tool checks its arguments itself, and says in one line what is wrong with them.
        return tool_input

    # The user is read from the config, which LangChain passes itself, and not from a hidden `runtime` argument: that
    # one is a field of the schema, and outside of LangGraph's ToolNode a model's own value for it would be believed.
    def _run(self, /, *args: Any, config: RunnableConfig, **kwargs: Any) -> tuple[str, dict[str, JSON]]:
        return _answer(run_tool(self._tool, self._resolver(config), self._arguments(args, kwargs)))

    async def _arun(self, /, *args: Any, config: RunnableConfig, **kwargs: Any) -> tuple[str, dict[str, JSON]]:
        return _answer(await run_tool_async(self._tool, self._resolver(config), self._arguments(args, kwargs)))

    def _resolver(self, config: RunnableConfig) -> Callable[[], Memory]:
        return functools.partial(memory_of_run, self._source, config=config)

    def _arguments(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        # Text instead of arguments, tool.invoke("bees"), is the first argument.
        return {**dict(zip(self._tool.arguments.model_fields, args, strict=False)), **kwargs}


def _answer(outcome: ToolOutcome) -> tuple[str, dict[str, JSON]]:
    if outcome.error is not None:
        raise ToolException(outcome.text) from outcome.error
    return outcome.text, outcome.data

"""The memory tools as AutoGen tools: one class over every `memweld.tools.MemoryTool`, in a list or in a workbench."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from autogen_core import CancellationToken, Component
from autogen_core.tools import BaseTool, StaticWorkbench
from pydantic import BaseModel
from typing_extensions import Self

from ..adapters.binding import resolve_memory, validate_source
from ..adapters.saved_config import SavedMemory
from ..errors import MemweldError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..models import JSON
from ..tools import MemoryTool, run_tool_async, select_tools
from .memory import cancellable

__all__ = ["MemweldTool", "MemweldToolAnswer", "memory_tools", "memory_workbench"]


class MemweldToolConfig(SavedMemory):
    """The config of a tool: whose memory, and which tool."""

    tool: str


class MemweldToolAnswer(BaseModel):
    """The answer of a memory tool.

    Attributes:
        text: What the model reads.
        data: The same as JSON, for your own code.
    """

    text: str
    data: dict[str, JSON]


class MemweldTool(BaseTool[BaseModel, MemweldToolAnswer], Component[MemweldToolConfig]):
    """A memory tool for AutoGen agents. Its memory is no argument, so no model can choose another user's."""

    component_config_schema = MemweldToolConfig
    component_provider_override = "memweld.autogen.MemweldTool"

    def __init__(self, memory: Memory | Backend, tool: MemoryTool) -> None:
        super().__init__(tool.arguments, MemweldToolAnswer, tool.name, tool.description)
        self._source = validate_source(memory)
        self._tool = tool

    async def run(self, args: BaseModel, cancellation_token: CancellationToken) -> MemweldToolAnswer:
        """Run the tool in a thread.

        Raises:
            MemweldError: What the memory raises; an `AssistantAgent` shows its text to the model as the tool's error.
            asyncio.CancelledError: The token was cancelled. The thread finishes a write that it has begun.
        """
        return await self._run(args.model_dump(exclude_unset=True), cancellation_token)

    async def _run(self, arguments: Mapping[str, Any], token: CancellationToken) -> MemweldToolAnswer:
        call = run_tool_async(self._tool, functools.partial(resolve_memory, self._source), arguments)
        outcome = await cancellable(call, token)
        if outcome.error is not None:
            raise outcome.error
        return MemweldToolAnswer(text=outcome.text, data=outcome.data)

    async def run_json(
        self, args: Mapping[str, Any], cancellation_token: CancellationToken, call_id: str | None = None
    ) -> Any:
        """Check the arguments, then run.

        Raises:
            InvalidInputError: An argument is missing, unknown or breaks a rule; one line that a model can act on.
            MemweldError: What the memory raises, or the token was cancelled.
        """
        checked = self._tool.validate(args)
        try:
            return await super().run_json(checked.model_dump(exclude_unset=True), cancellation_token, call_id=call_id)
        except asyncio.CancelledError:
            # AssistantAgent of autogen-agentchat 0.7.5 waits for ever on a tool call that its token cancelled; on an
            # ordinary error it goes on, and its next model call ends the run.
            if cancellation_token.is_cancelled():
                raise MemweldError(f"The call of {self.name} was cancelled.") from None
            raise

    def return_value_as_string(self, value: Any) -> str:
        """The text that the model reads."""
        return value.text if isinstance(value, MemweldToolAnswer) else super().return_value_as_string(value)

    def _to_config(self) -> MemweldToolConfig:
        return MemweldToolConfig.of(self._source, in_process=False, tool=self.name)

    @classmethod
    def _from_config(cls, config: MemweldToolConfig) -> Self:
        return cls(config.load(), select_tools([config.tool])[0])


def memory_tools(memory: Memory | Backend, tools: Sequence[str] | None = None) -> list[BaseTool[Any, Any]]:
    """The memory tools for ``AssistantAgent(tools=…)``.

    Args:
        memory: The memory of a user. Or a backend: each call then works for the user of `memweld.user_scope`.
        tools: Toolsets or names of tools (see `memweld.tools`); memory, preferences and tasks if None.

    Raises:
        InvalidInputError: A name is neither.
    """
    return [MemweldTool(memory, tool) for tool in select_tools(tools)]


def memory_workbench(memory: Memory | Backend, tools: Sequence[str] | None = None) -> StaticWorkbench:
    """The same tools for ``AssistantAgent(workbench=…)``; an agent takes tools or workbenches, not both.

    Args:
        memory: As in `memory_tools`.
        tools: As in `memory_tools`.
    """
    return StaticWorkbench(memory_tools(memory, tools))

"""A scripted model client for AutoGen: it says what it is told to, and keeps what it was shown."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from autogen_core import Component, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelFamily,
    ModelInfo,
    RequestUsage,
    SystemMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel
from typing_extensions import Self, override

from ..errors import ConfigurationError
from ..memory.messages import new_id
from .script import Script, ScriptedModel, split_words

__all__ = ["ModelCall", "Response", "ScriptedChatCompletionClient", "tool_call"]

Answer: TypeAlias = "str | FunctionCall | Sequence[FunctionCall] | CreateResult"

Response: TypeAlias = "Answer | BaseException"
"""An answer of the model: text, one tool call or several at once, AutoGen's own result, or an error that it raises."""


def tool_call(name: str, arguments: Mapping[str, Any] | None = None) -> FunctionCall:
    """A call of a tool, for a script."""
    return FunctionCall(id=new_id(), name=name, arguments=json.dumps(dict(arguments or {})))


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the model saw it.

    Attributes:
        messages: The messages, the system messages first if there are any.
        tools: The schemas of the tools.
    """

    messages: list[LLMMessage]
    tools: list[ToolSchema]

    @property
    def text(self) -> str:
        """All text of the messages."""
        return "\n".join(_text(message) for message in self.messages)


class ScriptConfig(BaseModel):
    """The config of a `ScriptedChatCompletionClient`: its whole script, as text."""

    responses: list[str]


class ScriptedChatCompletionClient(ScriptedModel[ModelCall], ChatCompletionClient, Component[ScriptConfig]):
    """A model for AutoGen's agents that needs no key, no server and no download. Streams word by word.

    Args:
        responses: What to answer, one after the other; or a function from a `ModelCall` to the answer. Only a script
            of texts can be dumped as a component.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """

    component_type = "model"
    component_config_schema = ScriptConfig
    component_provider_override = "memweld.testing.autogen.ScriptedChatCompletionClient"

    def __init__(self, responses: Iterable[Response] | Callable[[ModelCall], Response] = ()) -> None:
        self._script = Script[ModelCall, Answer](responses, lambda call: _text(call.messages[-1]))

    @override
    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        **_: Any,
    ) -> CreateResult:
        """The next answer of the script."""
        # Copies: what a run does to its messages afterwards does not change what was seen.
        shown = [message.model_copy(deep=True) for message in messages]
        call = ModelCall(shown, [tool.schema if isinstance(tool, Tool) else tool for tool in tools])
        return _result(self._script.answer(call))

    @override
    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        **_: Any,
    ) -> AsyncGenerator[str | CreateResult, None]:
        """The next answer of the script, word by word, then as a whole."""
        result = await self.create(messages, tools=tools)
        if isinstance(result.content, str):
            for word in split_words(result.content):
                yield word
        yield result

    async def close(self) -> None:
        """Nothing is open."""

    def actual_usage(self) -> RequestUsage:
        """Nothing is counted."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        """Nothing is counted."""
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    @override
    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """The words of the messages."""
        return sum(len(_text(message).split()) for message in messages)

    @override
    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        """Of ten thousand."""
        return 10_000 - self.count_tokens(messages)

    @property
    def capabilities(self) -> ModelInfo:  # pyright: ignore[reportIncompatibleMethodOverride] - its type is deprecated
        """The same as `model_info`."""
        return self.model_info

    @property
    def model_info(self) -> ModelInfo:
        """It can do everything."""
        return ModelInfo(
            vision=True, function_calling=True, json_output=True, family=ModelFamily.UNKNOWN, structured_output=True
        )

    def _to_config(self) -> ScriptConfig:
        responses = self._script.responses
        texts = [response for response in responses or () if isinstance(response, str)]
        if responses is None or len(texts) < len(responses):
            raise ConfigurationError("Only a script of texts can be dumped as a component.")
        return ScriptConfig(responses=texts)

    @classmethod
    def _from_config(cls, config: ScriptConfig) -> Self:
        return cls(config.responses)


def _result(response: Answer) -> CreateResult:
    if isinstance(response, CreateResult):
        return response
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    if isinstance(response, str):
        return CreateResult(finish_reason="stop", content=response, usage=usage, cached=False)
    calls = [response] if isinstance(response, FunctionCall) else list(response)
    return CreateResult(finish_reason="function_calls", content=calls, usage=usage, cached=False)


def _text(message: LLMMessage) -> str:
    if isinstance(message, (SystemMessage, FunctionExecutionResultMessage)) or isinstance(message.content, str):
        content = message.content
    else:
        content = [part for part in message.content if isinstance(part, (str, FunctionCall))]
    if isinstance(content, str):
        return content
    return "\n".join(part if isinstance(part, str) else str(part) for part in content)

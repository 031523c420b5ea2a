"""A scripted model for AG2: it says what it is told to, and keeps what it was shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ag2.config import LLMClient, ModelConfig, ModelProvider
from ag2.context import ConversationContext
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelMessageChunk,
    ModelRequest,
    ModelResponse,
    TextInput,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResultsEvent,
)
from ag2.tools.schemas import ToolSchema
from typing_extensions import Self

from .script import Script, ScriptedModel, split_words

__all__ = ["ModelCall", "Response", "ScriptedConfig", "tool_call"]

Answer: TypeAlias = "str | ToolCallEvent | Sequence[ToolCallEvent] | ModelResponse"

Response: TypeAlias = "Answer | BaseException"
"""An answer of the model: text, one tool call or several at once, AG2's own response, or an error that it raises."""


def tool_call(name: str, arguments: Mapping[str, Any] | None = None) -> ToolCallEvent:
    """A call of a tool, for a script."""
    return ToolCallEvent(name, arguments=json.dumps(dict(arguments or {})))


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the model saw it.

    Attributes:
        prompt: The prompts.
        messages: The events of the conversation.
        tools: The schemas of the tools.
    """

    prompt: tuple[str, ...]
    messages: tuple[BaseEvent, ...]
    tools: tuple[ToolSchema, ...]

    @property
    def text(self) -> str:
        """All text of prompts and conversation."""
        return "\n".join([*self.prompt, *filter(None, map(_text, self.messages))])


class ScriptedConfig(ScriptedModel[ModelCall], ModelConfig):
    """A model for AG2's agents that needs no key, no server and no download. Streams word by word.

    Args:
        responses: What to answer, one after the other; or a function from a `ModelCall` to the answer. The script goes
            on from turn to turn.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """

    def __init__(self, responses: Iterable[Response] | Callable[[ModelCall], Response] = ()) -> None:
        self._script = Script[ModelCall, Answer](responses, lambda call: _text(call.messages[-1]))

    @property
    def provider(self) -> ModelProvider:
        """Any; the script stands for it."""
        return ModelProvider.OPENAI

    @property
    def model(self) -> str:
        """The name of the model."""
        return "scripted"

    def copy(self) -> Self:
        """The same: agents share the script."""
        return self

    def create(self) -> LLMClient:
        """A client that reads the script."""
        return _Client(self)

    def create_files_client(self) -> Any:
        """There are no files."""
        raise NotImplementedError("A scripted model has no files.")

    def answer(self, call: ModelCall) -> Answer:
        """The next answer."""
        return self._script.answer(call)


class _Client(LLMClient):
    def __init__(self, config: ScriptedConfig) -> None:
        self._config = config

    async def __call__(
        self,
        messages: Sequence[BaseEvent],
        context: ConversationContext,
        *,
        tools: Iterable[ToolSchema] = (),
        **_options: Any,
    ) -> ModelResponse:
        response = self._config.answer(ModelCall(tuple(context.prompt), tuple(messages), tuple(tools)))
        if isinstance(response, ModelResponse):
            return response
        if isinstance(response, str):
            for word in split_words(response):
                await context.send(ModelMessageChunk(word))
            message = ModelMessage(response)
            await context.send(message)
            return ModelResponse(message)
        calls = [response] if isinstance(response, ToolCallEvent) else list(response)
        return ModelResponse(tool_calls=ToolCallsEvent(calls))


def _text(event: BaseEvent) -> str:
    match event:
        case ModelRequest():
            return "\n".join(part.content if isinstance(part, TextInput) else repr(part) for part in event.parts)
        case ModelResponse():
            calls = (f"{call.name}({call.arguments})" for call in event.tool_calls.calls)
            return "\n".join([event.content or "", *calls])
        case ToolResultsEvent():
            parts = [part for result in event.results for part in result.result.parts]
            return "\n".join(part.content if isinstance(part, TextInput) else repr(part) for part in parts)
        case _:
            return ""

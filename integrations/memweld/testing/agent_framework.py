"""A scripted chat client for Agent Framework: it says what it is told to, and keeps what it was shown."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_framework import (
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    Message,
    ResponseStream,
)
from typing_extensions import override

from ..memory.messages import new_id
from .script import Script, ScriptedModel, split_words

__all__ = ["ModelCall", "Response", "ScriptedChatClient", "tool_call"]

Answer: TypeAlias = "str | Content | Sequence[Content]"

Response: TypeAlias = "Answer | BaseException"
"""An answer of the model: text, one tool call or several at once, any contents, or an error that it raises."""


def tool_call(name: str, arguments: Mapping[str, Any] | None = None) -> Content:
    """A call of a tool, for a script."""
    return Content.from_function_call(new_id(), name, arguments=json.dumps(dict(arguments or {})))


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call as the model saw it.

    Attributes:
        instructions: The instructions.
        messages: The messages of the conversation.
        tools: The tools as a model is shown them, ``{"type": "function", "function": {…}}``.
    """

    instructions: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]

    @property
    def text(self) -> str:
        """All text of instructions and conversation."""
        return "\n".join([self.instructions, *map(_text, self.messages)])


class ScriptedChatClient(
    ScriptedModel[ModelCall], FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]
):
    """A model for Agent Framework's agents that needs no key, no server and no download. Streams word by word.

    Args:
        responses: What to answer, one after the other; or a function from a `ModelCall` to the answer.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """

    def __init__(self, responses: Iterable[Response] | Callable[[ModelCall], Response] = ()) -> None:
        super().__init__()
        self._script = Script[ModelCall, Answer](responses, lambda call: _text(call.messages[-1]))

    @override
    def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Mapping[str, Any], **kwargs: Any
    ) -> Awaitable[ChatResponse[Any]] | ResponseStream[ChatResponseUpdate, ChatResponse[Any]]:
        if stream:
            return self._build_response_stream(self._stream(messages, options))
        return self._respond(messages, options)

    async def _respond(self, messages: Sequence[Message], options: Mapping[str, Any]) -> ChatResponse[Any]:
        return ChatResponse(messages=[Message("assistant", self._answer(messages, options))])

    async def _stream(self, messages: Sequence[Message], options: Mapping[str, Any]) -> AsyncIterable[Any]:
        for content in self._answer(messages, options):
            words = split_words(content.text or "") if content.type == "text" else []
            for piece in [Content.from_text(word) for word in words] or [content]:
                yield ChatResponseUpdate(role="assistant", contents=[piece])

    def _answer(self, messages: Sequence[Message], options: Mapping[str, Any]) -> list[Content]:
        tools = [tool for tool in options.get("tools") or () if isinstance(tool, FunctionTool)]
        call = ModelCall(
            options.get("instructions") or "",
            # Copies: what a run does to its messages afterwards does not change what was seen.
            tuple(copy.deepcopy(list(messages))),
            tuple(tool.to_json_schema_spec() for tool in tools),
        )
        response = self._script.answer(call)
        if isinstance(response, str):
            return [Content.from_text(response)]
        return [response] if isinstance(response, Content) else list(response)


def _text(message: Message) -> str:
    texts = [content.text or str(content.result or "") for content in message.contents]
    calls = [f"{content.name}({content.arguments})" for content in message.contents if content.type == "function_call"]
    return "\n".join(filter(None, [*texts, *calls]))

"""Messages between memweld and AutoGen: AutoGen's own read back exactly, those of other frameworks natively."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from pydantic import TypeAdapter, ValidationError

from ..adapters.messages import arguments_text, native_dump, neutral_call, neutral_key, read_native, tells_changes
from ..errors import InvalidInputError
from ..memory.content import (
    ContentPart,
    attempt,
    image_part,
    other_part,
    read_parts,
    split_data_url,
    storable,
    text_part,
)
from ..memory.transcript import INTERRUPTED
from ..models import JSON, ChatMessage

__all__ = ["FRAMEWORK", "text_of", "to_autogen", "to_neutral"]

FRAMEWORK = "autogen"
_NOT_IN_A_SOURCE = re.compile(r"[^a-zA-Z0-9_-]")
_ANY_MESSAGE: TypeAdapter[LLMMessage] = TypeAdapter(LLMMessage)


@tells_changes
def to_neutral(message: LLMMessage) -> list[ChatMessage]:
    """One AutoGen message as messages of a history: one, or for tool results one for each result.

    Speakers keep their names, except ``user`` and ``assistant``, which say no more than the role. The text that a
    model wrote beside its tool calls (``thought``) is the content of the neutral message.
    """
    match message:
        case SystemMessage():
            return [ChatMessage(role="system", content=message.content, native=_native(message))]
        case UserMessage():
            name = _speaker(message.source, "user")
            return [ChatMessage(role="user", content=_parts(message.content), name=name, native=_native(message))]
        case AssistantMessage():
            name = _speaker(message.source, "assistant")
            text = message.content if isinstance(message.content, str) else message.thought or ""
            calls = [] if isinstance(message.content, str) else message.content
            neutral_calls = tuple(neutral_call(call.id, call.name, call.arguments) for call in calls)
            native = _native(message)
            return [ChatMessage(role="assistant", content=text, name=name, tool_calls=neutral_calls, native=native)]
        case FunctionExecutionResultMessage():
            return [_tool_message(result) for result in message.content]


def to_autogen(messages: Sequence[ChatMessage]) -> list[LLMMessage]:
    """A history as AutoGen's messages: its own exactly, those of other frameworks from their neutral fields.

    Tool results that follow each other become one message, as AutoGen's model clients expect. Brackets name content
    that AutoGen cannot hold: audio, images that are not inline.
    """
    converted: list[LLMMessage] = []
    calls: dict[str, FunctionCall] = {}
    for message in messages:
        one = _own(message) or _foreign(message, calls)
        last = converted[-1] if converted else None
        if isinstance(one, FunctionExecutionResultMessage) and isinstance(last, FunctionExecutionResultMessage):
            last.content.extend(one.content)
        else:
            converted.append(one)
        if isinstance(one, AssistantMessage) and not isinstance(one.content, str):
            calls |= {call.id: own for call, own in zip(message.tool_calls, one.content, strict=False)}
    return converted


def text_of(message: UserMessage) -> str:
    """The text of a user message, without its images."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def _native(message: LLMMessage) -> dict[str, JSON]:
    return native_dump(FRAMEWORK, lambda: _dump(message))


def _dump(message: LLMMessage) -> dict[str, Any]:
    dump = message.model_dump(exclude_none=True)
    if isinstance(message, UserMessage) and not isinstance(message.content, str):
        # The neutral parts hold the images already: the store keeps each once.
        dump["content"] = [
            {"part": place} if isinstance(part, Image) else part for place, part in enumerate(message.content)
        ]
    return dump


def _speaker(source: str, role: str) -> str | None:
    name = neutral_key(source)
    return None if name == role else name


def _parts(content: str | list[str | Image]) -> str | list[dict[str, JSON]]:
    if isinstance(content, str):
        return cast("str", storable(content))
    return [text_part(part) if isinstance(part, str) else _image_part(part) for part in content]


def _image_part(image: Image) -> dict[str, JSON]:
    # Pillow cannot write every image that it reads as PNG.
    return attempt(lambda: image_part(image.data_uri), other_part("image"), what="an image")


def _tool_message(result: FunctionExecutionResult) -> ChatMessage:
    return ChatMessage(
        role="tool",
        content=result.content,
        name=neutral_key(result.name),
        # A call without an id has its name as id.
        tool_call_id=neutral_key(result.call_id) or neutral_key(result.name),
        native=_native(FunctionExecutionResultMessage(content=[result])),
    )


def _own(message: ChatMessage) -> LLMMessage | None:
    native = read_native(message, FRAMEWORK)
    if native is None:
        return None
    try:
        dump = dict(native)
        if dump.get("type") == "UserMessage" and isinstance(dump["content"], list):
            dump["content"] = [_restored(part, message.content) for part in cast("list[JSON]", dump["content"])]
        return _ANY_MESSAGE.validate_python(dump)
    except (ValidationError, LookupError, TypeError, ValueError, OSError):
        # Another version of AutoGen wrote it in a form that this one does not read: the neutral fields still do.
        return None


def _restored(part: JSON, content: str | list[dict[str, JSON]]) -> str | Image:
    if isinstance(part, str):
        return part
    (stored,) = read_parts([cast("Any", content)[part["part"]]])
    image = _image(stored)
    if image is None:
        raise InvalidInputError("The image of a stored message cannot be read.")
    return image


def _foreign(message: ChatMessage, calls: Mapping[str, FunctionCall]) -> LLMMessage:
    # The OpenAI client of autogen-ext 0.7.5 refuses a conversation in which a source has other characters.
    source = _NOT_IN_A_SOURCE.sub("_", message.name or message.role)[:64]
    match message.role:
        case "system":
            return SystemMessage(content=message.text)
        case "user":
            return UserMessage(content=_user_content(message), source=source)
        case "assistant" if message.tool_calls:
            functions = [
                FunctionCall(id=call.id, name=call.name, arguments=arguments_text(call)) for call in message.tool_calls
            ]
            return AssistantMessage(content=functions, thought=message.text or None, source=source)
        case "assistant":
            return AssistantMessage(content=message.text, source=source)
        case "tool":
            call = calls.get(message.tool_call_id or "")
            result = FunctionExecutionResult(
                content=message.text,
                name=message.name or (call.name if call else "tool"),
                call_id=call.id if call else message.tool_call_id or "",
                is_error=True if message.content == INTERRUPTED else None,
            )
            return FunctionExecutionResultMessage(content=[result])


def _user_content(message: ChatMessage) -> str | list[str | Image]:
    parts = [_user_part(part) for part in read_parts(message.content)]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _user_part(part: ContentPart) -> str | Image:
    if part.url is None:
        return part.text
    return _image(part) or (part.text if part.url.startswith("data:") else f"[{part.url}]")


def _image(part: ContentPart) -> Image | None:
    data = split_data_url(part.url or "")
    if data is None or not data[0].startswith("image/"):
        return None
    try:
        # Image.from_uri of autogen-core 0.7.5 takes PNG and JPEG only; from_base64 takes what Pillow reads.
        return Image.from_base64(data[1])
    except Exception:  # noqa: BLE001 - Pillow raises anything on damaged files, SyntaxError and struct.error included
        return None

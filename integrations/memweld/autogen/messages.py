"""Messages between memweld and AutoGen: what AutoGen wrote reads back exactly, what others wrote reads natively."""

from __future__ import annotations

import json
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

from ..errors import InvalidInputError
from ..models import JSON, ChatMessage, ToolCall
from ..validation import validate_json

__all__ = ["FRAMEWORK", "answered", "to_autogen", "to_neutral"]

FRAMEWORK = "autogen"
_NOT_IN_A_SOURCE = re.compile(r"[^a-zA-Z0-9_-]")
_INTERRUPTED = "The call was interrupted; whether it took effect is not known."
_ANY_MESSAGE: TypeAdapter[LLMMessage] = TypeAdapter(LLMMessage)


def to_neutral(message: LLMMessage) -> list[ChatMessage]:
    """One AutoGen message as messages of a history: one, or for tool results one for each result.

    Speakers keep their names, except ``user`` and ``assistant``, which say no more than the role. The text that a
    model wrote beside its tool calls (``thought``) is the content of the neutral message.
    """
    match message:
        case SystemMessage():
            return [ChatMessage(role="system", content=message.content, native=_native(message))]
        case UserMessage():
            name = None if message.source == "user" else message.source or None
            return [ChatMessage(role="user", content=_parts(message.content), name=name, native=_native(message))]
        case AssistantMessage():
            name = None if message.source == "assistant" else message.source or None
            spoken = message.content if isinstance(message.content, str) else message.thought or ""
            calls = () if isinstance(message.content, str) else tuple(map(_tool_call, message.content))
            return [ChatMessage(role="assistant", content=spoken, name=name, tool_calls=calls, native=_native(message))]
        case FunctionExecutionResultMessage():
            # The first part carries `part: 0`, so that two such messages in a row do not read back as one.
            if not message.content:
                return [ChatMessage(role="tool", native=_native(message, part=0))]
            return [_tool_message(result, part) for part, result in enumerate(message.content)]


def to_autogen(messages: Sequence[ChatMessage]) -> list[LLMMessage]:
    """A history as AutoGen's messages: its own exactly, those of other frameworks from their neutral fields.

    Tool results that belong together become one message, as AutoGen's model clients expect. What AutoGen cannot hold
    (audio, images that are not inline) is named in brackets.
    """
    read: list[LLMMessage] = []
    names: dict[str, str] = {}
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        converted = _own(message) or _foreign(message, names)
        last = read[-1] if read else None
        if (
            isinstance(converted, FunctionExecutionResultMessage)
            and isinstance(last, FunctionExecutionResultMessage)
            and (message.native or {}).get("part") != 0
        ):
            last.content.extend(converted.content)
        else:
            read.append(converted)
    return read


def answered(messages: Sequence[LLMMessage]) -> list[LLMMessage]:
    """The messages with an answer to every tool call that has none; calls at the very end may still get theirs.

    A run that was cancelled or died between a call and its result leaves the call behind. Model APIs refuse a
    conversation in which a call is not answered, so a kept session would be lost for good.
    """
    complete: list[LLMMessage] = []
    open_calls: list[FunctionCall] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            known = {result.call_id for result in message.content}
            open_calls = [call for call in open_calls if call.id not in known]
        else:
            if open_calls:
                complete.append(FunctionExecutionResultMessage(content=list(map(_interrupted, open_calls))))
            calls = message.content if isinstance(message, AssistantMessage) else ""
            open_calls = [] if isinstance(calls, str) else calls
        complete.append(message)
    return complete


def _interrupted(call: FunctionCall) -> FunctionExecutionResult:
    return FunctionExecutionResult(content=_INTERRUPTED, name=call.name, call_id=call.id, is_error=True)


def _native(message: LLMMessage, **marks: JSON) -> dict[str, JSON]:
    dump = message.model_dump(exclude_none=True)
    if isinstance(message, UserMessage) and not isinstance(message.content, str):
        # Images are in the neutral parts already: they are not kept twice.
        images = (isinstance(part, Image) for part in message.content)
        dump["content"] = [
            {"part": place} if is_image else part
            for place, (is_image, part) in enumerate(zip(images, dump["content"], strict=True))
        ]
    return {"framework": FRAMEWORK, "message": dump, **marks}


def _parts(content: str | list[str | Image]) -> str | list[dict[str, JSON]]:
    if isinstance(content, str):
        return content
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image_url", "image_url": {"url": part.data_uri}}
        for part in content
    ]


def _tool_call(call: FunctionCall) -> ToolCall:
    # A model's arguments may be any text: what is no JSON object is kept raw, as everywhere in memweld.
    try:
        arguments: JSON = json.loads(call.arguments) if call.arguments else {}
        validate_json("arguments", arguments)
    except (ValueError, RecursionError):
        arguments = {"__raw__": call.arguments}
    if not isinstance(arguments, dict):
        arguments = {"__raw__": arguments}
    return ToolCall(id=call.id, name=call.name, arguments=cast("dict[str, JSON]", arguments))


def _tool_message(result: FunctionExecutionResult, part: int) -> ChatMessage:
    return ChatMessage(
        role="tool",
        content=result.content,
        name=result.name or None,
        tool_call_id=result.call_id or None,
        native=_native(FunctionExecutionResultMessage(content=[result]), part=part),
    )


def _own(message: ChatMessage) -> LLMMessage | None:
    native = message.native or {}
    if native.get("framework") != FRAMEWORK:
        return None
    try:
        dump = dict(cast("Mapping[str, JSON]", native["message"]))
        if dump.get("type") == "UserMessage" and isinstance(dump["content"], list):
            dump["content"] = [_restored(part, message.content) for part in cast("list[JSON]", dump["content"])]
        return _ANY_MESSAGE.validate_python(dump)
    except (ValidationError, LookupError, TypeError, ValueError, OSError):
        # Another version of AutoGen wrote it in a form that this one does not read: the neutral fields still do.
        return None


def _restored(part: JSON, content: str | list[dict[str, JSON]]) -> str | Image:
    if isinstance(part, str):
        return part
    image = _image(cast("Any", content)[part["part"]])
    if image is None:
        raise InvalidInputError("The image of a stored message cannot be read.")
    return image


def _foreign(message: ChatMessage, names: Mapping[str, str]) -> LLMMessage:
    match message.role:
        case "system":
            return SystemMessage(content=message.text)
        case "user":
            return UserMessage(content=_user_content(message), source=_source(message))
        case "assistant":
            if not message.tool_calls:
                return AssistantMessage(content=message.text, source=_source(message))
            calls = [_function_call(call) for call in message.tool_calls]
            return AssistantMessage(content=calls, thought=message.text or None, source=_source(message))
        case "tool":
            call_id = message.tool_call_id or ""
            name = message.name or names.get(call_id, "tool")
            return FunctionExecutionResultMessage(
                content=[FunctionExecutionResult(content=message.text, name=name, call_id=call_id)]
            )


def _source(message: ChatMessage) -> str:
    # The OpenAI client of autogen-ext 0.7.5 refuses a conversation in which a source has other characters.
    return _NOT_IN_A_SOURCE.sub("_", message.name or message.role)[:64]


def _function_call(call: ToolCall) -> FunctionCall:
    arguments = dict(call.arguments)
    raw = arguments.get("__raw__") if len(arguments) == 1 else None
    return FunctionCall(
        id=call.id, name=call.name, arguments=raw if isinstance(raw, str) else json.dumps(arguments, ensure_ascii=False)
    )


def _user_content(message: ChatMessage) -> str | list[str | Image]:
    if isinstance(message.content, str):
        return message.content
    parts = [_user_part(part) for part in message.content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else parts


def _user_part(part: Mapping[str, JSON]) -> str | Image:
    if isinstance(part.get("text"), str):
        return part["text"]
    url = _url(part)
    named = url if url is not None and not url.startswith("data:") else part.get("type", "attachment")
    return _image(part) or f"[{named}]"


def _url(part: Mapping[str, JSON]) -> str | None:
    url = part.get("image_url")
    url = cast("Mapping[str, JSON]", url).get("url") if isinstance(url, Mapping) else url
    return url if isinstance(url, str) else None


def _image(part: Mapping[str, JSON]) -> Image | None:
    url = _url(part)
    if url is None or not url.startswith("data:image/") or ";base64," not in url:
        return None
    try:
        # Image.from_uri of autogen-core 0.7.5 takes PNG and JPEG only; from_base64 takes what Pillow reads.
        return Image.from_base64(url.partition(";base64,")[2])
    except Exception:  # noqa: BLE001 - Pillow raises anything on damaged files, SyntaxError and struct.error included
        return None

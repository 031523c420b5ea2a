"""Between Agent Framework's messages and those of a session: its own read back exactly, others' natively."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from agent_framework import Content, Message

from ..memory.messages import new_id, storable, to_message
from ..models import JSON, ChatMessage, Role
from ..validation import MAX_KEY_CHARACTERS

__all__ = ["FRAMEWORK", "answered", "fresh", "to_agent_framework", "to_neutral"]

FRAMEWORK = "agent_framework"

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_INTERRUPTED = "The call was interrupted; whether it took effect is not known."


def to_neutral(message: Message) -> list[ChatMessage]:
    """One message as messages of a session: one, or for tool results one for each.

    The first carries the framework's own dump of the whole. Ids are new: a provider's ``message_id`` may stand for
    several messages.
    """
    name = _key(message.author_name)
    native = {"framework": FRAMEWORK, "message": storable(message.to_dict())}
    results = [content for content in message.contents if content.type == "function_result"]
    if not results:
        # A role that we do not know is somebody in the program: their words are no facts about the user.
        role = "tool" if message.role == "tool" else _ROLES.get(message.role, "assistant")
        calls = [_call(content) for content in message.contents if content.type == "function_call"]
        fields: dict[str, Any] = {"role": role, "content": _neutral_content(message.contents), "name": name}
        if role == "assistant":
            fields["tool_calls"] = calls
        return [to_message({**fields, "native": {**native, "part": 0}})]
    group = new_id()
    return [
        to_message(
            {
                "role": "tool",
                "id": f"{group}/{part}",
                "content": storable(_result_text(content)),
                "name": name,
                "tool_call_id": _key(content.call_id),
                "native": {**native, "part": part} if part == 0 else {"framework": FRAMEWORK, "part": part},
            }
        )
        for part, content in enumerate(results)
    ]


def to_agent_framework(messages: Sequence[ChatMessage]) -> list[Message]:
    """A session as Agent Framework's messages: its own exactly, those of other frameworks from their neutral fields.

    Tool results of other frameworks that belong together become one message.
    """
    read: list[Message] = []
    group: str | None = None
    for message in messages:
        native = message.native or {}
        part = native.get("part") if native.get("framework") == FRAMEWORK else None
        if part and message.id == f"{group}/{part}":
            continue  # It was in the dump of the first part.
        group = None
        own = _own(native)
        if own is not None:
            group = str(message.id).removesuffix("/0") if part == 0 else None
            read.append(own)
            continue
        converted = _foreign(message)
        if message.role == "tool" and read and read[-1].role == "tool":
            read[-1] = Message("tool", [*read[-1].contents, *converted.contents])
        else:
            read.append(converted)
    return read


def answered(messages: Sequence[Message]) -> list[Message]:
    """The messages with an answer to every tool call that has none; calls at the very end may still get theirs.

    A run that died between a call and its result leaves the call behind, and providers refuse such a conversation.
    """
    complete: list[Message] = []
    open_calls: list[str] = []
    for message in messages:
        answers = {content.call_id for content in message.contents if content.type == "function_result"}
        open_calls = [call_id for call_id in open_calls if call_id not in answers]
        if open_calls and not answers:
            complete.append(
                Message("tool", [Content.from_function_result(call_id, result=_INTERRUPTED) for call_id in open_calls])
            )
            open_calls = []
        complete.append(message)
        open_calls += [
            content.call_id
            for content in message.contents
            if content.type == "function_call" and content.call_id and not content.informational_only
        ]
    return complete


def fresh(kept: Sequence[Message], messages: Sequence[Message], sent: int) -> list[Message]:
    """The messages without those at their beginning that end the session already: callers send transcripts again.

    Args:
        kept: The end of the session, at least as many messages as there are new ones.
        messages: What is to be kept.
        sent: How many of them were sent to the agent; the answers behind them are new, even in the same words.
    """
    before, now = list(map(_identity, kept)), list(map(_identity, messages[:sent]))
    for overlap in range(min(len(before), len(now)), 0, -1):
        if before[-overlap:] != now[:overlap]:
            continue
        # The same words of the user once more are said once more.
        if overlap == 1 and messages[0].role == "user" and messages[0].message_id is None:
            continue
        return list(messages[overlap:])
    return list(messages)


def _identity(message: Message) -> tuple[str, str]:
    if message.message_id is not None:
        return "id", message.message_id
    contents = storable([content.to_dict() for content in message.contents])
    return message.role, json.dumps(contents, sort_keys=True)


def _neutral_content(contents: Sequence[Content]) -> JSON:
    parts = [part for content in contents if (part := _part(content)) is not None]
    if len(parts) == 1 and parts[0]["type"] == "text":
        return storable(parts[0]["text"])
    return storable(parts) or ""


def _part(content: Content) -> dict[str, JSON] | None:
    match content.type:
        case "text":
            return {"type": "text", "text": content.text or ""}
        case "data" | "uri" if (content.media_type or "").startswith("image/") and content.uri:
            return {"type": "image_url", "image_url": {"url": content.uri}}
        case "data" | "uri" | "hosted_file" | "error":
            # What it holds is in the framework's own dump.
            return {"type": "file" if content.type != "error" else "error"}
        case _:
            return None


def _call(content: Content) -> dict[str, JSON]:
    arguments = content.arguments
    return {
        "id": _key(content.call_id),
        "name": _key(content.name) or "unknown",
        "arguments": storable(dict(arguments) if isinstance(arguments, Mapping) else arguments),
    }


def _result_text(content: Content) -> str:
    return content.result if isinstance(content.result, str) else ""


def _key(value: str | None) -> str | None:
    """What a model wrote as a name or id, in a form that can be kept."""
    return cast("str", storable(value or ""))[:MAX_KEY_CHARACTERS].strip() or None


def _own(native: Mapping[str, JSON]) -> Message | None:
    if native.get("framework") != FRAMEWORK or "message" not in native:
        return None
    try:
        return Message.from_dict(dict(cast("Mapping[str, JSON]", native["message"])))
    except Exception:  # noqa: BLE001 - another version wrote it in a form that this one does not read
        return None


def _foreign(message: ChatMessage) -> Message:
    name = message.name if message.role in ("user", "assistant") else None
    if message.role == "tool":
        return Message("tool", [Content.from_function_result(message.tool_call_id or "", result=message.text)])
    parts = [{"type": "text", "text": message.content}] if isinstance(message.content, str) else message.content
    contents = [_content(part) for part in parts if part.get("text") != ""]
    contents += [
        Content.from_function_call(call.id, call.name, arguments=_arguments(call.arguments))
        for call in message.tool_calls
    ]
    return Message(message.role, contents, author_name=name)


def _arguments(arguments: Mapping[str, JSON]) -> str:
    raw = arguments.get("__raw__") if len(arguments) == 1 else None
    return raw if isinstance(raw, str) else json.dumps(dict(arguments), ensure_ascii=False)


def _content(part: Mapping[str, JSON]) -> Content:
    if isinstance(part.get("text"), str):
        return Content.from_text(part["text"])
    image = part.get("image_url")
    url = cast("Mapping[str, JSON]", image).get("url") if isinstance(image, Mapping) else image
    if isinstance(url, str):
        head = url[: url.find(";")] if url.startswith("data:") else ""
        try:
            return Content.from_uri(url, media_type=head.removeprefix("data:") or "image/*")
        except Exception:  # noqa: BLE001 - whatever it is, it is no image that can be shown
            return Content.from_text("[image]")
    return Content.from_text(f"[{part.get('type', 'attachment')}]")

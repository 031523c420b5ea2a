"""Between Agent Framework's messages and neutral ones: its own read back exactly, others natively."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

from agent_framework import Content, Message

from ..adapters.messages import arguments_text, native_dump, neutral_call, neutral_key, read_native, tells_changes
from ..engine.message_rules import ROLES
from ..memory.content import (
    ContentPart,
    attempt,
    image_part,
    join_parts,
    other_part,
    read_parts,
    split_data_url,
    storable,
    text_part,
)
from ..memory.messages import new_id
from ..models import JSON, ChatMessage, Role

__all__ = ["FRAMEWORK", "new_messages", "same_message", "to_agent_framework", "to_neutral"]

FRAMEWORK = "agent_framework"


@tells_changes
def to_neutral(message: Message) -> list[ChatMessage]:
    """One message as neutral ones with new ids: one, or for tool results one each.

    Ids are new because a provider's ``message_id`` may stand for several messages.
    """
    dump = cast("dict[str, Any] | None", storable(attempt(message.to_dict, None, what="Agent Framework's own form")))
    results = [place for place, content in enumerate(message.contents) if content.type == "function_result"]
    if not results:
        # A role that we do not know is a part of the program: its words are no facts about the user.
        return [_neutral(message, ROLES.get(message.role, "assistant"), new_id(), dump)]
    # Each result carries its share of the dump, so that a window may take one result and leave another.
    bounds = [0, *results[1:], len(message.contents)]
    group = new_id()
    return [
        ChatMessage(
            role="tool",
            id=f"{group}/{part}",
            content=cast("str", storable(_result_text(message.contents[results[part]]))),
            name=neutral_key(message.author_name),
            tool_call_id=neutral_key(message.contents[results[part]].call_id),
            native=native_dump(FRAMEWORK, dump and {**dump, "contents": dump["contents"][start:end]}, group=group),
        )
        for part, (start, end) in enumerate(pairwise(bounds))
    ]


def to_agent_framework(messages: Sequence[ChatMessage]) -> list[Message]:
    """Neutral messages as Agent Framework's: its own exactly, others from their neutral fields.

    The results of one message come back as one; so do neighbouring results of other frameworks.
    """
    read: list[Message] = []
    last_group: JSON = None
    for message in messages:
        own = _own(message)
        group = None if own is None else (message.native or {}).get("group")
        follows = bool(read) and read[-1].role == "tool" == message.role
        if follows and (own is None or (group is not None and group == last_group)):
            read[-1].contents.extend((own or _foreign(message)).contents)
        else:
            read.append(own or _foreign(message))
        last_group = group
    return read


def new_messages(
    stored: Sequence[Message], messages: Sequence[Message], *, inputs: int, retried: bool
) -> list[Message]:
    """The messages without those at their beginning with which the session ends: callers send transcripts again.

    Args:
        stored: The end of the session, at least as many messages as there are new ones.
        messages: The messages to store.
        inputs: How many of them, from the first, a caller sent. The agent's answers behind them are always new.
        retried: Whether a user's message that stands unanswered at the end belongs to a run that has failed.
    """
    before, now = [*map(_identity, stored)], [*map(_identity, messages[:inputs])]
    for overlap in range(min(len(before), len(now)), 0, -1):
        if before[-overlap:] != now[:overlap]:
            continue
        # One message of the user in the same words is a new one: "Yes", and "Yes" again.
        if not retried and overlap == 1 and messages[0].role == "user" and messages[0].message_id is None:
            continue
        return list(messages[overlap:])
    return list(messages)


def same_message(one: Message, other: Message) -> bool:
    """Whether two messages are the same by id, or say the same."""
    return _identity(one) == _identity(other)


def _identity(message: Message) -> tuple[str, str]:
    if message.message_id is not None:
        return "id", message.message_id
    contents = storable([attempt(content.to_dict, None, what="a content") for content in message.contents])
    return message.role, json.dumps(contents, sort_keys=True)


def _neutral(message: Message, role: Role, message_id: str, dump: dict[str, Any] | None) -> ChatMessage:
    calls = [content for content in message.contents if content.type == "function_call" and role == "assistant"]
    return ChatMessage(
        role=role,
        id=message_id,
        content=join_parts(map(_part, message.contents)),
        name=neutral_key(message.author_name),
        tool_calls=tuple(neutral_call(call.call_id, call.name, call.arguments) for call in calls),
        native=native_dump(FRAMEWORK, dump),
    )


def _part(content: Content) -> dict[str, JSON] | None:
    match content.type:
        case "text":
            return text_part(content.text or "")
        case "data" | "uri" if (content.media_type or "").startswith("image/") and content.uri:
            return image_part(content.uri)
        case "data" | "uri" | "hosted_file":
            return other_part("file")
        case "error":
            return other_part("error")
        case _:
            return None


def _result_text(content: Content) -> str:
    return content.result if isinstance(content.result, str) else ""


def _own(message: ChatMessage) -> Message | None:
    dump = read_native(message, FRAMEWORK)
    if dump is None:
        return None
    try:
        return Message.from_dict(dict(dump))
    except Exception:  # noqa: BLE001 - another version wrote it in a form that this one does not read
        return None


def _foreign(message: ChatMessage) -> Message:
    if message.role == "tool":
        return Message("tool", [Content.from_function_result(message.tool_call_id or "", result=message.text)])
    contents = [_content(part) for part in read_parts(message.content) if part.text]
    contents += [
        Content.from_function_call(call.id, call.name, arguments=arguments_text(call)) for call in message.tool_calls
    ]
    return Message(message.role, contents, author_name=None if message.role == "system" else message.name)


def _content(part: ContentPart) -> Content:
    if part.url is None:
        return Content.from_text(part.text)
    data = split_data_url(part.url)
    try:
        return Content.from_uri(part.url, media_type="image/*" if data is None else data[0])
    except Exception:  # noqa: BLE001 - the text is no image that can be shown
        return Content.from_text(part.text)

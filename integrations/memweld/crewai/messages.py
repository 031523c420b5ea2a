"""Messages between CrewAI's conversational flows and memweld: what CrewAI wrote reads back exactly."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ..errors import InvalidInputError
from ..memory.messages import to_message
from ..models import JSON, ChatMessage, ToolCall

__all__ = ["FRAMEWORK", "fields_of", "is_chat", "readable", "said_the_same", "to_crewai", "to_json", "to_neutral"]

FRAMEWORK = "crewai"

_ROLES = frozenset({"user", "assistant", "system", "tool"})


def is_chat(messages: object) -> bool:
    """Whether the ``messages`` of a flow's state are a conversation: each has a role and a content."""
    return isinstance(messages, list) and all(map(_is_message, cast("list[object]", messages)))


def _is_message(message: object) -> bool:
    if isinstance(message, Mapping):
        fields = cast("Mapping[str, object]", message)
        return fields.get("role") in _ROLES and ("content" in fields or bool(fields.get("tool_calls")))
    return isinstance(message, BaseModel) and getattr(message, "role", None) in _ROLES and hasattr(message, "content")


def fields_of(message: object) -> dict[str, JSON]:
    """The fields of a `ConversationMessage` or of a plain dict that say something, as JSON.

    Raises:
        InvalidInputError: JSON cannot hold one.
    """
    given = message.model_dump() if isinstance(message, BaseModel) else dict(cast("Mapping[str, Any]", message))
    fields = cast("dict[str, JSON]", to_json("A message", given))
    # CrewAI reads a message back only with a content, be it null.
    fields.setdefault("content", None)
    return {name: value for name, value in fields.items() if value is not None or name == "content"}


def to_json(what: str, value: object) -> JSON:
    """The value as JSON: models, times, sets and the like in the form that pydantic gives them.

    Raises:
        InvalidInputError: JSON cannot hold it; the message names the part.
    """
    try:
        return to_jsonable_python(value)
    except (ValueError, RecursionError) as error:
        rule = f"JSON cannot hold it ({error})"
        raise InvalidInputError(
            f"{what} cannot be kept{_part(value)}: {rule}. Keep plain data in the state of a flow; live objects belong "
            "into attributes of the flow."
        ) from error


def _part(value: object) -> str:
    """Where the trouble is, by the name of the field."""
    fields = dict(cast("Mapping[Any, Any]", value)) if isinstance(value, Mapping) else {}
    for name, part in fields.items():
        try:
            to_jsonable_python(part)
        except (ValueError, RecursionError):
            return f" because of {name!r}"
    return ""


def to_neutral(fields: Mapping[str, JSON], message_id: str | None = None) -> ChatMessage:
    """A message of a flow as every framework reads it, with its own dump for CrewAI."""
    known = ("role", "content", "name", "tool_calls", "tool_call_id")
    neutral: dict[str, JSON] = {name: fields[name] for name in known if fields.get(name) is not None}
    neutral.setdefault("content", "")
    return to_message({**neutral, "id": message_id, "native": {"framework": FRAMEWORK, "message": dict(fields)}})


def to_crewai(message: ChatMessage) -> dict[str, JSON]:
    """The fields of a `ConversationMessage`: exactly as they were if CrewAI wrote it, else from the neutral fields."""
    native = message.native or {}
    own = native.get("message")
    if native.get("framework") == FRAMEWORK and isinstance(own, Mapping) and _is_message(cast("object", own)):
        return dict(cast("Mapping[str, JSON]", own))
    fields: dict[str, JSON] = {"role": message.role, "content": message.content}
    if message.name:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = [_openai(call) for call in message.tool_calls]
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _openai(call: ToolCall) -> dict[str, JSON]:
    arguments = dict(call.arguments)
    raw = arguments.get("__raw__") if len(arguments) == 1 else None
    written = raw if isinstance(raw, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": written}}


def readable(messages: Sequence[ChatMessage]) -> list[tuple[str, dict[str, JSON]]]:
    """A session as messages that can stand before a model, each with its id.

    Tool calls that nobody answered and answers that nobody called for are left out: sessions that were cut or
    interrupted have them, and providers refuse a request with one. What was said beside them stays.
    """
    answers = {message.tool_call_id for message in messages if message.role == "tool"}
    calls = {call.id for message in messages for call in message.tool_calls if _answered(message.tool_calls, answers)}
    read: list[tuple[str, dict[str, JSON]]] = []
    for message in messages:
        fields = to_crewai(message)
        if message.role == "tool" and message.tool_call_id not in calls:
            continue
        if message.tool_calls and not _answered(message.tool_calls, answers):
            if not message.text:
                continue
            del fields["tool_calls"]
        read.append((message.id or "", fields))
    return read


def _answered(calls: Iterable[ToolCall], answers: set[str | None]) -> bool:
    return all(call.id in answers for call in calls)


def said_the_same(one: Mapping[str, JSON], other: Mapping[str, JSON]) -> bool:
    """Whether two messages are the same for a reader; what only CrewAI notes on them does not count."""
    return _spoken(one) == _spoken(other)


def _spoken(fields: Mapping[str, JSON]) -> list[JSON]:
    names = ("role", "content", "name", "tool_call_id", "tool_calls")
    return [fields.get(name) or None for name in names]

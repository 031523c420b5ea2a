"""The rules for chat messages: roles, content, tool calls, ids and times, in the form in which they are stored."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ..errors import InvalidInputError, invalid
from ..models import JSON, ChatMessage, Role, ToolCall
from ..validation import utc_now, validate_json, validate_json_text, validate_key, validate_time

if TYPE_CHECKING:
    from ulid import ULID

__all__ = ["ROLES", "new_id", "validate_message", "validate_messages"]

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}
"""The role for each name that a framework or a provider gives it."""


def new_id() -> str:
    """A fresh id for a message: a ULID, sortable by the time at which it was made."""
    return str(_ulid()())


@functools.cache
def _ulid() -> type[ULID]:
    # Not with the module, which every import of memweld loads; nor at each call, which takes a sixth of its time.
    from ulid import ULID

    return ULID


def validate_messages(_name: str, messages: Sequence[ChatMessage], *, named: bool = True) -> tuple[ChatMessage, ...]:
    """Messages that can be stored, with ids and times.

    Args:
        messages: At least one.
        named: Give an id and a time to those that have none.

    Raises:
        InvalidInputError: There are none, or a message breaks a rule (the error names its position).
    """
    if not messages:
        raise invalid("messages", messages, "it holds no message", "Pass at least one.")
    validated: list[ChatMessage] = []
    for position, message in enumerate(messages):
        try:
            validated.append(validate_message(message, named=named))
        except InvalidInputError as error:
            raise InvalidInputError(f"Message {position}: {error}") from error
    return tuple(validated)


def validate_message(message: ChatMessage, *, named: bool = True) -> ChatMessage:
    """One message that can be stored; with ``named`` it gets an id and a time where it has none.

    Raises:
        InvalidInputError: A field breaks a rule.
    """
    created_at = validate_time("created_at", message.created_at)
    for name in ("id", "name", "tool_call_id"):
        value = getattr(message, name)
        if value is not None:
            validate_key(f"message {name}", value)
    if message.native is not None:
        validate_json("native message", message.native)
    return dataclasses.replace(
        message,
        role=_role(message.role),
        content=_content(message.content),
        id=new_id() if named and message.id is None else message.id,
        tool_calls=_tool_calls(message.tool_calls),
        created_at=utc_now() if named and created_at is None else created_at,
    )


def _role(value: object) -> Role:
    role = ROLES.get(value) if isinstance(value, str) else None
    if role is None:
        raise invalid("role", value, "a role is system, user, assistant or tool", "Name who said it.")
    return role


def _content(value: object) -> str | list[dict[str, JSON]]:
    if value is None:
        return ""
    if isinstance(value, str):
        return validate_json_text("content", value)
    if not isinstance(value, (list, tuple)):
        rule = f"it must be text or a list of content parts, not {type(value).__name__}"
        raise invalid("content", value, rule, "Pass the text that was said.")
    parts: list[dict[str, JSON]] = []
    for part in cast("Sequence[object]", value):
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
        elif isinstance(part, Mapping):
            parts.append(dict(cast("Mapping[str, JSON]", part)))
        else:
            raise invalid("content part", part, "a part is text or an object with a type", "Convert it.")
    return cast("list[dict[str, JSON]]", json.loads(validate_json("content", parts)))


def _tool_calls(value: object) -> tuple[ToolCall, ...]:
    if not value:
        return ()
    if not isinstance(value, (list, tuple)):
        raise invalid("tool_calls", value, "they are a list", "Wrap them in a list.")
    return tuple(_tool_call(call) for call in cast("Sequence[object]", value))


def _tool_call(value: object) -> ToolCall:
    if isinstance(value, ToolCall):
        value = {"id": value.id, "name": value.name, "arguments": value.arguments}
    if not isinstance(value, Mapping):
        raise invalid("tool call", value, "it must be an object with id, name and arguments", "Convert it.")
    call = cast("Mapping[str, Any]", value)
    function = cast("Any", call.get("function") or call)
    if not isinstance(function, Mapping):
        raise invalid("tool call", dict(call), "its function must be an object with name and arguments", "Convert it.")
    function = cast("Mapping[str, Any]", function)
    arguments = function.get("arguments", function.get("args"))
    name = validate_key("tool call name", function.get("name"))
    identity = validate_key("tool call id", call.get("id") or new_id())
    return ToolCall(id=identity, name=name, arguments=_arguments(arguments))


def _arguments(value: object) -> dict[str, JSON]:
    if value is None or value == "":
        return {}
    parsed: object = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(value)
            validate_json("tool call arguments", parsed)
    # A model may write arguments that are no object. They are part of what was said: keep them as they are.
    arguments = cast("JSON", parsed if isinstance(parsed, Mapping) else {"__raw__": value})
    return cast("dict[str, JSON]", json.loads(validate_json("tool call arguments", arguments)))

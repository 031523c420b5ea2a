"""Messages from callers: anything message-like becomes a `ChatMessage` that can be stored."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import InvalidInputError, invalid
from ..models import JSON, ChatMessage, Role, ToolCall
from ..validation import utc_now, validate_json, validate_json_text, validate_key, validate_text, validate_time
from .content import storable

if TYPE_CHECKING:
    from ulid import ULID

__all__ = ["MessageLike", "MessagesLike", "new_id", "storable", "to_message", "to_messages"]

MessageLike: TypeAlias = "ChatMessage | Mapping[str, Any]"
"""A `ChatMessage`, or ``{"role": …, "content": …}`` with ``name``, ``tool_calls``, ``created_at`` … where known."""

MessagesLike: TypeAlias = "str | MessageLike | Sequence[MessageLike]"
"""One message or several; a bare string is said by the user."""

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}
_FIELDS = frozenset(field.name for field in dataclasses.fields(ChatMessage))


def new_id() -> str:
    """A fresh id for a message: a ULID, sortable by the time it was made."""
    return str(_ulid()())


@functools.cache
def _ulid() -> type[ULID]:
    # Not with the module, which every import of memweld loads; nor at each call, which takes a sixth of its time.
    from ulid import ULID

    return ULID


def _role(value: object) -> Role:
    role = _ROLES.get(value) if isinstance(value, str) else None
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


def _arguments(value: object) -> dict[str, JSON]:
    if value is None or value == "":
        return {}
    parsed: object = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            parsed = json.loads(value)
            validate_json("tool call arguments", parsed)
    # What a model wrote that is no object is part of what was said: kept as it was, not refused.
    arguments = cast("JSON", parsed if isinstance(parsed, Mapping) else {"__raw__": value})
    return cast("dict[str, JSON]", json.loads(validate_json("tool call arguments", arguments)))


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


def _tool_calls(value: object) -> tuple[ToolCall, ...]:
    if not value:
        return ()
    if not isinstance(value, (list, tuple)):
        raise invalid("tool_calls", value, "they are a list", "Wrap them in a list.")
    return tuple(_tool_call(call) for call in cast("Sequence[object]", value))


def _from_mapping(value: Mapping[str, Any], *, named: bool) -> ChatMessage:
    if "role" not in value or ("content" not in value and not value.get("tool_calls")):
        raise invalid("message", dict(value), "a message has a role and a content", 'Write {"role": …, "content": …}.')
    native = value.get("native")
    if native is None and set(value) - _FIELDS:
        # Fields that we have no word for stay readable in the form in which they came.
        native = {"framework": "openai", "message": {key: val for key, val in value.items() if key != "created_at"}}
    identity, created_at = value.get("id"), validate_time("created_at", value.get("created_at"))
    return ChatMessage(
        role=_role(value["role"]),
        content=_content(value.get("content")),
        id=new_id() if named and identity is None else identity,
        name=value.get("name"),
        tool_calls=_tool_calls(value.get("tool_calls")),
        tool_call_id=value.get("tool_call_id"),
        created_at=utc_now() if named and created_at is None else created_at,
        native=native,
    )


def to_message(value: object) -> ChatMessage:
    """One message, checked, with an id and a time.

    Raises:
        InvalidInputError: It has no role or content, or a field breaks a rule.
    """
    return _checked(value, named=True)


def _checked(value: object, *, named: bool) -> ChatMessage:
    """One message, checked; where it is to be named, with an id and a time."""
    if isinstance(value, ChatMessage):
        created_at = validate_time("created_at", value.created_at)
        message = dataclasses.replace(
            value,
            role=_role(value.role),
            content=_content(value.content),
            id=new_id() if named and value.id is None else value.id,
            tool_calls=_tool_calls(value.tool_calls),
            created_at=utc_now() if named and created_at is None else created_at,
        )
    elif isinstance(value, Mapping):
        message = _from_mapping(cast("Mapping[str, Any]", value), named=named)
    else:
        rule = f"it must be a ChatMessage or an object with role and content, not {type(value).__name__}"
        raise invalid("message", value, rule, 'Write {"role": "user", "content": "…"}.')
    for name in ("id", "name", "tool_call_id"):
        given = getattr(message, name)
        if given is not None:
            validate_key(f"message {name}", given)
    if message.native is not None:
        validate_json("native message", message.native)
    return message


def _placed(position: int, value: object, *, named: bool) -> ChatMessage:
    try:
        return _checked(value, named=named)
    except InvalidInputError as error:
        raise InvalidInputError(f"Message {position}: {error}") from error


def to_messages(values: MessagesLike, *, named: bool = True) -> list[ChatMessage]:
    """One message or several, checked, with ids and times. A bare string is said by the user.

    Args:
        values: What was said.
        named: Whether messages that have no id and no time are given them.

    Raises:
        InvalidInputError: Nothing was given, or a message breaks a rule (its position is named).
    """
    if isinstance(values, str):
        return [_checked({"role": "user", "content": validate_text("message", values)}, named=named)]
    if isinstance(values, (ChatMessage, Mapping)):
        return [_checked(values, named=named)]
    if not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise invalid("messages", values, "it must be text, a message or a list of messages", "Wrap it in a list.")
    messages = [_placed(position, value, named=named) for position, value in enumerate(values)]
    if not messages:
        raise invalid("messages", values, "it holds no message", "Pass at least one.")
    return messages

"""Messages from callers: anything message-like becomes a `ChatMessage`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

from ..engine.message_rules import new_id, validate_message, validate_messages
from ..errors import InvalidInputError, invalid
from ..models import ChatMessage
from ..validation import validate_moment, validate_text
from .content import storable
from .foreign_messages import from_object

__all__ = [
    "MessageLike",
    "MessageObject",
    "MessagesLike",
    "new_id",
    "read_message",
    "read_messages",
    "storable",
    "to_message",
    "to_messages",
]


class MessageObject(Protocol):
    """A message object of LangChain, OpenAI, CrewAI or AutoGen."""

    @property
    def content(self) -> Any:
        """The content of the message."""
        ...


MessageLike: TypeAlias = "str | ChatMessage | Mapping[str, Any] | MessageObject"
"""Text of the user; a `ChatMessage`; ``{"role": …, "content": …}`` with ``name``, ``tool_calls`` …; or an object."""

MessagesLike: TypeAlias = "MessageLike | Sequence[MessageLike]"
"""One message or several."""

_FIELDS = frozenset(field.name for field in dataclasses.fields(ChatMessage))


def read_message(value: object) -> ChatMessage:
    """One message as the caller gives it, in our form; an operation or `to_message` applies the rules to its fields.

    Raises:
        InvalidInputError: It is no message, or it is several in one.
    """
    messages = _read(value)
    if len(messages) != 1:
        raise invalid("message", value, "it holds several messages", "Pass it in a list.")
    return messages[0]


def _read(value: object) -> list[ChatMessage]:
    if isinstance(value, str):
        return [ChatMessage(role="user", content=validate_text("message", value))]
    if isinstance(value, ChatMessage):
        return [value]
    if isinstance(value, Mapping):
        return [_from_mapping(cast("Mapping[str, Any]", value))]
    objects = from_object(value)
    if objects is None:
        rule = f"it must be text, a ChatMessage or an object with role and content, not {type(value).__name__}"
        raise invalid("message", value, rule, 'Write {"role": "user", "content": "…"}.')
    return [_from_mapping(each) for each in objects]


def _from_mapping(message: Mapping[str, Any]) -> ChatMessage:
    if "role" not in message or ("content" not in message and not message.get("tool_calls")):
        remedy = 'Write {"role": …, "content": …}.'
        raise invalid("message", dict(message), "a message has a role and a content", remedy)
    fields = {name: message[name] for name in _FIELDS if message.get(name) is not None}
    if "native" not in fields and set(message) - _FIELDS:
        # Fields that we have no word for stay readable in the form in which they came.
        foreign = {key: part for key, part in message.items() if key != "created_at"}
        fields["native"] = {"framework": "openai", "message": foreign}
    return ChatMessage(**fields)


def read_messages(values: MessagesLike, timezone: str | None = None) -> list[ChatMessage]:
    """One message or several as the caller gives them, in our form (see `read_message`).

    Args:
        values: What was said.
        timezone: The zone of their times without an offset; UTC if None.

    Raises:
        InvalidInputError: It is no message, or one of them is none (the error names its position).
    """
    # Pydantic's models, which frameworks' messages are, can be iterated: they yield their fields.
    if isinstance(values, (str, ChatMessage, Mapping)) or hasattr(values, "content"):
        return _in_zone(_read(values), timezone)
    if not isinstance(values, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise invalid("messages", values, "it must be text, a message or a list of messages", "Wrap it in a list.")
    messages: list[ChatMessage] = []
    for position, value in enumerate(values):
        try:
            messages += _in_zone(_read(value), timezone)
        except InvalidInputError as error:
            raise InvalidInputError(f"Message {position}: {error}") from error
    return messages


def _in_zone(messages: list[ChatMessage], timezone: str | None) -> list[ChatMessage]:
    """The messages with times that have an offset, as those of facts (see `validate_moment`)."""
    return [
        message
        if message.created_at is None
        else dataclasses.replace(message, created_at=validate_moment("created_at", message.created_at, timezone))
        for message in messages
    ]


def to_message(value: object) -> ChatMessage:
    """One message that can be stored, with an id and a time.

    Raises:
        InvalidInputError: It has no role or content, or a field breaks a rule.
    """
    return validate_message(read_message(value))


def to_messages(values: MessagesLike, *, timezone: str | None = None, named: bool = True) -> list[ChatMessage]:
    """One message or several that can be stored, with ids and times. A bare string is said by the user.

    Args:
        values: What was said.
        timezone: The zone of their times without an offset; UTC if None.
        named: Give an id and a time to messages that have none.

    Raises:
        InvalidInputError: There are none, or a message breaks a rule (the error names its position).
    """
    return list(validate_messages("messages", read_messages(values, timezone), named=named))

"""The toolset ``history``: the messages of a session, word for word and in order."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..memory.memory import Memory
from ..models import JSON, ChatMessage
from .answers import as_utc, numbered
from .arguments import Arguments, Message, read_json
from .run import Answer, tool

__all__ = ["HISTORY_TOOLS"]

MAX_MESSAGES = 1_000
_SESSION: dict[str, JSON] = {"session_id": "s1"}


class SessionArguments(Arguments):
    """Arguments of ``clear_messages``."""

    session_id: str = Field(description="The conversation's id.")


class HistoryMessage(Message):
    """A message of a session."""

    id: str | None = Field(
        default=None, description="Your own id for it: a message with the same id in the session is replaced."
    )


_HistoryField: TypeAlias = Annotated[HistoryMessage, WithJsonSchema(HistoryMessage.model_json_schema())]


class AddMessages(SessionArguments):
    """Arguments of ``add_messages``."""

    messages: Annotated[list[_HistoryField], BeforeValidator(read_json)] = Field(
        min_length=1, description="What was said, oldest first."
    )


class GetMessages(SessionArguments):
    """Arguments of ``get_messages``."""

    limit: int = Field(
        default=20, ge=1, le=MAX_MESSAGES, description="How many messages at most, the latest ones; 20 if left out."
    )


def _message_data(message: ChatMessage) -> dict[str, JSON]:
    calls: list[JSON] = [
        {"id": call.id, "name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls
    ]
    data: dict[str, JSON] = {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "name": message.name,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "created_at": None if message.created_at is None else as_utc(message.created_at),
    }
    return {key: value for key, value in data.items() if value is not None}


def _line(message: ChatMessage) -> str:
    speaker = message.role if message.name is None else f"{message.role} ({message.name})"
    parts = [message.text, *(f"[calls {call.name}]" for call in message.tool_calls)]
    return f"{speaker}: {' '.join(filter(None, parts))}"


# Without ids of the caller's own, calling again appends again.
@tool(
    "history",
    "Append messages to a conversation's transcript, word for word, to be read again in order with get_messages. "
    "It is a record, not knowledge: for facts to be found by meaning use add_memory.",
    {**_SESSION, "messages": [{"role": "user", "content": "Hello"}]},
    destructive=True,
    idempotent=False,
)
def _add_messages(memory: Memory, arguments: AddMessages) -> Answer:
    given = [message.model_dump(exclude_none=True) for message in arguments.messages]
    added = memory.history(arguments.session_id).append(given)
    text = f"Added {len(added)} messages to session {arguments.session_id} for {memory.scope}"
    return Answer(text, {"session_id": arguments.session_id, "messages": [_message_data(each) for each in added]})


@tool(
    "history",
    "Read the latest messages of a conversation, oldest first, to continue it where it stopped.",
    _SESSION,
    read_only=True,
)
def _get_messages(memory: Memory, arguments: GetMessages) -> Answer:
    messages = memory.history(arguments.session_id).messages(limit=arguments.limit)
    head = f"Found {len(messages)} messages in session {arguments.session_id} for {memory.scope}"
    text = head + (":" if messages else "") + numbered(map(_line, messages))
    return Answer(text, {"session_id": arguments.session_id, "messages": [_message_data(each) for each in messages]})


@tool(
    "history",
    "Delete the whole transcript of a conversation. Memories made from it stay. It cannot be undone.",
    _SESSION,
    destructive=True,
)
def _clear_messages(memory: Memory, arguments: SessionArguments) -> Answer:
    count = memory.history(arguments.session_id).clear()
    text = f"Deleted {count} messages of session {arguments.session_id} for {memory.scope}"
    return Answer(text, {"session_id": arguments.session_id, "deleted": count})


HISTORY_TOOLS = (_add_messages, _get_messages, _clear_messages)

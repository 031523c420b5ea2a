"""The toolset ``history``: the messages of a session, word for word and in order."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..memory.memory import Memory
from ..models import JSON, ChatMessage
from .answers import (
    PAGED_CHARACTERS,
    Excerpt,
    as_utc,
    bad_cursor,
    continuing,
    cursor_key,
    entry_page,
    excerpts,
    in_pages,
    key_cursor,
    named,
    next_page,
    numbered,
    small,
    text_cursor,
    text_place,
)
from .arguments import Arguments, Cursor, Message, read_json
from .run import Answer, tool

__all__ = ["HISTORY_TOOLS"]

MAX_MESSAGES = 1_000
_SESSION: dict[str, JSON] = {"session_id": "s1"}


class SessionArguments(Arguments):
    """The argument of all tools of this set."""

    session_id: str = Field(description="The conversation's id.")


class ClearMessages(SessionArguments):
    """Arguments of ``clear_messages``."""

    facts: bool = Field(default=False, description="Also forget the memories made from it alone.")


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
    cursor: Cursor = None


def _message_data(message: ChatMessage, cut: Excerpt) -> dict[str, JSON]:
    # Parts beside the text, such as images, may be large, and so may the arguments of calls.
    parts = None if isinstance(message.content, str) else message.content
    has_room = not cut.more and small(parts)
    calls: list[JSON] = []
    for call in message.tool_calls:
        arguments = {"arguments": dict(call.arguments)} if small(call.arguments) else {"arguments_left_out": True}
        calls.append({"id": call.id, "name": call.name, **arguments})
    data: dict[str, JSON] = {
        "id": message.id,
        "role": message.role,
        "content": parts if parts is not None and has_room else cut.text,
        "more_characters": cut.more or None,
        "cursor": text_cursor(message.id or "") if cut.more else None,
        "parts_left_out": None if parts is None or has_room else True,
        "name": message.name,
        "tool_calls": calls or None,
        "tool_call_id": message.tool_call_id,
        "created_at": None if message.created_at is None else as_utc(message.created_at),
    }
    return {key: value for key, value in data.items() if value is not None}


def _line(message: ChatMessage, cut: Excerpt) -> str:
    remedy = in_pages("get_messages", text_cursor(message.id or ""))
    parts = [cut.line(remedy), *(f"[calls {call.name}]" for call in message.tool_calls)]
    return f"{_speaker(message)}: {' '.join(filter(None, parts))}"


def _speaker(message: ChatMessage) -> str:
    return message.role if message.name is None else f"{message.role} ({named(message.name)})"


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
    text = f"Added {len(added)} messages to session {named(arguments.session_id)} for {memory.scope}"
    data: list[JSON] = list(map(_message_data, added, excerpts(message.text for message in added)))
    return Answer(text, {"session_id": arguments.session_id, "messages": data})


@tool(
    "history",
    "Read the latest messages of a conversation, oldest first, to continue it where it stopped. Earlier ones in pages.",
    _SESSION,
    read_only=True,
)
def _get_messages(memory: Memory, arguments: GetMessages) -> Answer:
    if arguments.cursor is not None and (place := text_place(arguments.cursor)) is not None:
        return _whole_message(memory, arguments.session_id, arguments.cursor, place)
    with continuing(arguments.cursor):
        # One more than asked for tells whether there are earlier ones.
        history = memory.history(arguments.session_id)
        found = history.messages(limit=arguments.limit + 1, before=cursor_key(arguments.cursor))
    latest = found[-arguments.limit :]
    # The latest messages come first where there is no room for all.
    cuts = excerpts((message.text for message in reversed(latest)), least=PAGED_CHARACTERS)[::-1]
    messages = latest[len(latest) - len(cuts) :]
    cursor = key_cursor(messages[0].id or "") if len(messages) < len(found) else None
    head = f"Found {len(messages)} messages in session {named(arguments.session_id)} for {memory.scope}"
    text = head + (":" if messages else "") + numbered(map(_line, messages, cuts))
    earlier = "" if cursor is None else f'\nThere are earlier ones: call get_messages with cursor "{cursor}".'
    data: list[JSON] = list(map(_message_data, messages, cuts))
    return Answer(text + earlier, {"session_id": arguments.session_id, "messages": data} | next_page(cursor))


def _whole_message(memory: Memory, session_id: str, cursor: str, place: tuple[str, str | None]) -> Answer:
    message_id, offset = place
    history, before = memory.history(session_id), None
    while page := history.messages(limit=MAX_MESSAGES, before=before):
        message = next((message for message in page if message.id == message_id), None)
        if message is not None:
            shown, part, following = entry_page("get_messages", cursor, message.text, offset)
            text = f"{_speaker(message)} in session {named(session_id)} for {memory.scope}: {shown}"
            data: dict[str, JSON] = {"id": message.id, "role": message.role, "part": part}
            return Answer(text, {"session_id": session_id, "message": data} | next_page(following))
        before = page[0].id
    raise bad_cursor(cursor)


@tool(
    "history",
    "Delete the whole transcript of a conversation. Memories made from it stay unless facts is true. It cannot be "
    "undone.",
    _SESSION,
    destructive=True,
)
def _clear_messages(memory: Memory, arguments: ClearMessages) -> Answer:
    count = memory.history(arguments.session_id).clear(facts=arguments.facts)
    what = "messages and the memories" if arguments.facts else "messages"
    text = f"Deleted {count} {what} of session {named(arguments.session_id)} for {memory.scope}"
    return Answer(text, {"session_id": arguments.session_id, "deleted": count})


HISTORY_TOOLS = (_add_messages, _get_messages, _clear_messages)

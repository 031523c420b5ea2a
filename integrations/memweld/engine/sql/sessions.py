"""History: the messages of sessions, in the order in which they were appended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ...errors import MemoryNotFoundError
from ...models import ChatMessage, Session, ToolCall
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import AppendMessages, ClearMessages, ListSessions, ReadMessages
from . import owners
from .damage import damaged
from .database import Connection, Database
from .dialect import UNLIMITED

__all__ = ["COLUMNS", "SessionStore", "insert_messages", "read_message"]

COLUMNS = "id, role, content, name, tool_calls, tool_call_id, native, created_at"

_INSERT = (
    f"INSERT INTO messages (session, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, id) DO NOTHING"
)
_COUNT = (
    f"UPDATE sessions SET messages = messages + ?, updated_at = ? WHERE owner = {owners.OWNER} "
    "AND session_id = ? RETURNING id"
)


def _row(message: ChatMessage) -> tuple[Any, ...]:
    calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    assert message.created_at is not None  # noqa: S101 - messages.py gave it one
    return (
        message.id,
        message.role,
        dump_json(message.content),
        message.name,
        dump_json(calls) if calls else None,
        message.tool_call_id,
        None if message.native is None else dump_json(message.native),
        message.created_at.isoformat(),
    )


def read_message(row: tuple[Any, ...]) -> ChatMessage:
    """The message that a row of `COLUMNS` holds.

    Raises:
        BackendUnavailableError: The row is damaged.
    """
    identity, role, content, name, calls, call_id, native, created_at = row
    try:
        return ChatMessage(
            id=identity,
            role=role,
            content=json.loads(content),
            name=name,
            tool_calls=tuple(ToolCall(**call) for call in json.loads(calls)) if calls else (),
            tool_call_id=call_id,
            native=json.loads(native) if native else None,
            created_at=datetime.fromisoformat(created_at),
        )
    except (TypeError, ValueError) as error:
        repair = "replace it: append a message with this id to its session, or clear the session"
        raise damaged(f"The message {identity!r}", repair, error) from error


def insert_messages(connection: Connection, session: int, messages: Sequence[ChatMessage]) -> int:
    """Append the messages whose ids the session does not have; how many."""
    if len(messages) == 1:
        return connection.execute(_INSERT, (session, *_row(messages[0]))).rowcount
    before = connection.total_changes
    connection.executemany(_INSERT, [(session, *_row(message)) for message in messages])
    return connection.total_changes - before


class SessionStore:
    """The sessions of all scopes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, scope: Scope, operation: AppendMessages) -> list[str]:
        """Append, at a cost that does not grow with the session; a stored id replaces that message in place.

        Returns:
            The ids of stored messages that say something else now.
        """
        session_id, messages = operation.session_id, operation.messages
        now = utc_now().isoformat()
        count = len(messages)
        with self._database.writing(scope) as connection:
            session = self._count(connection, scope, session_id, count, now)
            if session is None:
                self._create_session(connection, scope, session_id, now)
                session = self._count(connection, scope, session_id, count, now)
            assert session is not None  # noqa: S101 - created above, in this transaction
            edited: list[str] = []
            if operation.replace:
                self._database.shorten_log()
                edited = self._edited(connection, session, messages)
                if operation.known is not None:
                    messages = self._beside(connection, session, operation)
                    count = len(messages)
                connection.execute("DELETE FROM messages WHERE session = ?", (session,))
                connection.execute("UPDATE sessions SET messages = ? WHERE id = ?", (count, session))
            added = insert_messages(connection, session, messages)
            if added < count:
                self._database.shorten_log()
                edited = self._edited(connection, session, messages)
                self._replace(connection, session, messages)
                connection.execute("UPDATE sessions SET messages = messages - ? WHERE id = ?", (count - added, session))
        return edited

    def _edited(self, connection: Connection, session: int, messages: Sequence[ChatMessage]) -> list[str]:
        """The ids of those messages that the session has with another text."""
        edited: list[str] = []
        for message in messages:
            found = connection.execute(
                f"SELECT {COLUMNS} FROM messages WHERE session = ? AND id = ?", (session, message.id)
            ).fetchone()
            if found is not None and read_message(found).text != message.text:
                edited.append(found[0])
        return edited

    def _beside(self, connection: Connection, session: int, operation: AppendMessages) -> list[ChatMessage]:
        """The new messages between the stored ones that stay."""
        rows = connection.execute(f"SELECT {COLUMNS} FROM messages WHERE session = ? ORDER BY seq", (session,))
        stored, known = [read_message(row) for row in rows], set(operation.known or ())
        last = max((place for place, message in enumerate(stored) if message.id in known), default=-1)
        gone = known | {message.id for message in operation.messages}
        front, behind = (
            [each for each in part if each.id not in gone] for part in (stored[: last + 1], stored[last + 1 :])
        )
        return [*front, *operation.messages, *behind]

    def _count(self, connection: Connection, scope: Scope, session_id: str, count: int, now: str) -> int | None:
        """Count so many messages more; the session, or None where there is none yet."""
        variables = (count, now, *owners.columns(scope), session_id)
        found = connection.execute(_COUNT, variables).fetchone()
        return None if found is None else int(found[0])

    def _create_session(self, connection: Connection, scope: Scope, session_id: str, now: str) -> None:
        connection.execute(
            "INSERT INTO sessions (owner, session_id, messages, started_at, updated_at) VALUES (?, ?, 0, ?, ?)",
            (owners.get_or_create(connection, scope).id, session_id, now, now),
        )

    def _replace(self, connection: Connection, session: int, messages: Sequence[ChatMessage]) -> None:
        # The time of the first append stays: a retry is not a new message.
        for message in messages:
            row = _row(message)
            connection.execute(
                "UPDATE messages SET role = ?, content = ?, name = ?, tool_calls = ?, tool_call_id = ?, native = ? "
                "WHERE session = ? AND id = ?",
                (*row[1:7], session, row[0]),
            )

    def read(self, scope: Scope, operation: ReadMessages) -> list[ChatMessage]:
        """The last messages (of those before the message ``before``), oldest first."""
        with self._database.reading(scope) as connection:
            session = self._session(connection, scope, operation.session_id)
            place = UNLIMITED if operation.before is None else self._place(connection, session, operation.before)
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM messages WHERE session = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                (session, place, operation.limit or UNLIMITED),
            ).fetchall()
        return [read_message(row) for row in reversed(rows)]

    def _session(self, connection: Connection, scope: Scope, session_id: str) -> int | None:
        owner = owners.find(connection, scope)
        if owner is None:
            return None
        found = connection.execute(
            "SELECT id FROM sessions WHERE owner = ? AND session_id = ?", (owner.id, session_id)
        ).fetchone()
        return None if found is None else int(found[0])

    def _place(self, connection: Connection, session: int | None, message_id: str) -> int:
        found = connection.execute(
            "SELECT seq FROM messages WHERE session = ? AND id = ?", (session, message_id)
        ).fetchone()
        if found is None:
            raise MemoryNotFoundError(message_id)
        return int(found[0])

    def clear(self, scope: Scope, operation: ClearMessages) -> int:
        """Delete the session; how many messages it had."""
        with self._database.writing(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return 0
            deleted = connection.execute(
                "DELETE FROM sessions WHERE owner = ? AND session_id = ? RETURNING messages",
                (owner.id, operation.session_id),
            ).fetchall()
            return sum(row[0] for row in deleted)

    def sessions(self, scope: Scope, _operation: ListSessions) -> list[Session]:
        """The sessions of exactly this scope, the latest used first."""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            rows = connection.execute(
                "SELECT session_id, messages, started_at, updated_at FROM sessions WHERE owner = ? AND messages > 0 "
                "ORDER BY updated_at DESC, id DESC",
                (owner.id,),
            ).fetchall()
        return [
            Session(
                session_id=session_id,
                messages=messages,
                started_at=datetime.fromisoformat(started_at),
                updated_at=datetime.fromisoformat(updated_at),
            )
            for session_id, messages, started_at, updated_at in rows
        ]

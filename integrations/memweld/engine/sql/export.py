"""An export in pages, so that what a scope contains never has to fit into memory; and the list of all scopes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from ...errors import invalid
from ...models import ChatMessage
from ...scope import Scope
from ..export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, ExportPage
from ..operations import Export
from . import owners
from .cursors import Cursors
from .damage import read_value
from .database import Connection, Database
from .dialect import UNLIMITED
from .items import Items
from .selection import Selection
from .sessions import COLUMNS, read_message
from .ttl import ALIVE, now, to_datetime

__all__ = ["PAGE_CHARACTERS", "export_page", "list_scopes"]

PAGE_CHARACTERS = 500_000
"""The most characters of a page, which is one message over the wire; a single row that is larger is a page."""

_PARTS = ("items", "values", "messages")
_FACTS = Selection(kinds=("item", "source", "preference", "task"))
_BATCH = 20  # rows that are fetched at once, of any size
# Of a user, the agents' parts too. An owner without rows waits for an LLM that may find nothing to keep.
_PARTS_WITH_ROWS = (
    "SELECT 1 FROM owners AS part WHERE (part.id = owners.id OR part.root = owners.id) AND ("
    + " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE owner = part.id)" for table in ("items", "sessions", "state"))
    + ")"
)


# Part, owner, session, number: the place of a row in the order of an export.
_Position: TypeAlias = "tuple[str, int, int, int]"


@dataclass(frozen=True, slots=True)
class _MessageRow:
    """A message with the times of its session."""

    agent_id: str | None
    session_id: str
    started_at: str
    updated_at: str
    message: ChatMessage


@dataclass(frozen=True, slots=True)
class _ValueRow:
    """A value with the item of its text, if it has one."""

    value: ExportedValue
    record: ExportedItem | None


_Row: TypeAlias = "ExportedItem | _ValueRow | _MessageRow"


def export_page(database: Database, cursors: Cursors, scope: Scope, operation: Export) -> ExportPage:
    """The next rows of an export; all of them, as they are at one moment, where there is no limit."""
    rows: list[_Row] = []
    limit = operation.limit
    room = math.inf if limit is None else PAGE_CHARACTERS
    most = UNLIMITED - 2 if limit is None else limit
    last: _Position | None = None
    with database.reading(scope) as connection:
        # One more of each than a page takes, so that a full page knows whether another follows.
        reader = _Reader(connection, database, scope, most + 2)
        for position, row, characters in reader.rows(_position(cursors, scope, operation.cursor)):
            if last is not None and (len(rows) == most or room < characters):
                part, *numbers = last
                following = cursors.seal(scope, "export", _PARTS.index(part), *numbers)
                return ExportPage(_export_data(rows), following)
            rows.append(row)
            room -= characters
            last = position
        data = _export_data(rows)
        if limit is None:
            # Records among the facts, in the order in which all of them were stored.
            items = Items(database).page(scope, limit=UNLIMITED, after=0)
            data = replace(data, items=tuple(row.exported() for row in items))
    return ExportPage(data)


def list_scopes(database: Database, *, after: Scope | None, limit: int) -> list[Scope]:
    """The scopes of the store, by user and agent (see `EngineAdmin.list_scopes`)."""
    last = ("", "") if after is None else (after.user_id or "", after.agent_id or "")
    with database.reading_all() as connection:
        rows = connection.execute(
            f"SELECT user_id, agent_id FROM owners WHERE (user_id, agent_id) > (?, ?) AND EXISTS ({_PARTS_WITH_ROWS}) "
            "ORDER BY user_id, agent_id LIMIT ?",
            (*last, limit),
        ).fetchall()
    return [Scope.stored(user_id or None, agent_id or None) for user_id, agent_id in rows]


def _position(cursors: Cursors, scope: Scope, cursor: str | None) -> _Position:
    if cursor is None:
        return ("items", 0, 0, 0)
    opened = cursors.open(scope, "export", cursor)
    if opened is None:
        rule = "it is of no page of an export of this scope"
        raise invalid("cursor", cursor, rule, "Pass the next of the page before.")
    part, owner, session, number = opened
    return _PARTS[part], owner, session, number


def _export_data(rows: list[_Row]) -> ExportData:
    items = [row for row in rows if isinstance(row, ExportedItem)]
    values = [row for row in rows if isinstance(row, _ValueRow)]
    sessions: dict[tuple[str | None, str, str, str], list[ChatMessage]] = {}
    for row in rows:
        if isinstance(row, _MessageRow):
            sessions.setdefault((row.agent_id, row.session_id, row.started_at, row.updated_at), []).append(row.message)
    return ExportData(
        items=(*items, *(row.record for row in values if row.record is not None)),
        values=tuple(row.value for row in values),
        sessions=tuple(
            ExportedSession(
                agent_id=agent_id,
                session_id=session_id,
                started_at=datetime.fromisoformat(started_at),
                updated_at=datetime.fromisoformat(updated_at),
                messages=tuple(messages),
            )
            for (agent_id, session_id, started_at, updated_at), messages in sessions.items()
        ),
    )


class _Reader:
    """The rows of one scope from a position on, in batches; at most ``most`` values and sessions of each owner."""

    def __init__(self, connection: Connection, database: Database, scope: Scope, most: int) -> None:
        self._connection = connection
        self._items = Items(database)
        self._scope = scope
        self._most = most
        self._owners = sorted(owners.contained(connection, scope).items())

    def rows(self, begin: _Position) -> Iterator[tuple[_Position, _Row, int]]:
        """Everything behind ``begin``, part after part: position, row and number of characters."""
        part, owner, session, number = begin
        if part == "items":
            yield from self._facts(number)
            owner = number = 0
        if part != "messages":
            for each, agent_id in self._owners:
                if each >= owner:
                    yield from self._values(each, agent_id, number if each == owner else 0)
            owner = session = number = 0
        for each, agent_id in self._owners:
            if each >= owner:
                yield from self._messages(each, agent_id, *((session, number) if each == owner else (0, 0)))

    def _facts(self, number: int) -> Iterator[tuple[_Position, _Row, int]]:
        while rows := self._items.page(self._scope, limit=_BATCH, after=number, selection=_FACTS):
            for row in rows:
                number = row.seq
                yield ("items", 0, 0, number), row.exported(), len(row.text) + len(row.metadata)

    def _values(self, owner: int, agent_id: str | None, number: int) -> Iterator[tuple[_Position, _Row, int]]:
        # The plus keeps SQLite from going through all owners' rows: an index has the numbers of this one's.
        numbers = [
            row[0]
            for row in self._connection.execute(
                f"SELECT seq FROM state WHERE owner = ? AND +seq > ? AND {ALIVE} ORDER BY seq LIMIT ?",
                (owner, number, now(), self._most),
            ).fetchall()
        ]
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            rows = self._connection.execute(
                "SELECT seq, namespace, key, value, created_at, updated_at, ttl, expires_at, record FROM state "
                f"WHERE seq IN ({', '.join('?' * len(batch))}) ORDER BY seq",
                batch,
            ).fetchall()
            for seq, *row in rows:
                value, characters = self._value(agent_id, row)
                yield ("values", owner, 0, seq), value, characters

    def _value(self, agent_id: str | None, row: Sequence[Any]) -> tuple[_ValueRow, int]:
        namespace, key, value, created_at, updated_at, ttl, expires_at, record = row
        item = None if record is None else self._items.get(self._scope, record)
        exported = ExportedValue(
            agent_id=agent_id,
            namespace=namespace,
            key=key,
            value=read_value(value, namespace, key),
            created_at=datetime.fromisoformat(created_at),
            updated_at=datetime.fromisoformat(updated_at),
            ttl=ttl,
            expires_at=to_datetime(expires_at),
        )
        characters = len(value) + (0 if item is None else len(item.text) + len(item.metadata))
        return _ValueRow(exported, None if item is None else item.exported()), characters

    def _messages(
        self, owner: int, agent_id: str | None, first: int, number: int
    ) -> Iterator[tuple[_Position, _Row, int]]:
        sessions = self._connection.execute(
            "SELECT id, session_id, started_at, updated_at FROM sessions "
            "WHERE owner = ? AND +id >= ? AND messages > 0 ORDER BY id LIMIT ?",
            (owner, first, self._most),
        ).fetchall()
        for session, session_id, started_at, updated_at in sessions:
            last = number if session == first else 0
            while rows := self._connection.execute(
                f"SELECT seq, {COLUMNS} FROM messages WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?",
                (session, last, _BATCH),
            ).fetchall():
                for seq, *row in rows:
                    last = seq
                    message = _MessageRow(agent_id, session_id, started_at, updated_at, read_message(tuple(row)))
                    yield ("messages", owner, session, seq), message, sum(len(each) for each in row if each is not None)

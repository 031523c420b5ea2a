"""Restoring: an export's rows put back with their ids and times, in one transaction, harmless to do again."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...errors import invalid
from ...models import MemoryItem
from ...scope import Scope
from ...validation import dump_json
from ..export_data import ExportData, ExportedSession, ExportedValue
from . import owners
from .database import Connection, Database
from .items import ItemRow, Items
from .sessions import insert_messages
from .ttl import delete_items, now

__all__ = ["Packed", "restore"]

_STORES = ("items", "values", "sessions", "messages")


@dataclass(frozen=True, slots=True)
class Packed:
    """The items' texts as the table keeps them.

    Attributes:
        texts: Hash, vector and terms of each text.
        claim: Says in the open transaction which embedder the vectors are of.
    """

    texts: Mapping[str, tuple[str, bytes, bytes]] = field(default_factory=dict[str, tuple[str, bytes, bytes]])
    claim: Callable[[Connection], None] = lambda _: None


def restore(database: Database, scope: Scope, kept: ExportData, packed: Packed) -> dict[str, int]:
    """Put back what the scope does not have, or has in an older state (see ``Engine.restore``)."""
    for part in (*kept.items, *kept.values, *kept.sessions):
        _owner(scope, part.agent_id)
    with database.writing(scope) as connection:
        work = _Restoration(connection, database, scope, packed)
        work.values(kept)
        for session in kept.sessions:
            work.session(session)
    return work.counts


def _owner(scope: Scope, agent_id: str | None) -> Scope:
    """Whose a part is."""
    user_id = scope.user_id
    owner = None if user_id is None and agent_id is None else Scope(user_id=user_id, agent_id=agent_id)
    if owner is None or not scope.contains(owner):
        rule = f"the memory of {scope} does not contain what is kept by this agent"
        raise invalid("agent_id", agent_id, rule, "Restore it for the whole user.")
    return owner


class _Restoration:
    """One restoration, inside its transaction."""

    def __init__(self, connection: Connection, database: Database, scope: Scope, packed: Packed) -> None:
        self._connection = connection
        self._items = Items(database)
        self._scope = scope
        self._packed = packed
        self._claimed = False
        self.counts: dict[str, int] = dict.fromkeys(map(str, _STORES), 0)

    def values(self, kept: ExportData) -> None:
        """Items in their order, and values with those of them that are their records."""
        wanted = {_place(value): value for value in kept.values if self._gives_way(value)}
        records: dict[tuple[str | None, str], str] = {}
        for item in kept.items:
            place = (item.agent_id, item.key or "")
            if item.kind != "record":
                self._item(item)
            elif place in wanted:
                records[place] = self._insert(item)
        for place, value in wanted.items():
            self._value(value, records.get(place))

    def _gives_way(self, value: ExportedValue) -> bool:
        """Whether the value is to be written; then what stands at its place is gone."""
        if value.expires_at is not None and value.expires_at.timestamp() <= now():
            return False
        owner = owners.find(self._connection, _owner(self._scope, value.agent_id))
        if owner is None:
            return True
        place = (owner.id, value.namespace, value.key)
        held = self._connection.execute(
            "SELECT updated_at, record, expires_at FROM state WHERE owner = ? AND namespace = ? AND key = ?", place
        ).fetchone()
        if held is None:
            return True
        alive = held[2] is None or held[2] > now()
        if alive and datetime.fromisoformat(held[0]) >= value.updated_at:
            return False
        self._connection.execute("DELETE FROM state WHERE owner = ? AND namespace = ? AND key = ?", place)
        if held[1] is not None:
            delete_items(self._connection, [(owner.id, held[1])])
        return True

    def _value(self, value: ExportedValue, record: str | None) -> None:
        owner = owners.get_or_create(self._connection, _owner(self._scope, value.agent_id)).id
        self._connection.execute(
            "INSERT INTO state (owner, namespace, key, value, version, created_at, updated_at, ttl, expires_at, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                owner,
                value.namespace,
                value.key,
                dump_json(value.value),
                random.getrandbits(48) + 1,
                value.created_at.isoformat(),
                value.updated_at.isoformat(),
                value.ttl,
                None if value.expires_at is None else value.expires_at.timestamp(),
                record,
            ),
        )
        self.counts["values"] += 1

    def _item(self, item: MemoryItem) -> None:
        """A free fact, preference or task outcome, unless a later one is there."""
        owner = _owner(self._scope, item.agent_id)
        held = self._items.get(self._scope, item.id)
        if held is not None and (held.scope, held.kind, held.key) != (owner, item.kind, item.key):
            held = None
        if item.key is not None:
            held = self._items.by_key(owner, item.kind, item.key)
        same = None if item.key is not None else self._items.by_hash(owner, self._packed.texts[item.text][0])
        if held is None:
            if same is None:
                self._insert(item)
        elif datetime.fromisoformat(held.updated_at) < item.updated_at and (same is None or same.id == held.id):
            row = replace(self._row(item), id=held.id)
            self._claim()
            self._items.rewrite(row, *self._packed.texts[item.text][1:])
            self.counts["items"] += 1

    def _insert(self, item: MemoryItem) -> str:
        """Store a new row; its id, which is another one where somebody has the item's own."""
        row = self._row(item)
        if self._connection.execute("SELECT 1 FROM items WHERE id = ?", (item.id,)).fetchone() is not None:
            row = replace(row, id=str(uuid.uuid4()))
        self._claim()
        self._items.insert(row, *self._packed.texts[item.text][1:])
        self.counts["items"] += 1
        return row.id

    def _claim(self) -> None:
        """Before a vector is written: they must all be of one embedder."""
        if not self._claimed:
            self._packed.claim(self._connection)
            self._claimed = True

    def _row(self, item: MemoryItem) -> ItemRow:
        return ItemRow(
            scope=_owner(self._scope, item.agent_id),
            id=item.id,
            kind=item.kind,
            key=item.key,
            session_id=item.session_id,
            role=item.role,
            name=item.name,
            text=item.text,
            hash=self._packed.texts[item.text][0],
            metadata=dump_json(item.metadata),
            extraction=item.extraction,
            extraction_error=item.extraction_error,
            extra={},
            created_at=item.created_at.isoformat(),
            updated_at=item.updated_at.isoformat(),
        )

    def session(self, session: ExportedSession) -> None:
        """The session's messages behind those that it has."""
        owner = owners.get_or_create(self._connection, _owner(self._scope, session.agent_id)).id
        started_at, updated_at = session.started_at.isoformat(), session.updated_at.isoformat()
        new = self._connection.execute(
            "INSERT INTO sessions (owner, session_id, messages, started_at, updated_at) VALUES (?, ?, 0, ?, ?) "
            "ON CONFLICT (owner, session_id) DO NOTHING",
            (owner, session.session_id, started_at, updated_at),
        ).rowcount
        (place,) = self._connection.execute(
            "SELECT id FROM sessions WHERE owner = ? AND session_id = ?", (owner, session.session_id)
        ).fetchone()
        added = insert_messages(self._connection, place, session.messages)
        self._connection.execute(
            "UPDATE sessions SET messages = messages + ?, "
            "started_at = CASE WHEN started_at < ? THEN started_at ELSE ? END, "
            "updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END WHERE id = ?",
            (added, started_at, started_at, updated_at, updated_at, place),
        )
        self.counts["sessions"] += new or bool(added)
        self.counts["messages"] += added


def _place(value: ExportedValue) -> tuple[str | None, str]:
    """The agent and the key that the value's record has."""
    return value.agent_id, dump_json([value.namespace, value.key])

"""Restoring: an export's rows stored with their ids and times, in batches. Doing it again changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from ...errors import BackendUnavailableError
from ...scope import Scope
from ...validation import dump_json
from ..export_batches import batches
from ..export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, owner_scope, record_place
from . import owners
from .database import Connection, Database
from .item_rows import ItemRow, row_of
from .items import Items
from .relation_rule import settle_imported
from .sessions import insert_messages
from .state import insert_value, new_version, value_at
from .ttl import delete_items, now, purge
from .versions import end_with

__all__ = ["EmbeddedTexts", "restore"]

_ROWS = 200  # in one transaction


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Hashes, vectors and terms of the items' texts, as the table stores them.

    Attributes:
        texts: Hash, vector and terms of each text.
        record_embedder: Records in the open transaction which embedder made the vectors.
    """

    texts: Mapping[str, tuple[str, bytes, bytes]] = field(default_factory=dict[str, tuple[str, bytes, bytes]])
    record_embedder: Callable[[Connection], None] = lambda _: None


def restore(
    database: Database, scope: Scope, data: ExportData, embedded: EmbeddedTexts, *, settles: bool = False
) -> dict[str, int]:
    """Store what the scope does not have, or has in an older state (see `Restore`).

    Other writers take their turns between two batches.
    """
    for part in (*data.items, *data.values, *data.sessions):
        owner_scope(scope, part.agent_id)
    restored = _Restored()
    epoch: int | None = None
    for batch in batches(data, rows=_ROWS):
        with database.writing(scope) as connection:
            owner = owners.find(connection, scope)
            if epoch is not None and (owner is None or owner.id != epoch):
                raise BackendUnavailableError(f"The memory of {scope} was erased while it was restored.")
            restoration = _Restoration(connection, database, scope, embedded, restored)
            # Their texts and keys are free again.
            purge(database, scope)
            restoration.store_items(batch)
            if settles:
                settle_imported(Items(database), scope, restoration.new_facts)
            for session in batch.sessions:
                restoration.store_session(session)
            owner = owner or owners.find(connection, scope)
            epoch = None if owner is None else owner.id
    return {
        "items": restored.items,
        "values": restored.values,
        "sessions": len(restored.sessions),
        "messages": restored.messages,
        **({"merged": restored.merged} if restored.merged else {}),
    }


@dataclass(slots=True)
class _Restored:
    """What is new or changed. A session may go over several batches, and counts once.

    Attributes:
        places: The ids of exported items that merged into stored ones, with the ids of these.
    """

    items: int = 0
    values: int = 0
    messages: int = 0
    merged: int = 0
    sessions: set[int] = field(default_factory=set[int])
    places: dict[str, str] = field(default_factory=dict[str, str])


class _Restoration:
    """One batch of a restoration, inside its transaction."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        scope: Scope,
        embedded: EmbeddedTexts,
        restored: _Restored,
    ) -> None:
        self._connection = connection
        self._items = Items(database)
        self._value_at = value_at(database.dialect)
        self._scope = scope
        self._embedded = embedded
        self._is_recorded = False
        self.new_facts: list[str] = []
        self._restored = restored

    def store_items(self, data: ExportData) -> None:
        """Items in their order, and values with those items that hold their texts."""
        values = {record_place(value): value for value in data.values if self._make_room(value)}
        records: dict[tuple[str | None, str], str] = {}
        for item in data.items:
            place = (item.agent_id, item.key or "")
            if item.kind != "record":
                self._store_item(item)
            elif place in values:
                records[place] = self._insert_item(item)
        for place, value in values.items():
            self._insert_value(value, records.get(place))

    def _make_room(self, value: ExportedValue) -> bool:
        """Delete an older value at the same place; False if the stored one stays, or the exported one has expired."""
        if value.expires_at is not None and value.expires_at.timestamp() <= now():
            return False
        owner = owners.find(self._connection, owner_scope(self._scope, value.agent_id))
        if owner is None:
            return True
        place = (owner.id, value.namespace, value.key)
        stored = self._connection.execute(
            f"SELECT updated_at, record, expires_at FROM state WHERE {self._value_at}", place
        ).fetchone()
        if stored is None:
            return True
        updated_at, record, expires_at = stored
        is_alive = expires_at is None or expires_at > now()
        if is_alive and datetime.fromisoformat(updated_at) >= value.updated_at:
            return False
        self._connection.execute(f"DELETE FROM state WHERE {self._value_at}", place)
        if record is not None:
            delete_items(self._connection, [(owner.id, record)])
        return True

    def _insert_value(self, value: ExportedValue, record: str | None) -> None:
        insert_value(
            self._connection,
            (
                owners.get_or_create(self._connection, owner_scope(self._scope, value.agent_id)).id,
                value.namespace,
                value.key,
                new_version(),
                value.created_at.isoformat(),
                dump_json(value.value),
                value.updated_at.isoformat(),
                value.ttl,
                None if value.expires_at is None else value.expires_at.timestamp(),
                record,
            ),
        )
        self._restored.values += 1

    def _store_item(self, item: ExportedItem) -> None:
        """A free fact, preference or task outcome, unless a later one is stored or it has expired."""
        if item.expires_at is not None and item.expires_at.timestamp() <= now():
            return
        owner = owner_scope(self._scope, item.agent_id)
        stored = self._items.get(self._scope, item.id)
        if stored is not None and (stored.scope, stored.kind, stored.key) != (owner, item.kind, item.key):
            stored = None
        if item.key is not None:
            current = self._items.by_key(owner, item.kind, item.key)
            if item.superseded_by is None:
                stored = current
            elif current is None:
                return  # an earlier value of nothing
            else:
                item = replace(item, superseded_by=current.id)
        if item.superseded_by in self._restored.places:
            item = replace(item, superseded_by=self._restored.places[item.superseded_by])
        same = None
        if item.key is None and item.superseded_by is None:
            same = self._items.by_hash(owner, self._embedded.texts[item.text][0], item.kind)
        if stored is None:
            if same is None:
                self.new_facts.append(self._insert_item(item))
            else:
                self._merge_item(item, same)
        elif datetime.fromisoformat(stored.updated_at) < item.updated_at and (same is None or same.id == stored.id):
            self._record_embedder()
            row = replace(self._row(item), id=stored.id)
            self._items.rewrite(row, *self._embedded.texts[item.text][1:])
            self._end_versions(stored, row)
            self._restored.items += 1

    def _merge_item(self, item: ExportedItem, same: ItemRow) -> None:
        """Add sessions, metadata and times to the fact with an equal text."""
        self._restored.places[item.id] = same.id
        self._items.supersede_by(self._scope, item.id, same.id)
        merged = self._items.merge(self._row(item), is_dated=True)
        if merged is not None and merged != same:
            self._end_versions(same, merged)
            self._restored.merged += 1

    def _end_versions(self, before: ItemRow, after: ItemRow) -> None:
        """Have what a row supersedes expire when it does now."""
        if before.expires_at != after.expires_at:
            end_with(self._items, after)

    def _insert_item(self, item: ExportedItem) -> str:
        """Store a new row; its id, which is another one where another row of the user has the item's own."""
        row = self._row(item)
        self._record_embedder()
        columns = self._embedded.texts[item.text][1:]
        if not self._items.insert(row, *columns):
            row = replace(row, id=self._other_id(row.id))
            if row.links is not None:
                row = replace(row, links=dump_json([self._other_id(each) for each in row.linked_ids]))
            self._items.insert(row, *columns)
        self._restored.items += 1
        return row.id

    def _other_id(self, memory_id: str) -> str:
        """The id in the place of one that another row has; always the same, so that links lead to it."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"memweld:{self._scope}:{memory_id}"))

    def _record_embedder(self) -> None:
        """Before a vector is stored: all of them must be of one embedder."""
        if not self._is_recorded:
            self._embedded.record_embedder(self._connection)
            self._is_recorded = True

    def _row(self, item: ExportedItem) -> ItemRow:
        return row_of(item, owner_scope(self._scope, item.agent_id), self._embedded.texts[item.text][0])

    def store_session(self, session: ExportedSession) -> None:
        """The session's messages behind those that it has."""
        owner = owners.get_or_create(self._connection, owner_scope(self._scope, session.agent_id)).id
        times = (session.started_at, session.updated_at)
        started_at, updated_at = (moment.astimezone(timezone.utc).isoformat() for moment in times)
        created = self._connection.execute(
            "INSERT INTO sessions (owner, session_id, messages, started_at, updated_at) VALUES (?, ?, 0, ?, ?) "
            "ON CONFLICT (owner, session_id) DO NOTHING",
            (owner, session.session_id, started_at, updated_at),
        ).rowcount
        (number,) = self._connection.execute(
            "SELECT id FROM sessions WHERE owner = ? AND session_id = ?", (owner, session.session_id)
        ).fetchone()
        added = insert_messages(self._connection, number, session.messages)
        self._connection.execute(
            "UPDATE sessions SET messages = messages + ?, "
            "started_at = CASE WHEN started_at < ? THEN started_at ELSE ? END, "
            "updated_at = CASE WHEN updated_at > ? THEN updated_at ELSE ? END WHERE id = ?",
            (added, started_at, started_at, updated_at, updated_at, number),
        )
        if created or added:
            self._restored.sessions.add(number)
        self._restored.messages += added

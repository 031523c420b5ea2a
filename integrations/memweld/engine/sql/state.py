"""State: JSON values by owner, namespace and key, written and deleted together with the items of their texts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from ...models import ValueWrite
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import DeleteValue, GetValue, PutValue, StoredValue, WriteValues
from . import owners
from .damage import read_value
from .database import Connection, Database
from .dialect import Dialect
from .ttl import ALIVE, PurgeSchedule, delete_items, now

__all__ = ["StateStore", "TextWriter", "by_namespace", "insert_value", "new_version", "value_at"]

TextWriter: TypeAlias = Callable[[Sequence[tuple["PutValue | ValueWrite", "str | None"]]], list[str]]
"""Stores the texts of writes in the open transaction, each in the named item or a new one; returns the items' ids."""

_INSERT = (
    "INSERT INTO state (owner, namespace, key, version, created_at, value, updated_at, ttl, expires_at, record) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_CHANGE = (
    "UPDATE state SET version = version + 1, value = ?, updated_at = ?, ttl = ?, expires_at = ?, record = ? "
    "WHERE seq = ?"
)
# SQLite's default limit of variables in a statement was 999 before 3.32.
_CHUNK = 900


class _Row(NamedTuple):
    """A stored value, as far as a writer needs it."""

    seq: int
    record: str | None
    is_expired: bool


def by_namespace(places: Sequence[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """The places (namespace, key) in groups for one statement each: a namespace and some of its keys."""
    groups: dict[str, list[str]] = {}
    for namespace, key in places:
        groups.setdefault(namespace, []).append(key)
    for namespace, keys in groups.items():
        for start in range(0, len(keys), _CHUNK):
            yield namespace, keys[start : start + _CHUNK]


def value_at(dialect: Dialect) -> str:
    """The condition on the row of one value; its variables are owner, namespace and key."""
    return f"owner = ? AND {dialect.in_namespace} AND key = ?"


def new_version() -> int:
    """The version of a new value: any, so that a key that was deleted and set again never looks unchanged."""
    return random.getrandbits(48) + 1


def insert_value(connection: Connection, values: Sequence[Any]) -> None:
    """Store a new row: owner, namespace, key, version, created_at, value, updated_at, ttl, expires_at and record."""
    connection.execute(_INSERT, values)


class StateStore:
    """The state of all scopes, for writers, and one value for readers.

    Attributes:
        purging: When expired state is deleted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.purging = PurgeSchedule(database)
        self._in_namespace = database.dialect.in_namespace
        self._place = value_at(database.dialect)
        place = f"owner = {owners.OWNER} AND {database.dialect.in_namespace} AND key = ?"
        self._get = f"SELECT value, version FROM state WHERE {place} AND {ALIVE}"
        # It names columns of an index in its conditions alone: SQLite would write the pages of the indexes as well.
        replace = (
            f"UPDATE state SET version = version + 1, value = ?, updated_at = ? WHERE {place} "
            "AND record IS NULL AND ttl IS NULL AND expires_at IS NULL"
        )
        self._replace_any = f"{replace} RETURNING version"
        self._replace_version = f"{replace} AND version = ? RETURNING version"

    def get(self, scope: Scope, operation: GetValue) -> StoredValue | None:
        """The value and its version."""
        variables = (*owners.columns(scope), operation.namespace, operation.key, now())
        row = self._database.first(scope, self._get, variables)
        return StoredValue(read_value(row[0], operation.namespace, operation.key), row[1]) if row else None

    def put(self, scope: Scope, write: PutValue, write_text: TextWriter) -> int | None:
        """Store the value and its text; its new version, or None where the stored version is not ``if_version``."""
        with self._database.writing(scope) as connection:
            self.purging.purge_some(connection, scope)
            version = self._replace(connection, scope, write)
            if version is None:
                if write.if_version and owners.find(connection, scope) is None:
                    return None
                owner = owners.get_or_create(connection, scope).id
                version = self._put(connection, owner, write, write_text)
        self.purging.start()
        return version

    def write(self, scope: Scope, operation: WriteValues, write_text: TextWriter) -> None:
        """Store and delete values in one transaction."""
        writes = operation.writes
        with self._database.writing(scope) as connection:
            self.purging.purge_some(connection, scope)
            # A deletion creates no owner.
            find = owners.find if all(write.delete for write in writes) else owners.get_or_create
            owner = find(connection, scope)
            if owner is None:
                return
            # Of several writes of one key only the last leaves something.
            last = {(write.namespace, write.key): write for write in writes}
            stored = self._stored(connection, owner.id, list(last))
            # What is deleted and set again is a new value.
            deleted = {(write.namespace, write.key) for write in writes if write.delete}
            gone = [stored.pop(place) for place, row in list(stored.items()) if row.is_expired or place in deleted]
            connection.executemany("DELETE FROM state WHERE seq = ?", [(row.seq,) for row in gone])
            delete_items(connection, [(owner.id, row.record) for row in gone if row.record is not None])
            puts = [(write, stored.get(place)) for place, write in last.items() if not write.delete]
            self._put_all(connection, owner.id, puts, write_text)
        self.purging.start()

    def _stored(
        self, connection: Connection, owner: int, places: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], _Row]:
        """The rows at these places, expired ones too."""
        at = now()
        rows: dict[tuple[str, str], _Row] = {}
        for namespace, keys in by_namespace(places):
            found = connection.execute(
                f"SELECT key, seq, record, expires_at FROM state WHERE owner = ? AND {self._in_namespace} "
                f"AND key IN ({', '.join('?' * len(keys))})",
                (owner, namespace, *keys),
            )
            rows |= {
                (namespace, key): _Row(seq, record, end is not None and end <= at) for key, seq, record, end in found
            }
        return rows

    def _put_all(
        self,
        connection: Connection,
        owner: int,
        puts: Sequence[tuple[ValueWrite, _Row | None]],
        write_text: TextWriter,
    ) -> None:
        """Store values of different places, each in its row or a new one, with as few statements as there can be."""
        texts = [(write, None if row is None else row.record) for write, row in puts if write.text is not None]
        records = dict(zip((id(write) for write, _ in texts), write_text(texts) if texts else (), strict=True))
        bare = [row.record for write, row in puts if row is not None and row.record is not None and write.text is None]
        delete_items(connection, [(owner, record) for record in bare])
        at, moment = now(), utc_now().isoformat()
        changed: list[tuple[Any, ...]] = []
        created: list[tuple[Any, ...]] = []
        for write, row in puts:
            end = None if write.ttl is None else at + write.ttl
            fields = (dump_json(write.value), moment, write.ttl, end, records.get(id(write)))
            if row is None:
                created.append((owner, write.namespace, write.key, new_version(), moment, *fields))
            else:
                changed.append((*fields, row.seq))
        connection.executemany(_CHANGE, changed)
        connection.executemany(_INSERT, created)

    def delete(self, scope: Scope, operation: DeleteValue) -> bool:
        """Delete the key and its item, where the version is not another one; whether it was there."""
        with self._database.writing(scope) as connection:
            owner = owners.find(connection, scope)
            place = (operation.namespace, operation.key)
            return owner is not None and self._delete(connection, owner.id, *place, operation.if_version)

    def delete_record(self, connection: Connection, scope: Scope, record: str) -> None:
        """Delete the value of exactly this scope whose text this item was."""
        connection.execute(
            f"DELETE FROM state WHERE record = ? AND owner = {owners.OWNER}", (record, *owners.columns(scope))
        )

    def _replace(self, connection: Connection, scope: Scope, write: PutValue) -> int | None:
        """Replace a value by one statement, where neither has a text or an end; None elsewhere."""
        if write.text is not None or write.ttl is not None:
            return None
        variables = (
            dump_json(write.value),
            utc_now().isoformat(),
            *owners.columns(scope),
            write.namespace,
            write.key,
        )
        if write.if_version is None:
            row = connection.execute(self._replace_any, variables).fetchone()
        else:
            row = connection.execute(self._replace_version, (*variables, write.if_version)).fetchone()
        return None if row is None else int(row[0])

    def _put(self, connection: Connection, owner: int, write: PutValue, write_text: TextWriter) -> int | None:
        if_version, in_place = write.if_version, write.in_place
        place, at = (owner, write.namespace, write.key), now()
        stored = connection.execute(
            f"SELECT seq, version, record, expires_at FROM state WHERE {self._place}", place
        ).fetchone()
        if stored is not None and stored[3] is not None and stored[3] <= at:
            self._delete(connection, *place)
            stored = None
        if if_version is not None and if_version != (0 if stored is None else stored[1]):
            return None
        if in_place and stored is not None:
            connection.execute(
                "UPDATE state SET version = version + 1, value = ?, updated_at = ? WHERE seq = ?",
                (dump_json(write.value), utc_now().isoformat(), stored[0]),
            )
            return int(stored[1]) + 1
        record = None if stored is None else stored[2]
        if write.text is not None:
            (record,) = write_text([(write, record)])
        elif record is not None:
            delete_items(connection, [(owner, record)])
            record = None
        expires_at = None if write.ttl is None else at + write.ttl
        fields = (dump_json(write.value), utc_now().isoformat(), write.ttl, expires_at, record)
        if stored is None:
            version = new_version()
            insert_value(connection, (*place, version, fields[1], *fields))
            return version
        connection.execute(_CHANGE, (*fields, stored[0]))
        return int(stored[1]) + 1

    def _delete(
        self, connection: Connection, owner: int, namespace: str, key: str, if_version: int | None = None
    ) -> bool:
        unchanged, version = ("", ()) if if_version is None else (" AND version = ?", (if_version,))
        deleted = connection.execute(
            f"DELETE FROM state WHERE {self._place}{unchanged} RETURNING record, {ALIVE}",
            (owner, namespace, key, *version, now()),
        ).fetchall()
        delete_items(connection, [(owner, row[0]) for row in deleted if row[0] is not None])
        return any(row[1] for row in deleted)

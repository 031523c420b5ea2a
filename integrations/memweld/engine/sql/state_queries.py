"""State read in bulk: many keys at once, a namespace in the order of its keys, and namespaces below one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from ...models import ValueEntry
from ...scope import Scope
from ...validation import MAX_KEY_CHARACTERS
from ..filters import value_filter
from ..operations import FindValues, ListKeys, ListNamespaces, ReadValues, ScanValues
from . import owners
from .damage import read_value
from .database import Connection, Database
from .dialect import UNLIMITED
from .state import by_namespace
from .ttl import ALIVE, now, to_datetime

__all__ = ["StateQueries", "namespace_ranges"]

_COLUMNS = "namespace, key, value, version, created_at, updated_at, expires_at, ttl, seq"
_EXPIRES_AT, _TTL, _SEQ = 6, 7, 8

# Every namespace costs one step down the index, however many values it holds.
_NAMESPACES = f"""
WITH RECURSIVE names (name) AS (
    SELECT min(namespace) FROM state WHERE owner = ? AND namespace >= ? AND namespace < ?
    UNION ALL
    SELECT (SELECT min(namespace) FROM state WHERE owner = ? AND namespace > name AND namespace < ?)
    FROM names WHERE name IS NOT NULL
)
SELECT name, oldest FROM (SELECT name, (
    SELECT seq FROM state WHERE owner = ? AND namespace = name AND {ALIVE} ORDER BY seq LIMIT 1
) AS oldest FROM names) AS each
WHERE oldest IS NOT NULL
"""
_END = "\U0010ffff" * (MAX_KEY_CHARACTERS + 1)  # behind every namespace
_PAGE = 500


def _entry(row: Sequence[Any]) -> ValueEntry:
    namespace, key, value, version, created_at, updated_at, expires_at = row[:_TTL]
    return ValueEntry(
        namespace=namespace,
        key=key,
        value=read_value(value, namespace, key),
        version=version,
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        expires_at=to_datetime(expires_at),
    )


class StateQueries:
    """The state of all scopes, for readers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._in_namespace = f"owner = ? AND {database.dialect.in_namespace}"

    def keys(self, scope: Scope, operation: ListKeys) -> list[str]:
        """The keys of a namespace, sorted."""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            rows = connection.execute(
                f"SELECT key FROM state WHERE {self._in_namespace} AND {ALIVE} ORDER BY key",
                (owner.id, operation.namespace, now()),
            )
            return [row[0] for row in rows]

    def namespaces(self, scope: Scope, operation: ListNamespaces) -> list[str]:
        """The namespaces that hold values, in the order of the oldest value of each."""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            return [] if owner is None else _below(connection, owner.id, operation.under)

    def read(self, scope: Scope, operation: ReadValues) -> list[ValueEntry | None]:
        """The values at the places (namespace, key), in their order."""
        places = operation.places

        def read(connection: Connection) -> list[Any]:
            owner = owners.find(connection, scope)
            if owner is None:
                return [None] * len(places)
            found: dict[tuple[str, str], Any] = {}
            for namespace, keys in by_namespace(list(dict.fromkeys(places))):
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM state WHERE {self._in_namespace} AND {ALIVE} "
                    f"AND key IN ({', '.join('?' * len(keys))})",
                    (owner.id, namespace, now(), *keys),
                )
                found |= {(row[0], row[1]): row for row in rows}
            return [found.get(place) for place in places]

        return [None if row is None else _entry(row) for row in self._rows(scope, read, refresh=operation.refresh)]

    def scan(self, scope: Scope, operation: ScanValues) -> list[ValueEntry]:
        """The values of a namespace whose keys begin with the prefix, sorted, from behind the key ``after``."""
        namespace, prefix, after = operation.namespace, operation.prefix, operation.after or ""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM state WHERE {self._in_namespace} AND key >= ? AND key > ? "
                f"AND substr(key, 1, ?) = ? AND {ALIVE} ORDER BY key LIMIT ?",
                (owner.id, namespace, prefix, after, len(prefix), prefix, now(), operation.limit),
            )
            return [_entry(row) for row in rows]

    def find(self, scope: Scope, operation: FindValues, *, without_text: bool = False) -> list[ValueEntry]:
        """The values of the namespaces under ``under`` that fit, in order; or only those without a text."""
        condition = f"{ALIVE} AND record IS NULL" if without_text else ALIVE

        def find(connection: Connection) -> list[Any]:
            owner = owners.find(connection, scope)
            return [] if owner is None else list(self._fitting(connection, owner.id, operation, condition))

        return [_entry(row) for row in self._rows(scope, find, refresh=operation.refresh)]

    def _fitting(self, connection: Connection, owner: int, operation: FindValues, condition: str) -> Iterator[Any]:
        names = _below(connection, owner, operation.under)
        where, offset, limit = operation.where, operation.offset, operation.limit
        if where:
            rows = (row for name in names for row in self._scanned(connection, owner, name, condition))
            fits = value_filter(where)
            fitting = (row for row in rows if fits(read_value(row[2], row[0], row[1])))
            yield from islice(fitting, offset, None if limit is None else offset + limit)
            return
        left = UNLIMITED if limit is None else limit
        for name in names:
            if not left:
                return
            rows = self._page(connection, owner, name, condition, limit=left, offset=offset)
            yield from rows
            left -= len(rows)
            if offset:
                offset = 0 if rows else offset - self._count(connection, owner, name, condition)

    def _scanned(self, connection: Connection, owner: int, namespace: str, condition: str) -> Iterator[Any]:
        """All rows of a namespace, fetched in pages."""
        last = 0
        while rows := self._page(connection, owner, namespace, condition, limit=_PAGE, after=last):
            yield from rows
            last = rows[-1][_SEQ]

    def _page(
        self,
        connection: Connection,
        owner: int,
        namespace: str,
        condition: str,
        *,
        limit: int,
        after: int = 0,
        offset: int = 0,
    ) -> list[Any]:
        return connection.execute(
            f"SELECT {_COLUMNS} FROM state WHERE {self._in_namespace} AND seq > ? AND {condition} "
            "ORDER BY seq LIMIT ? OFFSET ?",
            (owner, namespace, after, now(), limit, offset),
        ).fetchall()

    def _count(self, connection: Connection, owner: int, namespace: str, condition: str) -> int:
        return connection.execute(
            f"SELECT count(*) FROM state WHERE {self._in_namespace} AND {condition}", (owner, namespace, now())
        ).fetchone()[0]

    def _rows(self, scope: Scope, read: Callable[[Connection], list[Any]], *, refresh: bool) -> list[Any]:
        """Do ``read``. A refresh repeats it and writes in the same transaction, if a value expires."""
        with self._database.reading(scope) as connection:
            rows = read(connection)
        if not refresh or all(row is None or row[_TTL] is None for row in rows):
            return rows
        with self._database.writing(scope) as connection:
            rows, start = read(connection), now()
            ends = {row[_SEQ]: start + row[_TTL] for row in rows if row is not None and row[_TTL] is not None}
            connection.executemany(
                "UPDATE state SET expires_at = ? WHERE seq = ?", [(end, seq) for seq, end in ends.items()]
            )
        return [
            (*row[:_EXPIRES_AT], ends[row[_SEQ]], *row[_TTL:]) if row is not None and row[_SEQ] in ends else row
            for row in rows
        ]


def namespace_ranges(under: str) -> list[tuple[str, str]]:
    """The ranges of names that hold a namespace and all below it: the first name, and the one behind the last."""
    # "0" is the character that follows the slash.
    return [(under, f"{under}\x01"), (f"{under}/", f"{under}0")] if under else [("", _END)]


def _below(connection: Connection, owner: int, under: str) -> list[str]:
    """The namespaces under ``under`` that hold values, in the order of the oldest value of each."""
    found: list[tuple[int, str]] = []
    for first, end in namespace_ranges(under):
        rows = connection.execute(_NAMESPACES, (owner, first, end, owner, end, owner, now()))
        found += [(oldest, name) for name, oldest in rows]
    return [name for _, name in sorted(found)]

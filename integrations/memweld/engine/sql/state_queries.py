"""State read in bulk: many keys at once, a namespace in the order of its keys, and namespaces that lie together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...models import JSON, ValueEntry
from ...scope import Scope
from ...validation import MAX_KEY_CHARACTERS, dump_json
from . import owners
from .database import Connection, Database
from .ttl import ALIVE, moment, now

__all__ = ["COLUMNS", "Catalogue"]

COLUMNS = "namespace, key, value, version, created_at, updated_at, expires_at, ttl, seq"


def _entry(row: Sequence[Any]) -> ValueEntry:
    namespace, key, value, version, created_at, updated_at, ends = row[:7]
    return ValueEntry(
        namespace=namespace,
        key=key,
        value=json.loads(value),
        version=version,
        created_at=datetime.fromisoformat(created_at),
        updated_at=datetime.fromisoformat(updated_at),
        expires_at=moment(ends),
    )


# Every namespace costs one step down the index, however many values it holds.
_NAMESPACES = f"""
WITH RECURSIVE names (name) AS (
    SELECT min(namespace) FROM state WHERE owner = :owner AND namespace >= :first AND namespace < :end
    UNION ALL
    SELECT (SELECT min(namespace) FROM state WHERE owner = :owner AND namespace > name AND namespace < :end)
    FROM names WHERE name IS NOT NULL
)
SELECT name, oldest FROM (SELECT name, (
    SELECT seq FROM state
    WHERE owner = :owner AND namespace = name AND {ALIVE.replace("?", ":now")} ORDER BY seq LIMIT 1
) AS oldest FROM names) AS each
WHERE oldest IS NOT NULL
"""
_END = "\U0010ffff" * (MAX_KEY_CHARACTERS + 1)  # behind every namespace


class Catalogue:
    """The state of all scopes, for readers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of a namespace, sorted."""
        with self._database.reading() as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            rows = connection.execute(
                f"SELECT key FROM state WHERE owner = ? AND namespace = ? AND {ALIVE} ORDER BY key",
                (owner.id, namespace, now()),
            )
            return [row[0] for row in rows]

    def namespaces(self, scope: Scope, under: str) -> list[str]:
        """The namespaces that hold values, in the order of the oldest value of each."""
        with self._database.reading() as connection:
            owner = owners.find(connection, scope)
            return [] if owner is None else self._lying(connection, owner.id, under)

    def read(self, scope: Scope, wanted: Sequence[tuple[str, str]], *, refresh: bool) -> list[ValueEntry | None]:
        """The values at these places, in this order."""

        def read(connection: Connection) -> list[Any]:
            owner = owners.find(connection, scope)
            if owner is None:
                return [None] * len(wanted)
            return [
                connection.execute(
                    f"SELECT {COLUMNS} FROM state WHERE owner = ? AND namespace = ? AND key = ? AND {ALIVE}",
                    (owner.id, *place, now()),
                ).fetchone()
                for place in wanted
            ]

        return [None if row is None else _entry(row) for row in self._rows(read, refresh=refresh)]

    def scan(self, scope: Scope, namespace: str, *, prefix: str, after: str | None, limit: int) -> list[ValueEntry]:
        """The values of a namespace whose keys begin with the prefix, sorted, from behind the key ``after``."""
        with self._database.reading() as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM state WHERE owner = ? AND namespace = ? AND key >= ? AND key > ? "
                f"AND substr(key, 1, ?) = ? AND {ALIVE} ORDER BY key LIMIT ?",
                (owner.id, namespace, prefix, after or "", len(prefix), prefix, now(), limit),
            )
            return [_entry(row) for row in rows]

    def find(
        self,
        scope: Scope,
        *,
        under: str,
        where: Mapping[str, JSON] | None,
        offset: int,
        limit: int | None,
        refresh: bool,
    ) -> list[ValueEntry]:
        """The values of the namespaces under ``under`` that fit, in order."""

        def find(connection: Connection) -> list[Any]:
            owner = owners.find(connection, scope)
            return [] if owner is None else self._found(connection, owner.id, under, where, offset, limit)

        return [_entry(row) for row in self._rows(find, refresh=refresh)]

    def _found(  # noqa: PLR0917 - as `find` has them
        self,
        connection: Connection,
        owner: int,
        under: str,
        where: Mapping[str, JSON] | None,
        offset: int,
        limit: int | None,
    ) -> list[Any]:
        rows: list[Any] = []
        for name in self._lying(connection, owner, under):
            place = (owner, name)
            room = -1 if limit is None else limit - len(rows)
            if not room:
                break
            found = self._fitting(connection, place, where, offset, room)
            if where:
                rows += found[offset:]
                offset = max(offset - len(found), 0)
            else:
                rows += found
                offset -= min(offset, self._count(connection, place)) if offset else 0
        return rows

    def _fitting(
        self,
        connection: Connection,
        place: tuple[int, str],
        where: Mapping[str, JSON] | None,
        offset: int,
        limit: int,
    ) -> list[Any]:
        """Rows of one namespace. With conditions those that the offset leaves out come along, to be counted."""
        if where:
            condition, variables = " AND value_fits(value, ?)", [dump_json(where)]
            limit, offset = (limit if limit < 0 else limit + offset), 0
        else:
            condition, variables = "", []
        return connection.execute(
            f"SELECT {COLUMNS} FROM state WHERE owner = ? AND namespace = ? AND {ALIVE}{condition} "
            "ORDER BY seq LIMIT ? OFFSET ?",
            (*place, now(), *variables, limit, offset),
        ).fetchall()

    def _count(self, connection: Connection, place: tuple[int, str]) -> int:
        return connection.execute(
            f"SELECT count(*) FROM state WHERE owner = ? AND namespace = ? AND {ALIVE}", (*place, now())
        ).fetchone()[0]

    def _lying(self, connection: Connection, owner: int, under: str) -> list[str]:
        """The namespaces under ``under`` that hold values, in the order of the oldest value of each."""
        # "0" is the character that follows the slash.
        ranges = [(under, f"{under}\x01"), (f"{under}/", f"{under}0")] if under else [("", _END)]
        found: list[tuple[int, str]] = []
        for first, end in ranges:
            rows = connection.execute(_NAMESPACES, {"owner": owner, "first": first, "end": end, "now": now()})
            found += [(oldest, name) for name, oldest in rows]
        return [name for _, name in sorted(found)]

    def _rows(self, read: Callable[[Connection], list[Any]], *, refresh: bool) -> list[Any]:
        """What ``read`` reads. To refresh is to read it again and write in one transaction, if something expires."""
        with self._database.reading() as connection:
            rows = read(connection)
        if not refresh or all(row is None or row[7] is None for row in rows):
            return rows
        with self._database.writing() as connection:
            rows, start = read(connection), now()
            ends = {row[8]: start + row[7] for row in rows if row is not None and row[7] is not None}
            connection.executemany(
                "UPDATE state SET expires_at = ? WHERE seq = ?", [(end, seq) for seq, end in ends.items()]
            )
        return [(*row[:6], ends[row[8]], *row[7:]) if row is not None and row[8] in ends else row for row in rows]

"""The SQL of the embedded file as Postgres takes it, and vectors as pgvector sends them.

The stores write SQL that both understand but for four things: how variables are marked, ``LIMIT -1`` for no limit, how
a namespace is found in an index, and bytes, which in our tables are always vectors.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format

from ..sql.database import Cursor

__all__ = ["Connection", "PostgresConnection", "adapt"]

Connection = psycopg.Connection[tuple[Any, ...]]

_HEADER = 4  # pgvector's binary form: dimensions and an unused field of two bytes each, then big-endian floats


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> Buffer | None:
        vector = np.frombuffer(obj, dtype="<f4")
        return len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> bytes:
        return np.frombuffer(bytes(data)[_HEADER:], dtype=">f4").astype("<f4").tobytes()


def adapt(connection: Connection, vector_type: int) -> None:
    """Let this connection take and give little-endian float32 bytes for vectors."""
    # Its type is left to the place where it stands, because it is another number in each database.
    connection.adapters.register_dumper(bytes, _VectorDumper)
    connection.adapters.register_loader(vector_type, _VectorLoader)


@functools.lru_cache(maxsize=512)
def _positional(sql: str) -> LiteralString:
    translated = sql.replace("%", "%%").replace("LIMIT ?", "LIMIT nullif(?::bigint, -1)")
    # Indexes have a digest of the one and the beginning of the other: a long namespace and a long key are too much.
    translated = translated.replace("namespace = ?", "in_namespace(digest, namespace, ?)")
    translated = translated.replace("key >= ? AND key < ?", "key_within(beginning, key, ?, ?)")
    return cast("LiteralString", translated.replace("?", "%s"))


@functools.lru_cache(maxsize=64)
def _named(sql: str) -> LiteralString:
    return cast("LiteralString", re.sub(r"(?<!:):([a-z_]+)", r"%(\1)s", sql.replace("%", "%%")))


class PostgresConnection:
    """A connection that is used as those of the ``sqlite3`` module are.

    Attributes:
        total_changes: How many rows were written through it.
    """

    def __init__(self, raw: Connection) -> None:
        self.raw = raw
        self.total_changes = 0

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Cursor:
        """Run one statement."""
        translated = _named(sql) if isinstance(parameters, Mapping) else _positional(sql)
        cursor = self.raw.execute(translated, parameters, binary=True)
        self._count(cursor)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Cursor:
        """Run one statement with each of the variables."""
        rows = list(parameters)
        if len(rows) == 1:
            return self.execute(sql, rows[0])
        cursor = self.raw.cursor(binary=True)
        if rows:
            cursor.executemany(_positional(sql), rows)
            self._count(cursor)
        return cursor

    def _count(self, cursor: psycopg.Cursor[Any]) -> None:
        if cursor.statusmessage is None or not cursor.statusmessage.startswith("SELECT"):
            self.total_changes += max(cursor.rowcount, 0)

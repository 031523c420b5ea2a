"""A psycopg connection as the stores use one: ``?`` for variables, and vectors as pgvector sends them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Sequence
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format

from ..sql.database import Cursor

__all__ = ["PostgresConnection", "RawConnection", "UserLock", "adapt"]

RawConnection = psycopg.Connection[tuple[Any, ...]]

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


def adapt(connection: RawConnection, vector_type: int) -> None:
    """Let this connection take and give little-endian float32 bytes for vectors."""
    # Postgres infers the type from the place where it stands: its number is another one in each database.
    connection.adapters.register_dumper(bytes, _VectorDumper)
    connection.adapters.register_loader(vector_type, _VectorLoader)


@functools.lru_cache(maxsize=512)
def _numbered(sql: str) -> LiteralString:
    """A statement with ``$1, $2…``, as Postgres itself names its variables, for one with ``?``."""
    first, *others = sql.split("?")
    return cast("LiteralString", first + "".join(f"${number}{part}" for number, part in enumerate(others, 1)))


class UserLock:
    """The lock of the threads of this process that write for one user."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


class PostgresConnection:
    """A connection that is used as those of the ``sqlite3`` module are.

    Attributes:
        raw: psycopg's connection.
        total_changes: How many rows were written through it.
        user_lock: The lock that its transaction holds in this process, if it writes.
    """

    def __init__(self, raw: RawConnection) -> None:
        self.raw = raw
        self.user_lock: UserLock | None = None
        self.total_changes = 0

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Cursor:
        """Run one statement."""
        cursor = psycopg.RawCursor(self.raw)
        cursor.execute(_numbered(sql), parameters, binary=True)
        self._count(cursor)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]]) -> Cursor:
        """Run one statement with each of the variables."""
        rows = list(parameters)
        if len(rows) == 1:
            return self.execute(sql, rows[0])
        cursor = psycopg.RawCursor(self.raw)
        cursor.format = Format.BINARY
        if rows:
            cursor.executemany(_numbered(sql), rows)
            self._count(cursor)
        return cursor

    def _count(self, cursor: psycopg.Cursor[Any]) -> None:
        if cursor.statusmessage is None or not cursor.statusmessage.startswith("SELECT"):
            self.total_changes += max(cursor.rowcount, 0)

"""A psycopg connection with the interface of ``sqlite3``, ``?`` for variables, vectors in pgvector's binary form."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format
from typing_extensions import LiteralString

from ..sql.database import Cursor

__all__ = ["PostgresConnection", "RawConnection", "UserLock", "adapt", "lock_number"]

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


def lock_number(*names: str) -> int:
    """The advisory lock of a name: 64 bits, so that two users hardly ever share one (and then merely wait)."""
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8, person=b"memweld").digest()
    return int.from_bytes(digest, "big", signed=True)


def adapt(connection: RawConnection, vector_type: int) -> None:
    """Make this connection accept and return vectors as little-endian float32 bytes."""
    # The dumper names no type: Postgres infers it from the column, and pgvector's OID differs in each database.
    connection.adapters.register_dumper(bytes, _VectorDumper)
    connection.adapters.register_loader(vector_type, _VectorLoader)


@functools.lru_cache(maxsize=512)
def _numbered(sql: str) -> LiteralString:
    """Rewrite ``?`` to Postgres's own ``$1, $2…``."""
    first, *others = sql.split("?")
    return cast("LiteralString", first + "".join(f"${number}{part}" for number, part in enumerate(others, 1)))


class UserLock:
    """A lock between the threads of this process that write for one user."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


class PostgresConnection:
    """A psycopg connection with the methods of a ``sqlite3`` one.

    Attributes:
        raw: psycopg's connection.
        total_changes: How many rows it has written.
        user_lock: The lock that its open transaction holds; None while it only reads.
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
        """Run one statement once per sequence of parameters."""
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

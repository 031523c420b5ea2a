"""The vectors of one user in RAM: a matrix that follows the table, also when another process writes.

Each write of items raises a counter of the user's root owner. An index remembers the counter it has seen, and reads
only rows stamped later; after a removal it is read anew. All indexes together stay below a number of bytes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .embedders import Vector

__all__ = ["IndexCache", "Snapshot", "as_bytes"]

_KINDS = {"item": 0, "preference": 1, "task": 2}
_FREE_SESSION = -1
_START = 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one root at one moment, ordered by their place in the table.

    Attributes:
        places: The ``seq`` of each row, ascending, shape (n,).
        owners: The owner's id of each row, shape (n,).
        kinds: 0 item, 1 preference, 2 task, shape (n,).
        sessions: A number for each row's session, -1 without one, shape (n,).
        vectors: Unit vectors, shape (n, dimensions).
    """

    places: NDArray[np.int64]
    owners: NDArray[np.int64]
    kinds: NDArray[np.int8]
    sessions: NDArray[np.int32]
    vectors: NDArray[np.float32]

    def of_kinds(self, kinds: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which rows are of these kinds."""
        return np.isin(self.kinds, [_KINDS[kind] for kind in kinds])

    def positions(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where these places stand in the snapshot, and which of them do."""
        at = np.searchsorted(self.places, places)
        inside = at < len(self.places)
        known = inside & (self.places[np.where(inside, at, 0)] == places) if len(self.places) else inside
        return at, known


class _Index:
    """The growing arrays behind the snapshots of one root."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.version = -1
        self._codes: dict[str, int] = {}
        self._count = 0
        self._arrays: dict[str, NDArray[Any]] = {}
        self.bytes = 0

    def snapshot(self) -> Snapshot:
        """Views of the rows as they are now; later growth does not change them."""
        return Snapshot(**{name: array[: self._count] for name, array in self._arrays.items()})

    def refresh(self, connection: sqlite3.Connection, root: int) -> None:
        """Catch up with the table as this connection's transaction sees it."""
        counters = connection.execute("SELECT version, cleared FROM owners WHERE id = ?", (root,)).fetchone()
        version, cleared = counters or (self.version + 1, self.version + 1)
        if version <= self.version:
            return
        if cleared > self.version:
            self._count, self._arrays, self._codes, self.version = 0, {}, {}, -1
        rows = connection.execute(
            "SELECT seq, owner, kind, session_id, vector FROM items WHERE root = ? AND stamp > ? ORDER BY seq",
            (root, self.version),
        ).fetchall()
        if rows:
            self._take(rows)
        self.bytes = sum(array.nbytes for array in self._arrays.values())
        self.version = version

    def _take(self, rows: list[Any]) -> None:
        fresh = {
            "places": np.array([row[0] for row in rows], dtype=np.int64),
            "owners": np.array([row[1] for row in rows], dtype=np.int64),
            "kinds": np.array([_KINDS[row[2]] for row in rows], dtype=np.int8),
            "sessions": np.array([self._code(row[3]) for row in rows], dtype=np.int32),
            "vectors": np.frombuffer(b"".join(row[4] for row in rows), dtype=np.float32).reshape(len(rows), -1),
        }
        last = int(self._arrays["places"][self._count - 1]) if self._count else 0
        new = fresh["places"] > last
        if not new.all():
            # A changed row is copied before it is overwritten: a search may be reading the arrays.
            at = np.searchsorted(self._arrays["places"][: self._count], fresh["places"][~new])
            for name, values in fresh.items():
                changed = self._arrays[name].copy()
                changed[at] = values[~new]
                self._arrays[name] = changed
        self._append({name: values[new] for name, values in fresh.items()})

    def _append(self, fresh: Mapping[str, NDArray[Any]]) -> None:
        count = self._count + len(fresh["places"])
        for name, values in fresh.items():
            array = self._arrays.get(name)
            if array is None or len(array) < count:
                room = max(_START, count + count // 2) if array is not None else max(_START, count)
                grown = np.empty((room, *values.shape[1:]), dtype=values.dtype)
                if array is not None:
                    grown[: self._count] = array[: self._count]
                self._arrays[name] = array = grown
            array[self._count : count] = values
        self._count = count

    def _code(self, session: str | None) -> int:
        return _FREE_SESSION if session is None else self._codes.setdefault(session, len(self._codes))


class IndexCache:
    """The indexes that were used last.

    Args:
        maximum_bytes: What all matrices together may take; the index in use may go beyond it.
    """

    def __init__(self, *, maximum_bytes: int = 512 * 1024 * 1024) -> None:
        self._maximum = maximum_bytes
        self.forget()

    def read(self, connection: sqlite3.Connection, root: int) -> Snapshot | None:
        """The root's rows as this connection's transaction sees them, or later; None if there are none."""
        with self._lock:
            index = self._indexes.setdefault(root, _Index())
            self._indexes.move_to_end(root)
        with index.lock:
            before = index.bytes
            index.refresh(connection, root)
            grown = index.bytes - before
            snapshot = index.snapshot() if index.bytes else None
        if grown:
            self._account(root, index, grown)
        return snapshot

    def forget(self) -> None:
        """Drop everything; the next search reads anew."""
        self._lock = threading.Lock()
        self._indexes: OrderedDict[int, _Index] = OrderedDict()
        self._bytes = 0

    def _account(self, root: int, index: _Index, grown: int) -> None:
        with self._lock:
            if self._indexes.get(root) is not index:
                return
            self._bytes += grown
            while self._bytes > self._maximum and len(self._indexes) > 1:
                self._bytes -= self._indexes.popitem(last=False)[1].bytes


def as_bytes(vector: Vector) -> bytes:
    """A vector as the table keeps it: little-endian float32."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()

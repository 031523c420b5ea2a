"""The vectors and words of one user in RAM. The index follows the table, even when another process writes.

Each write of items raises a counter of the user's root owner. An index remembers the counter it has seen, and reads the
rows stamped later. After a deletion it counts the table's rows to find the missing ones. It keeps their positions
until they are a quarter of all. It never writes into arrays that a search may be reading, except behind their end.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sql.damage import damaged
from ..sql.database import Connection, Cursor
from ..sql.schema import earlier_text
from .inverted_index import InvertedIndex
from .snapshot import KINDS, Patches, Snapshot
from .tokenizer import pack_terms

__all__ = ["VectorIndex"]

_NONE = -1
_CHUNK = 4096
# The RAM of an index without rows, and of a session.
_FIXED_BYTES = 4096
_SESSION_BYTES = 200
# This many changed vectors stand beside the matrix, or a sixteenth of its rows, before they go into a new matrix.
_PATCHES = 64
# With fewer deleted rows than this, moving the others does not pay.
_DEAD = 64
# To find deleted rows, the index counts the rows of this many parts, and again within parts that miss some, until a
# part has so few rows that it reads their places. If so many are missing, it reads all places at once.
_PARTS, _FEW, _MANY = 32, 256, 256

# The time of a value under a key is when the key got it, not when the key was first set.
_TIMESTAMP = "CASE WHEN key IS NULL THEN created_at ELSE updated_at END"
# Terms are NULL in a row whose words would be taken apart in another way by now.
# An earlier text has no neighbours among the messages of its session.
_SESSION = f"CASE WHEN {earlier_text()} THEN NULL ELSE session_id END"
_COLUMNS = (
    f"seq, owner, kind, {_SESSION}, {_TIMESTAMP}, terms, {{vector}}, CASE WHEN terms IS NULL THEN text END, "
    "valid_from, valid_until"
)


class VectorIndex:
    """The growing arrays behind the snapshots of one root owner.

    Attributes:
        lock: A caller of `refresh` and `snapshot` holds it.
        bytes: About how much RAM the index takes.
        version: The root owner's counter up to which the index knows the rows.
    """

    def __init__(self, *, has_vectors: bool = True) -> None:
        self._columns = _COLUMNS.format(vector="vector" if has_vectors else "x''")
        self.lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.version = -1
        self.bytes = _FIXED_BYTES
        self._sessions: dict[tuple[int, str], int] = {}
        # The position of each session's last row.
        self._last: list[int] = []
        self._count = 0
        self._deleted = 0
        self._arrays: dict[str, NDArray[Any]] = {}
        self._patches: dict[int, NDArray[np.float32]] = {}
        self._terms = InvertedIndex()

    def snapshot(self) -> Snapshot | None:
        """Views of the present rows, which later changes leave alone; None if there are none."""
        if self._count == self._deleted:
            return None
        arrays = {name: array[: self._count] for name, array in self._arrays.items() if name != "sessions"}
        alive = arrays.pop("alive")
        patches = None
        if self._patches:
            rows = np.fromiter(self._patches, dtype=np.int64, count=len(self._patches))
            patches = Patches(rows, np.stack(list(self._patches.values())))
        return Snapshot(
            **arrays,
            terms=self._terms,
            patches=patches,
            alive=alive if self._deleted else None,
            deleted=self._deleted,
            total=None,
        )

    def refresh(self, connection: Connection, root: int) -> bool:
        """Catch up with the table as this connection's transaction sees it.

        Returns:
            False if the index already knows rows that the transaction is too old to see.
        """
        counters = connection.execute("SELECT version, cleared FROM owners WHERE id = ?", (root,)).fetchone()
        if counters is None:
            self._begin()
            return True
        version, cleared = counters
        if version <= self.version:
            return version == self.version
        try:
            if self._count and not (self._remove(connection, root, cleared) and self._change(connection, root)):
                self._begin()
            if not self._count:
                self._fill(connection, root)
        except BaseException:
            # A half-done change would leave words and vectors out of step.
            self._begin()
            raise
        self.version = version
        used = sum(array[: self._count].nbytes for array in self._arrays.values())
        self.bytes = _FIXED_BYTES + used + self._terms.bytes + _SESSION_BYTES * len(self._last)
        return True

    def _fill(self, connection: Connection, root: int) -> None:
        """Read all rows."""
        self._begin()
        (count,) = connection.execute("SELECT count(*) FROM items WHERE root = ?", (root,)).fetchone()
        rows = connection.execute(f"SELECT {self._columns} FROM items WHERE root = ? ORDER BY seq", (root,))
        self._add(_chunks(rows), count)

    def _change(self, connection: Connection, root: int) -> bool:
        """Read the rows written since; False if the index must read all rows anew."""
        rows = connection.execute(
            f"SELECT {self._columns} FROM items WHERE root = ? AND stamp > ? ORDER BY seq", (root, self.version)
        ).fetchall()
        last = int(self._arrays["seqs"][self._count - 1])
        changed = [row for row in rows if row[0] <= last]
        # New rows follow all others, and the query returns them in order.
        if changed and not self._rewrite(changed):
            return False
        fresh = rows[len(changed) :]
        if fresh and len(fresh[0][6]) != self._arrays["vectors"].shape[1] * 4:
            return False
        self._add([fresh] if fresh else [], len(fresh))
        return True

    def _add(self, chunks: Iterator[list[Any]] | Sequence[list[Any]], count: int) -> None:
        """Append rows, about ``count`` of them."""
        added: list[bytes] = []
        for rows in chunks:
            terms = [_terms(row) for row in rows]
            self._append(
                {
                    **_columns(rows, terms),
                    "seqs": np.array([row[0] for row in rows], dtype=np.int64),
                    "sessions": np.array([self._session(row) for row in rows], dtype=np.int64),
                    "previous": self._neighbours(rows),
                    "vectors": _vectors(rows),
                    "alive": np.ones(len(rows), dtype=np.bool_),
                },
                count,
            )
            added += terms
        if added:
            self._terms = self._terms.extended(added)

    def _rewrite(self, rows: list[Any]) -> bool:
        """Change the contents of rows; False if the index must read all rows anew."""
        at = np.searchsorted(self._arrays["seqs"][: self._count], [row[0] for row in rows])
        vectors = _vectors(rows)
        sessions = [self._session(row) for row in rows]
        known = np.array_equal(self._arrays["seqs"][at], [row[0] for row in rows])
        if (
            not known
            or 2 * len(rows) > self._count
            or vectors.shape[1] != self._arrays["vectors"].shape[1]
            or self._arrays["sessions"][at].tolist() != sessions
        ):
            return False
        terms = [_terms(row) for row in rows]
        self._terms.replace(at.tolist(), terms)
        for name, values in _columns(rows, terms).items():
            self._overwrite(name, at, values)
        self._patches.update(zip(at.tolist(), vectors, strict=True))
        if len(self._patches) > max(_PATCHES, self._count // 16):
            self._write_patches()
        return True

    def _write_patches(self) -> None:
        if self._patches:
            rows = np.fromiter(self._patches, dtype=np.int64, count=len(self._patches))
            self._overwrite("vectors", rows, np.stack(list(self._patches.values())))
            self._patches = {}

    def _remove(self, connection: Connection, root: int, cleared: int) -> bool:
        """Remove the rows that the table no longer has; False if the index must read all rows anew."""
        if cleared <= self.version:
            return True
        missing = self._missing(connection, root)
        if self._deleted + len(missing) == self._count:
            return False
        if len(missing):
            self._mark_deleted(missing)
        if self._deleted > max(_DEAD, self._count // 4):
            self._compact()
        return True

    def _missing(self, connection: Connection, root: int) -> NDArray[np.int64]:
        """The positions of rows that the table no longer has.

        Counting rows takes a tenth of the time of reading their places. New rows follow all others, so no new row can
        hide a missing one in a count.
        """
        alive = np.flatnonzero(self._arrays["alive"][: self._count])
        seqs = self._arrays["seqs"][alive]
        found: list[NDArray[np.int64]] = []
        parts = [(0, len(seqs))]
        while parts:
            first, last = parts.pop()
            if last - first <= _FEW:
                found.append(alive[first:last][~_exists(connection, root, seqs[first:last])])
                continue
            ends = np.linspace(first, last, _PARTS + 1).astype(np.int64).tolist()
            pieces = list(pairwise(ends))
            counts = _counts(connection, root, [(int(seqs[a]), int(seqs[b - 1])) for a, b in pieces])
            lost = [b - a - count for (a, b), count in zip(pieces, counts, strict=True)]
            if sum(lost) > _MANY:
                found.append(alive[first:last][~_exists(connection, root, seqs[first:last])])
            else:
                parts += [piece for piece, missing in zip(pieces, lost, strict=True) if missing]
        # Empty if the deleted rows were also added since the last refresh.
        return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def _mark_deleted(self, rows: NDArray[np.int64]) -> None:
        """Remove rows from their sessions and from the inverted index."""
        self._deleted += len(rows)
        self._overwrite("alive", rows, False)
        self._overwrite("lengths", rows, 0)
        alive = self._arrays["alive"][: self._count]
        previous = self._arrays["previous"][: self._count].copy()
        for session in set(self._arrays["sessions"][rows].tolist()) - {_NONE}:
            while self._last[session] >= 0 and not alive[self._last[session]]:
                self._last[session] = int(previous[self._last[session]])
        # The successor of a deleted row now follows the row before it.
        while len(orphans := np.flatnonzero((previous >= 0) & ~alive[previous])):
            previous[orphans] = previous[previous[orphans]]
        previous[rows] = _NONE
        self._arrays["previous"] = previous
        self._terms.remove(rows.tolist())
        for row in rows.tolist():
            self._patches.pop(row, None)

    def _compact(self) -> None:
        """Close the gaps of deleted rows."""
        self._write_patches()
        alive = self._arrays["alive"][: self._count]
        new_rows = np.append(np.cumsum(alive) - 1, _NONE)
        self._terms = self._terms.compacted(alive)
        self._arrays = {name: array[: self._count][alive] for name, array in self._arrays.items()}
        self._arrays["previous"] = new_rows[self._arrays["previous"]]
        self._last = [int(new_rows[row]) for row in self._last]
        self._count, self._deleted = len(self._arrays["seqs"]), 0

    def _session(self, row: Any) -> int:
        """The number of the row's session."""
        if row[3] is None:
            return _NONE
        number = self._sessions.setdefault((row[1], row[3]), len(self._last))
        if number == len(self._last):
            self._last.append(_NONE)
        return number

    def _neighbours(self, rows: list[Any]) -> NDArray[np.int64]:
        """For each new row, the position of the preceding row in the same session of the same owner."""
        previous = np.full(len(rows), _NONE, dtype=np.int64)
        for offset, row in enumerate(rows):
            session = self._session(row)
            if session != _NONE:
                previous[offset] = self._last[session]
                self._last[session] = self._count + offset
        return previous

    def _append(self, fresh: Mapping[str, NDArray[Any]], expected: int) -> None:
        count = self._count + len(fresh["seqs"])
        for name, values in fresh.items():
            array = self._arrays.get(name)
            if array is None or len(array) < count:
                # Unwritten room takes no RAM. A first read knows how much it needs.
                room = max(count, expected) if array is None else count + count // 2
                grown = np.empty((room, *values.shape[1:]), dtype=values.dtype)
                if array is not None:
                    grown[: self._count] = array[: self._count]
                self._arrays[name] = array = grown
            array[self._count : count] = values
        self._count = count

    def _overwrite(self, name: str, at: NDArray[np.int64], values: Any) -> None:
        # A copy, because a search may be reading the array.
        changed = self._arrays[name].copy()
        changed[at] = values
        self._arrays[name] = changed


def _counts(connection: Connection, root: int, ranges: Sequence[tuple[int, int]]) -> list[int]:
    """The number of the table's rows in each of these ranges of places, both ends included."""
    count = "(SELECT count(*) FROM items WHERE root = ? AND seq BETWEEN ? AND ?)"
    variables = [variable for first, last in ranges for variable in (root, int(first), int(last))]
    return list(connection.execute(f"SELECT {', '.join([count] * len(ranges))}", variables).fetchone())


def _exists(connection: Connection, root: int, seqs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these places, ascending, the table has."""
    if not len(seqs):
        return np.zeros(0, dtype=np.bool_)
    ends = (root, int(seqs[0]), int(seqs[-1]))
    rows = connection.execute("SELECT seq FROM items WHERE root = ? AND seq BETWEEN ? AND ?", ends).fetchall()
    return np.isin(seqs, np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)))


def _chunks(rows: Cursor) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _terms(row: Any) -> bytes:
    return pack_terms(row[7]) if row[5] is None else bytes(row[5])


def _columns(rows: list[Any], terms: list[bytes]) -> dict[str, NDArray[Any]]:
    """The columns that can change in a row, except its vector."""
    return {
        "owners": np.array([row[1] for row in rows], dtype=np.int64),
        "kinds": np.array([KINDS[row[2]] for row in rows], dtype=np.int8),
        "timestamps": np.array([_seconds(row[4]) for row in rows], dtype=np.float64),
        "validity": np.array([row[8:] for row in rows], dtype=np.float64),
        "lengths": np.array([len(each) // 4 for each in terms], dtype=np.float32),
    }


def _seconds(moment: str) -> float:
    """The time in seconds since 1970; 0 in a damaged row, which is an error where it is read."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return 0.0


def _vectors(rows: list[Any]) -> NDArray[np.float32]:
    lengths = Counter(len(row[6]) for row in rows)
    if len(lengths) > 1:
        usual = lengths.most_common(1)[0][0]
        seq = next(row[0] for row in rows if len(row[6]) != usual)
        problem = ValueError(f"its vector is not of {usual // 4} numbers")
        raise damaged(f"The memory in row {seq} of the table items", "delete that row", problem)
    return np.frombuffer(b"".join(row[6] for row in rows), dtype=np.float32).reshape(len(rows), -1)

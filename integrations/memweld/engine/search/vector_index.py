"""The vectors and words of one user in RAM: they follow the table, also when another process writes.

Each write of items raises a counter of the user's root owner. An index remembers the counter that it has seen, reads
the rows that were stamped later, and after a removal counts the table's rows to find where some are gone. Their rows
keep their position until they are a quarter of all. Arrays that a search may be reading are never written to, except
behind its end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sql.database import Connection, Cursor
from .inverted_index import Lexicon
from .snapshot import KINDS, Patches, Snapshot
from .tokenizer import pack_terms

__all__ = ["Index"]

_NOBODY = -1
_CHUNK = 4096
# What an index takes without any rows.
_FIXED_BYTES = 4096
_SESSION_BYTES = 200
# So many changed vectors stand beside the matrix, or a sixteenth of its rows, before they are written into a new one.
_PATCHES = 64
# Fewer dead rows than this are not worth moving the others.
_DEAD = 64
# Where rows are gone is looked for in so many parts, and again in those where some are, down to so few rows that their
# places are read. If so many are gone, all are read at once.
_PARTS, _FEW, _MANY = 32, 256, 256

# Terms are NULL where an older memweld wrote the row, or words are taken apart in another way by now.
# What stands under a key was made when the key got it, not when the key was first set.
_MOMENT = "CASE WHEN key IS NULL THEN created_at ELSE updated_at END"
_COLUMNS = f"seq, owner, kind, session_id, {_MOMENT}, terms, vector, CASE WHEN terms IS NULL THEN text END"


class Index:
    """The growing arrays behind the snapshots of one root.

    Attributes:
        lock: For `refresh` and `snapshot`.
        bytes: About how much RAM it takes.
        version: The counter up to which it knows the rows.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self.version = -1
        self.bytes = _FIXED_BYTES
        self._sessions: dict[tuple[int, str], int] = {}
        # The last row of each session.
        self._last: list[int] = []
        self._count = 0
        self._gone = 0
        self._arrays: dict[str, NDArray[Any]] = {}
        self._patches: dict[int, NDArray[np.float32]] = {}
        self._lexicon = Lexicon()

    def snapshot(self) -> Snapshot | None:
        """Views of the rows as they are now, which later changes leave alone; None if there are none."""
        if self._count == self._gone:
            return None
        arrays = {name: array[: self._count] for name, array in self._arrays.items() if name != "sessions"}
        alive = arrays.pop("alive")
        patches = None
        if self._patches:
            rows = np.fromiter(self._patches, dtype=np.int64, count=len(self._patches))
            patches = Patches(rows, np.stack(list(self._patches.values())))
        return Snapshot(
            **arrays,
            lexicon=self._lexicon,
            patches=patches,
            alive=alive if self._gone else None,
            gone=self._gone,
            total=None,
        )

    def refresh(self, connection: Connection, root: int) -> bool:
        """Catch up with the table as this connection's transaction sees it.

        Returns:
            False if the index knows rows already that the transaction does not see: it began before them.
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
            # Words and vectors must not get out of step.
            self._begin()
            raise
        self.version = version
        held = sum(array[: self._count].nbytes for array in self._arrays.values())
        self.bytes = _FIXED_BYTES + held + self._lexicon.bytes + _SESSION_BYTES * len(self._last)
        return True

    def _fill(self, connection: Connection, root: int) -> None:
        """Read everything."""
        self._begin()
        (count,) = connection.execute("SELECT count(*) FROM items WHERE root = ?", (root,)).fetchone()
        rows = connection.execute(f"SELECT {_COLUMNS} FROM items WHERE root = ? ORDER BY seq", (root,))
        self._add(_chunks(rows), count)

    def _change(self, connection: Connection, root: int) -> bool:
        """Read what was written since; False if everything is to be read anew."""
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM items WHERE root = ? AND stamp > ? ORDER BY seq", (root, self.version)
        ).fetchall()
        last = int(self._arrays["places"][self._count - 1])
        changed = [row for row in rows if row[0] <= last]
        # New rows stand behind all others, and the table answers them in order.
        if changed and not self._rewrite(changed):
            return False
        fresh = rows[len(changed) :]
        if fresh and len(fresh[0][6]) != self._arrays["vectors"].shape[1] * 4:
            return False
        self._add([fresh] if fresh else [], len(fresh))
        return True

    def _add(self, chunks: Iterator[list[Any]] | Sequence[list[Any]], count: int) -> None:
        """Append rows, about so many."""
        said: list[bytes] = []
        for rows in chunks:
            terms = [_terms(row) for row in rows]
            self._append(
                {
                    **_columns(rows, terms),
                    "places": np.array([row[0] for row in rows], dtype=np.int64),
                    "sessions": np.array([self._session(row) for row in rows], dtype=np.int64),
                    "previous": self._neighbours(rows),
                    "vectors": _vectors(rows),
                    "alive": np.ones(len(rows), dtype=np.bool_),
                },
                count,
            )
            said += terms
        if said:
            self._lexicon = self._lexicon.extended(said)

    def _rewrite(self, rows: list[Any]) -> bool:
        """Give rows other contents; False if everything is to be read anew."""
        at = np.searchsorted(self._arrays["places"][: self._count], [row[0] for row in rows])
        vectors = _vectors(rows)
        sessions = [self._session(row) for row in rows]
        known = np.array_equal(self._arrays["places"][at], [row[0] for row in rows])
        if (
            not known
            or 2 * len(rows) > self._count
            or vectors.shape[1] != self._arrays["vectors"].shape[1]
            or self._arrays["sessions"][at].tolist() != sessions
        ):
            return False
        terms = [_terms(row) for row in rows]
        self._lexicon.replace(at.tolist(), terms)
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
        """Take out the rows that the table no longer has; False if everything is to be read anew."""
        if cleared <= self.version:
            return True
        gone = self._missing(connection, root)
        if self._gone + len(gone) == self._count:
            return False
        if len(gone):
            self._bury(gone)
        if self._gone > max(_DEAD, self._count // 4):
            self._compact()
        return True

    def _missing(self, connection: Connection, root: int) -> NDArray[np.int64]:
        """Where the rows stand that the table no longer has.

        To count rows takes a tenth of the time of reading their places. A row that is new stands behind all others, so
        that no count makes up for a row that is gone with one that is not known yet.
        """
        alive = np.flatnonzero(self._arrays["alive"][: self._count])
        places = self._arrays["places"][alive]
        found: list[NDArray[np.int64]] = []
        parts = [(0, len(places))]
        while parts:
            first, last = parts.pop()
            if last - first <= _FEW:
                found.append(alive[first:last][~_there(connection, root, places[first:last])])
                continue
            ends = np.linspace(first, last, _PARTS + 1).astype(np.int64).tolist()
            pieces = list(pairwise(ends))
            counts = _counts(connection, root, [(int(places[a]), int(places[b - 1])) for a, b in pieces])
            lost = [b - a - count for (a, b), count in zip(pieces, counts, strict=True)]
            if sum(lost) > _MANY:
                found.append(alive[first:last][~_there(connection, root, places[first:last])])
            else:
                parts += [piece for piece, missing in zip(pieces, lost, strict=True) if missing]
        # None, if what is gone came and went since the last look.
        return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def _bury(self, gone: NDArray[np.int64]) -> None:
        """Take rows out of their sessions and out of the words."""
        self._gone += len(gone)
        self._overwrite("alive", gone, False)
        self._overwrite("lengths", gone, 0)
        alive = self._arrays["alive"][: self._count]
        previous = self._arrays["previous"][: self._count].copy()
        for session in set(self._arrays["sessions"][gone].tolist()) - {_NOBODY}:
            while self._last[session] >= 0 and not alive[self._last[session]]:
                self._last[session] = int(previous[self._last[session]])
        # Who followed a row that is gone follows the one before it.
        while len(astray := np.flatnonzero((previous >= 0) & ~alive[previous])):
            previous[astray] = previous[previous[astray]]
        previous[gone] = _NOBODY
        self._arrays["previous"] = previous
        self._lexicon.remove(gone.tolist())
        for row in gone.tolist():
            self._patches.pop(row, None)

    def _compact(self) -> None:
        """Move the rows that are left together."""
        self._write_patches()
        alive = self._arrays["alive"][: self._count]
        moved = np.append(np.cumsum(alive) - 1, _NOBODY)
        self._lexicon = self._lexicon.compacted(alive)
        self._arrays = {name: array[: self._count][alive] for name, array in self._arrays.items()}
        self._arrays["previous"] = moved[self._arrays["previous"]]
        self._last = [int(moved[row]) for row in self._last]
        self._count, self._gone = len(self._arrays["places"]), 0

    def _session(self, row: Any) -> int:
        """The number of the row's session."""
        if row[3] is None:
            return _NOBODY
        number = self._sessions.setdefault((row[1], row[3]), len(self._last))
        if number == len(self._last):
            self._last.append(_NOBODY)
        return number

    def _neighbours(self, rows: list[Any]) -> NDArray[np.int64]:
        """For each new row the last one before it in the same session of the same owner."""
        before = np.full(len(rows), _NOBODY, dtype=np.int64)
        for place, row in enumerate(rows):
            session = self._session(row)
            if session != _NOBODY:
                before[place] = self._last[session]
                self._last[session] = self._count + place
        return before

    def _append(self, fresh: Mapping[str, NDArray[Any]], expected: int) -> None:
        count = self._count + len(fresh["places"])
        for name, values in fresh.items():
            array = self._arrays.get(name)
            if array is None or len(array) < count:
                # Room that nothing was written to takes no RAM. A first read knows how much it needs.
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
    """How many rows the table has in each of these ranges of places, both ends included."""
    count = "(SELECT count(*) FROM items WHERE root = ? AND seq BETWEEN ? AND ?)"
    variables = [variable for first, last in ranges for variable in (root, int(first), int(last))]
    return list(connection.execute(f"SELECT {', '.join([count] * len(ranges))}", variables).fetchone())


def _there(connection: Connection, root: int, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these places, ascending, the table has."""
    if not len(places):
        return np.zeros(0, dtype=np.bool_)
    ends = (root, int(places[0]), int(places[-1]))
    rows = connection.execute("SELECT seq FROM items WHERE root = ? AND seq BETWEEN ? AND ?", ends).fetchall()
    return np.isin(places, np.fromiter((row[0] for row in rows), dtype=np.int64, count=len(rows)))


def _chunks(rows: Cursor) -> Iterator[list[Any]]:
    several = iter(rows)
    while chunk := list(islice(several, _CHUNK)):
        yield chunk


def _terms(row: Any) -> bytes:
    return pack_terms(row[7]) if row[5] is None else bytes(row[5])


def _columns(rows: list[Any], terms: list[bytes]) -> dict[str, NDArray[Any]]:
    """What can change in a row, but for its vector."""
    return {
        "owners": np.array([row[1] for row in rows], dtype=np.int64),
        "kinds": np.array([KINDS[row[2]] for row in rows], dtype=np.int8),
        "moments": np.array([datetime.fromisoformat(row[4]).timestamp() for row in rows], dtype=np.float64),
        "lengths": np.array([len(each) // 4 for each in terms], dtype=np.float32),
    }


def _vectors(rows: list[Any]) -> NDArray[np.float32]:
    return np.frombuffer(b"".join(row[6] for row in rows), dtype=np.float32).reshape(len(rows), -1)

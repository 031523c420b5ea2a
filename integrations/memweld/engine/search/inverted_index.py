"""An inverted index: which memories of one user contain a term, and how often. BM25 and the word weights need it.

SQLite's full-text search would weight words by how common they are among all users; this index knows one user alone.
Most postings stand in one sorted array, made at once from what the table stores. Later ones stand in a dictionary until
there are enough to merge both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .tokenizer import number_of

__all__ = ["InvertedIndex", "postings_of"]

# A posting is one number: the term's number in the upper 32 bits, the row in the next 24, and the term's count in that
# row in the last eight. More rows than that would need 17 GB for their vectors.
_COUNT_BITS, _ROW_BITS = 8, 24
_LARGEST_COUNT = (1 << _COUNT_BITS) - 1
_LOWER = (1 << 32) - 1
# The dictionary takes this many rows, or an eighth of the array's, before both are merged.
_TAIL_ROWS = 256
# The RAM of a posting in the dictionary, with its place in a list and its share of the term's entry.
_TAIL_BYTES = 100

Postings = NDArray[np.uint64]


class InvertedIndex:
    """Rows by term. One thread writes; concurrent readers may see the rows that it has written so far.

    Args:
        postings: Sorted.
        rows: The number of rows.
    """

    def __init__(self, postings: Postings | None = None, rows: int = 0) -> None:
        empty = np.empty(0, dtype=np.uint64)
        # The postings, and a mask of the rows whose postings are out of date.
        self._sorted: tuple[Postings, NDArray[np.bool_] | None] = (empty if postings is None else postings, None)
        self._sorted_rows = self._rows = rows
        self._tail: dict[int, list[int]] = {}
        self._tail_rows: dict[int, bytes] = {}
        self._tail_size = 0

    @property
    def bytes(self) -> int:
        """About how much RAM the index takes."""
        return self._sorted[0].nbytes + self._sorted_rows + _TAIL_BYTES * self._tail_size

    def extended(self, packed: Sequence[bytes]) -> InvertedIndex:
        """Add the terms (``tokenizer.pack_terms``) of the next rows; returns this index or its replacement."""
        rows = range(self._rows, self._rows + len(packed))
        # The first rows are always sorted. In the dictionary a thousand users with few memories each would take more
        # RAM than their vectors.
        if not self._rows or len(self._tail_rows) + len(packed) > max(_TAIL_ROWS, self._sorted_rows // 8):
            existing = self._all()
            more = postings_of(rows, packed)
            if len(existing):
                more = np.concatenate([existing, more])
                more.sort()
            return InvertedIndex(more, self._rows + len(packed))
        self._rows += len(packed)
        self._write(rows, packed)
        return self

    def replace(self, rows: Sequence[int], packed: Sequence[bytes]) -> None:
        """Give rows other terms."""
        self.remove(rows)
        self._write(rows, packed)

    def remove(self, rows: Sequence[int]) -> None:
        """Drop the terms of rows; the row numbers stay."""
        postings, stale = self._sorted
        old = [row for row in rows if row < self._sorted_rows]
        if old:
            # A copy, because a reader may be using the mask.
            stale = np.zeros(self._sorted_rows, dtype=np.bool_) if stale is None else stale.copy()
            stale[old] = True
            self._sorted = (postings, stale)
        for row in rows:
            for number in set(np.frombuffer(self._tail_rows.pop(row, b""), dtype="<u4").tolist()):
                rest = [posting for posting in self._tail[number] if posting >> _COUNT_BITS != row]
                self._tail_size -= len(self._tail[number]) - len(rest)
                if rest:
                    self._tail[number] = rest
                else:
                    del self._tail[number]

    def compacted(self, kept: NDArray[np.bool_]) -> InvertedIndex:
        """An index of the kept rows, numbered without gaps. Shape of the argument: (rows,)."""
        postings = self._all()
        rows = (postings & np.uint64(_LOWER)) >> np.uint64(_COUNT_BITS)
        stays = kept[rows]
        postings, rows = postings[stays], rows[stays]
        new_rows = (np.cumsum(kept) - 1).astype(np.uint64)[rows]
        # The rows keep their order, so the postings stay sorted.
        outside = np.uint64(_LOWER << 32 | _LARGEST_COUNT)
        return InvertedIndex(postings & outside | new_rows << np.uint64(_COUNT_BITS), int(kept.sum()))

    def frequency(self, term: str) -> int:
        """The number of rows that contain the term."""
        if self._sorted[1] is not None:
            return len(self.find(term)[0])
        number = number_of(term)
        return len(_of_term(self._sorted[0], number)) + len(self._tail.get(number, ()))

    def find(self, term: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows that contain the term, in no order, and how often each does."""
        number = number_of(term)
        postings, stale = self._sorted
        found = _of_term(postings, number).astype(np.uint32)
        if stale is not None:
            found = found[~stale[found >> _COUNT_BITS]]
        if number in self._tail:
            found = np.concatenate([found, np.array(list(self._tail.get(number, ())), dtype=np.uint32)])
        return (found >> _COUNT_BITS).astype(np.int64), (found & _LARGEST_COUNT).astype(np.float32)

    def _write(self, rows: Sequence[int], packed: Sequence[bytes]) -> None:
        for posting in postings_of(rows, packed).tolist():
            self._tail.setdefault(posting >> 32, []).append(posting & _LOWER)
            self._tail_size += 1
        self._tail_rows.update(zip(rows, packed, strict=True))

    def _all(self) -> Postings:
        """The postings of array and dictionary, sorted."""
        postings, stale = self._sorted
        if stale is not None:
            postings = postings[~stale[(postings & np.uint64(_LOWER)) >> np.uint64(_COUNT_BITS)]]
        if self._tail_rows:
            tail = postings_of(list(self._tail_rows), list(self._tail_rows.values()))
            postings = np.concatenate([postings, tail])
            postings.sort()
        return postings


def _of_term(postings: Postings, number: int) -> Postings:
    ends = np.array([number << 32, number << 32 | _LOWER], dtype=np.uint64)
    first, last = np.searchsorted(postings, ends)
    return postings[first:last]


def postings_of(rows: Sequence[int], packed: Sequence[bytes]) -> Postings:
    """The sorted postings of rows with these terms (``tokenizer.pack_terms``)."""
    numbers = np.frombuffer(b"".join(packed), dtype="<u4").astype(np.uint64)
    lengths = [len(each) // 4 for each in packed]
    occurrences = np.repeat(np.array(rows, dtype=np.uint64), lengths) << np.uint64(_COUNT_BITS)
    unique, counts = np.unique(occurrences | numbers << np.uint64(32), return_counts=True)
    return unique | np.minimum(counts, _LARGEST_COUNT).astype(np.uint64)

"""Which memories of one user say a term, and how often: what BM25 and the weights of a query's words are made from.

Full-text search of SQLite would weigh words by how common they are among all users; this one knows one user alone.
Most postings stand in one sorted array, which is made at once from what the table keeps; what was written since stands
in a dictionary, until it is so much that both are merged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .tokenizer import number_of

__all__ = ["Lexicon", "postings_of"]

# A posting is one number: the term's number in the upper 32 bits, then the row in 24, how often the row says the term
# in eight. More rows than that would take 17 GB for their vectors.
_TIMES_BITS, _ROW_BITS = 8, 24
_MOST_TIMES = (1 << _TIMES_BITS) - 1
_LOWER = (1 << 32) - 1
# So many rows stand in the dictionary, or an eighth of those in the array, before both are merged.
_TAIL_ROWS = 256
# What a posting in the dictionary takes, with its place in a list and a share of the term's entry.
_TAIL_BYTES = 100

Postings = NDArray[np.uint64]


class Lexicon:
    """Rows by term. One thread writes; readers at work meanwhile may see of its rows what it has written so far.

    Args:
        postings: Sorted.
        rows: How many rows there are.
    """

    def __init__(self, postings: Postings | None = None, rows: int = 0) -> None:
        empty = np.empty(0, dtype=np.uint64)
        # The postings, and which of their rows no longer say that.
        self._sorted: tuple[Postings, NDArray[np.bool_] | None] = (empty if postings is None else postings, None)
        self._sorted_rows = self._rows = rows
        self._tail: dict[int, list[int]] = {}
        self._tail_rows: dict[int, bytes] = {}
        self._tail_size = 0

    @property
    def bytes(self) -> int:
        """About how much RAM it takes."""
        return self._sorted[0].nbytes + self._sorted_rows + _TAIL_BYTES * self._tail_size

    def extended(self, packed: Sequence[bytes]) -> Lexicon:
        """The lexicon with the terms (``words.pack_terms``) of the next rows: this one, or one that takes its place."""
        rows = range(self._rows, self._rows + len(packed))
        # The first rows of all are sorted whatever their number: in the dictionary those of a thousand users with few
        # memories each would take more than their vectors.
        if not self._rows or len(self._tail_rows) + len(packed) > max(_TAIL_ROWS, self._sorted_rows // 8):
            held = self._all()
            more = postings_of(rows, packed)
            if len(held):
                more = np.concatenate([held, more])
                more.sort()
            return Lexicon(more, self._rows + len(packed))
        self._rows += len(packed)
        self._write(rows, packed)
        return self

    def replace(self, rows: Sequence[int], packed: Sequence[bytes]) -> None:
        """Give rows other terms."""
        self.remove(rows)
        self._write(rows, packed)

    def remove(self, rows: Sequence[int]) -> None:
        """Forget what rows say; their numbers stay."""
        postings, stale = self._sorted
        old = [row for row in rows if row < self._sorted_rows]
        if old:
            # A copy, because a reader may be using it.
            stale = np.zeros(self._sorted_rows, dtype=np.bool_) if stale is None else stale.copy()
            stale[old] = True
            self._sorted = (postings, stale)
        for row in rows:
            for number in set(np.frombuffer(self._tail_rows.pop(row, b""), dtype="<u4").tolist()):
                rest = [posting for posting in self._tail[number] if posting >> _TIMES_BITS != row]
                self._tail_size -= len(self._tail[number]) - len(rest)
                if rest:
                    self._tail[number] = rest
                else:
                    del self._tail[number]

    def compacted(self, kept: NDArray[np.bool_]) -> Lexicon:
        """A lexicon of the rows that are kept, which move together. Shape of the argument: (rows,)."""
        postings = self._all()
        rows = (postings & np.uint64(_LOWER)) >> np.uint64(_TIMES_BITS)
        stays = kept[rows]
        postings, rows = postings[stays], rows[stays]
        moved = (np.cumsum(kept) - 1).astype(np.uint64)[rows]
        # In the same order, so that they stay sorted.
        outside = np.uint64(_LOWER << 32 | _MOST_TIMES)
        return Lexicon(postings & outside | moved << np.uint64(_TIMES_BITS), int(kept.sum()))

    def frequency(self, term: str) -> int:
        """How many rows say the term."""
        if self._sorted[1] is not None:
            return len(self.find(term)[0])
        number = number_of(term)
        return len(_of_term(self._sorted[0], number)) + len(self._tail.get(number, ()))

    def find(self, term: str) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows that say the term, in no order, and how often each does."""
        number = number_of(term)
        postings, stale = self._sorted
        found = _of_term(postings, number).astype(np.uint32)
        if stale is not None:
            found = found[~stale[found >> _TIMES_BITS]]
        if number in self._tail:
            found = np.concatenate([found, np.array(list(self._tail.get(number, ())), dtype=np.uint32)])
        return (found >> _TIMES_BITS).astype(np.int64), (found & _MOST_TIMES).astype(np.float32)

    def _write(self, rows: Sequence[int], packed: Sequence[bytes]) -> None:
        for posting in postings_of(rows, packed).tolist():
            self._tail.setdefault(posting >> 32, []).append(posting & _LOWER)
            self._tail_size += 1
        self._tail_rows.update(zip(rows, packed, strict=True))

    def _all(self) -> Postings:
        """What stands in both places, sorted."""
        postings, stale = self._sorted
        if stale is not None:
            postings = postings[~stale[(postings & np.uint64(_LOWER)) >> np.uint64(_TIMES_BITS)]]
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
    """The sorted postings of rows with these terms (``words.pack_terms``)."""
    numbers = np.frombuffer(b"".join(packed), dtype="<u4").astype(np.uint64)
    lengths = [len(each) // 4 for each in packed]
    said = np.repeat(np.array(rows, dtype=np.uint64), lengths) << np.uint64(_TIMES_BITS) | numbers << np.uint64(32)
    unique, times = np.unique(said, return_counts=True)
    return unique | np.minimum(times, _MOST_TIMES).astype(np.uint64)

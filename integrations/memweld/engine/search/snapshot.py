"""The rows of one user at one moment, as arrays: what a search ranks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .embedders import Vector
from .inverted_index import Lexicon

__all__ = ["KINDS", "Patches", "Snapshot", "as_bytes"]

Found: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]

KINDS = {"item": 0, "preference": 1, "task": 2, "record": 3}


@dataclass(frozen=True, slots=True)
class Patches:
    """Vectors that were changed since the matrix was made.

    Attributes:
        rows: Whose they are, shape (k,).
        vectors: Shape (k, dimensions).
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one root at one moment, ordered by their place in the table.

    Attributes:
        places: The ``seq`` of each row, ascending, shape (n,).
        owners: The owner's id of each row, shape (n,).
        kinds: 0 item, 1 preference, 2 task, 3 record, shape (n,).
        previous: The position of the row before in the same session of the same owner, -1 without one, shape (n,).
        moments: When each row was made, or its key last set, in seconds since 1970, shape (n,).
        lengths: How many terms each row's text has, 0 for a row that is gone, shape (n,).
        vectors: Unit vectors, shape (n, dimensions).
        lexicon: Which rows say a term; it may know rows already that the snapshot does not have.
        total: How many rows the root has, where these are an excerpt.
        patches: What takes the place of some of the vectors.
        alive: Which rows are still there, shape (n,); None: all.
        gone: How many are not.
        counted: Which rows say how rare a word is, shape (n,); None: all.
        found: The answers of `find` so far.
        said: Those of `frequency`.
    """

    places: NDArray[np.int64]
    owners: NDArray[np.int64]
    kinds: NDArray[np.int8]
    previous: NDArray[np.int64]
    moments: NDArray[np.float64]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float32]
    lexicon: Lexicon
    total: int | None = None
    patches: Patches | None = None
    alive: NDArray[np.bool_] | None = None
    gone: int = 0
    counted: NDArray[np.bool_] | None = None
    found: dict[str, Found] = field(default_factory=dict[str, Found], init=False)
    said: dict[str, int] = field(default_factory=dict[str, int], init=False)

    @property
    def size(self) -> int:
        """How many rows there are to be counted."""
        if self.total is not None:
            return self.total
        return len(self.places) - self.gone if self.counted is None else int(np.count_nonzero(self.counted))

    @property
    def mean_length(self) -> float:
        """How many terms a row has on average."""
        if self.counted is None:
            return float(self.lengths.sum(dtype=np.float64)) / max(len(self.places) - self.gone, 1)
        lengths = self.lengths[self.counted]
        return float(lengths.sum(dtype=np.float64)) / max(len(lengths), 1)

    def within(self, owner: int | None) -> Snapshot:
        """The snapshot as somebody has it who sees this owner's rows alone, or all if it is None.

        The others stand in it still, and are neither counted nor found by their words.
        """
        return self if owner is None else replace(self, counted=self.of_owner(owner))

    def frequency(self, term: str) -> int:
        """How many of the rows that are counted say a term."""
        said = self.said.get(term)
        if said is None:
            # The lexicon may know rows already that the snapshot does not have.
            said = self.lexicon.frequency(term) if self.counted is None else len(self.find(term)[0])
            self.said[term] = said = min(said, self.size)
        return said

    def find(self, term: str) -> Found:
        """The rows among those that are counted that say the term, in no order, and how often each does."""
        known = self.found.get(term)
        if known is not None:
            return known
        at, times = self.lexicon.find(term)
        if len(at) and at.max() >= len(self.places):
            at, times = at[at < len(self.places)], times[at < len(self.places)]
        if self.counted is not None:
            among = self.counted[at]
            at, times = at[among], times[among]
        self.found[term] = at, times
        return at, times

    def cosines(self, vector: Vector) -> NDArray[np.float32]:
        """Each row's product with a vector, its cosine if that is of length 1; 0 for a row that is gone, shape (n,)."""
        # Not a matrix product: OpenBLAS spreads one over all cores, which gains little and takes
        # twenty times as long where others hold the cores (numpy 2.4, 10,000 rows, two busy cores).
        cosines = np.vecdot(self.vectors, vector)
        if self.patches is not None:
            cosines[self.patches.rows] = np.vecdot(self.patches.vectors, vector)
        if self.alive is not None:
            cosines[~self.alive] = 0.0
        return cosines

    def of_owner(self, owner: int | None) -> NDArray[np.bool_]:
        """Which rows are of this owner, or of anybody if it is None, and still there."""
        rows = np.ones(len(self.places), dtype=np.bool_) if owner is None else self.owners == owner
        return rows if self.alive is None else rows & self.alive

    def of_kinds(self, kinds: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which rows are of these kinds."""
        return np.isin(self.kinds, [KINDS[kind] for kind in kinds])


def as_bytes(vector: Vector) -> bytes:
    """A vector as the table keeps it: little-endian float32."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()

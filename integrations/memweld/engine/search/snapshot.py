"""The rows of one user at one moment, as arrays: the input of the ranking."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..sql.validity import Validity
from .embedders import Vector
from .inverted_index import InvertedIndex

__all__ = ["KINDS", "Patches", "Snapshot"]

Matches: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]

KINDS = {"item": 0, "preference": 1, "task": 2, "record": 3, "source": 4}


@dataclass(frozen=True, slots=True)
class Patches:
    """Vectors that changed after the matrix was made.

    Attributes:
        rows: Their positions, shape (k,).
        vectors: Shape (k, dimensions).
    """

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The rows of one root owner at one moment, in the order of the table.

    Attributes:
        seqs: The ``seq`` of each row in the table, ascending, shape (n,).
        owners: The owner's id of each row, shape (n,).
        kinds: The numbers in `KINDS`, shape (n,).
        previous: The position of the preceding row in the same session of the same owner, else -1, shape (n,).
        timestamps: When each row was made, or its key last set, in seconds since 1970, shape (n,).
        validity: Beginning and end of each row's validity in seconds since 1970, NaN where it has none, shape (n, 2).
        lengths: The number of terms in each row's text, 0 for a deleted row, shape (n,).
        vectors: Unit vectors, shape (n, dimensions).
        terms: The inverted index; it may already know rows that the snapshot does not have.
        total: The number of rows of the root, if these are only candidates.
        patches: Replacements for some of the vectors.
        alive: Which rows exist, shape (n,); None: all.
        deleted: How many rows do not.
        in_scope: Which rows count for the rarity of words, shape (n,); None: all.
        matches: The answers of `find` so far.
        frequencies: The answers of `frequency` so far.
    """

    seqs: NDArray[np.int64]
    owners: NDArray[np.int64]
    kinds: NDArray[np.int8]
    previous: NDArray[np.int64]
    timestamps: NDArray[np.float64]
    validity: NDArray[np.float64]
    lengths: NDArray[np.float32]
    vectors: NDArray[np.float32]
    terms: InvertedIndex
    total: int | None = None
    patches: Patches | None = None
    alive: NDArray[np.bool_] | None = None
    deleted: int = 0
    in_scope: NDArray[np.bool_] | None = None
    matches: dict[str, Matches] = field(default_factory=dict[str, Matches], init=False)
    frequencies: dict[str, int] = field(default_factory=dict[str, int], init=False)

    @property
    def size(self) -> int:
        """The number of rows that count."""
        if self.total is not None:
            return self.total
        return len(self.seqs) - self.deleted if self.in_scope is None else int(np.count_nonzero(self.in_scope))

    @property
    def mean_length(self) -> float:
        """The average number of terms in a row."""
        if self.in_scope is None:
            return float(self.lengths.sum(dtype=np.float64)) / max(len(self.seqs) - self.deleted, 1)
        lengths = self.lengths[self.in_scope]
        return float(lengths.sum(dtype=np.float64)) / max(len(lengths), 1)

    def within(self, owner: int | None) -> Snapshot:
        """The snapshot for a scope that sees only this owner's rows; None: all rows.

        The other rows keep their positions, but neither count nor match by their words.
        """
        return self if owner is None else replace(self, in_scope=self.of_owner(owner))

    def frequency(self, term: str) -> int:
        """The number of rows in scope that contain a term."""
        frequency = self.frequencies.get(term)
        if frequency is None:
            # The inverted index may already know rows that the snapshot does not have.
            frequency = self.terms.frequency(term) if self.in_scope is None else len(self.find(term)[0])
            self.frequencies[term] = frequency = min(frequency, self.size)
        return frequency

    def find(self, term: str) -> Matches:
        """The rows in scope that contain the term, in no order, and how often each does."""
        known = self.matches.get(term)
        if known is not None:
            return known
        rows, counts = self.terms.find(term)
        if len(rows) and rows.max() >= len(self.seqs):
            rows, counts = rows[rows < len(self.seqs)], counts[rows < len(self.seqs)]
        if self.in_scope is not None:
            among = self.in_scope[rows]
            rows, counts = rows[among], counts[among]
        self.matches[term] = rows, counts
        return rows, counts

    def cosines(self, vector: Vector) -> NDArray[np.float32]:
        """Each row's product with a vector: its cosine, if the vector has length 1; 0 for deleted rows, shape (n,)."""
        # Not a matrix product: OpenBLAS spreads one over all cores, which gains little and takes twenty times as long
        # while other processes use the cores (numpy 2.4, 10,000 rows, two busy cores).
        cosines = np.vecdot(self.vectors, vector)
        if self.patches is not None:
            cosines[self.patches.rows] = np.vecdot(self.patches.vectors, vector)
        if self.alive is not None:
            cosines[~self.alive] = 0.0
        return cosines

    def of_owner(self, owner: int | None) -> NDArray[np.bool_]:
        """Which rows exist and belong to this owner; None: to any."""
        rows = np.ones(len(self.seqs), dtype=np.bool_) if owner is None else self.owners == owner
        return rows if self.alive is None else rows & self.alive

    def valid(self, validity: Validity) -> NDArray[np.bool_]:
        """Which rows an operation asks for by their validity, as `Validity.condition` says it in SQL."""
        # A comparison with NaN is false.
        starts, ends = self.validity[:, 0], self.validity[:, 1]
        is_over = ends <= validity.moment
        if not validity.is_past and validity.window is None:
            return ~(is_over | (starts > validity.moment))
        begins = np.where(np.isnan(starts), self.timestamps, starts)
        if validity.is_past:
            return ~is_over & (begins <= validity.moment)
        first, last = validity.window or (0.0, 0.0)
        return ~(is_over | (starts > validity.moment)) | ((begins < last) & ~(ends <= first))

    def of_kinds(self, kinds: tuple[str, ...]) -> NDArray[np.bool_]:
        """Which rows are of these kinds."""
        return np.isin(self.kinds, [KINDS[kind] for kind in kinds])

    def said_within(self, after: float | None, before: float | None) -> NDArray[np.bool_]:
        """Which rows were said first at a time from ``after`` on, and before ``before`` (None: at any time)."""
        rows = np.ones(len(self.timestamps), dtype=np.bool_)
        if after is not None:
            rows &= self.timestamps >= after
        if before is not None:
            rows &= self.timestamps < before
        return rows

"""The items of a file whose vectors are in a store of mem0's."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...search.embedders import Vector
from ...search.item_store import ItemStore, Question
from ...search.snapshot import Snapshot
from ...sql.database import Connection
from ...sql.owners import Owner
from .protocol import Mem0Store

__all__ = ["ProjectedItemStore"]

_LEAST, _MOST = 120, 10_000
_ONE: Vector = np.ones(1, dtype=np.float32)


class ProjectedItemStore(ItemStore):
    """The items table, searched through the store of its vectors.

    Words are ranked in the tables as everywhere. Of the vectors only the nearest to the query are known, and the others
    count as the last of these.
    """

    def __init__(self, store: Mem0Store, *arguments: Any, cache_bytes: int) -> None:
        super().__init__(*arguments, cache_bytes=cache_bytes, has_vectors=False)
        self._vectors = store

    def _select(
        self, connection: Connection, owner: Owner, question: Question, *, anew: bool = False
    ) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
        selection = super()._select(connection, owner, question, anew=anew)
        if selection is None:
            return None
        snapshot, vector, allowed = selection
        question = dataclasses.replace(question, vector=vector)
        cosines = self._cosines(connection, owner, question, snapshot, allowed)
        return dataclasses.replace(snapshot, vectors=cosines[:, np.newaxis], patches=None), _ONE, allowed

    def _cosines(
        self,
        connection: Connection,
        owner: Owner,
        question: Question,
        snapshot: Snapshot,
        allowed: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """The cosine of each row that is known to be near, of the others at most that of the last, shape (n,)."""
        cosines = np.zeros(len(snapshot.seqs), dtype=np.float32)
        possible = int(allowed.sum())
        if not possible:
            return cosines
        needed = min(possible, max(_LEAST, 4 * question.count))
        count = max(_LEAST, needed)
        while True:
            near, more = self._vectors.near(question.scope, question.text, question.vector, count)
            at, found = _known(snapshot, list(near.items()))
            if not more or count >= _MOST or int(allowed[at].sum()) >= needed:
                break
            # What is filtered out here, and what others keep in the same collection, took the places.
            count = min(4 * count, _MOST)
        if snapshot.in_scope is not None:
            # How much was found besides depends on what others keep there.
            mine = snapshot.in_scope[at]
            at, found = at[mine], found[mine]
            if needed < int(allowed[at].sum()):
                near_enough = found >= np.sort(found[allowed[at]])[-needed]
                at, found = at[near_enough], found[near_enough]
        if len(found) and more:
            # The next one further away is hardly further: to count it as strange would favour the last that is known.
            cosines[:] = max(float(found.min()), 0.0)
        cosines[at] = found
        at, found = self._waiting(connection, owner, snapshot, question.vector)
        cosines[at] = found
        return cosines

    def _waiting(
        self, connection: Connection, owner: Owner, snapshot: Snapshot, vector: Vector
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The cosines of rows that the store has not received yet."""
        found = connection.execute(
            "SELECT items.seq, items.vector FROM outbox CROSS JOIN items "
            "WHERE outbox.target = 'mem0' AND items.seq = outbox.item AND items.root = ? AND length(items.vector) = ?",
            (owner.root, vector.nbytes),
        )
        return _known(snapshot, [(row[0], float(np.frombuffer(row[1], dtype="<f4") @ vector)) for row in found])


def _known(snapshot: Snapshot, rows: Sequence[tuple[int, float]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    places = np.array([row[0] for row in rows], dtype=np.int64)
    values = np.array([row[1] for row in rows], dtype=np.float32)
    at = np.searchsorted(snapshot.seqs, places)
    inside = at < len(snapshot.seqs)
    inside[inside] &= snapshot.seqs[at[inside]] == places[inside]
    return at[inside], values[inside]

"""The items with their vectors: stored, changed, and found by exact search over a scope's own vectors and words.

mem0 has nothing to do with it. Where mem0 is used, it reaches this store through ``extraction/mem0/stores.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...models import JSON, Kind
from ...scope import Scope
from ..sql import owners
from ..sql.database import Connection, Database
from ..sql.items import ItemRow, Items
from .cache import IndexCache, OutrunError
from .embedder_check import EmbedderOfFile
from .embedders import GuardedEmbedding, Vector
from .large_user_search import excerpt
from .ranking import as_score, fits, freshness, weights_in
from .snapshot import Snapshot, as_bytes
from .tokenizer import forget_words, pack_terms

__all__ = ["ItemStore"]

# So often a search begins again that others outrun, before it reads all rows anew.
_TRIES = 4


class ItemStore:
    """The items table of all scopes.

    Args:
        database: The file.
        claim: Says which embedder the file's vectors are of.
        embedding: What makes vectors.
        cache_bytes: How much RAM the indexes of the users that searched last may take.
    """

    def __init__(
        self,
        database: Database,
        claim: EmbedderOfFile,
        embedding: GuardedEmbedding,
        *,
        cache_bytes: int,
    ) -> None:
        self.items = Items(database)
        self._database = database
        self._claim = claim
        self._embedding = embedding
        self._indexes = IndexCache(maximum_bytes=cache_bytes)
        database.after_fork.append(self._indexes.begin)

    def store(self, rows: Sequence[ItemRow], vectors: Sequence[Vector]) -> list[bool]:
        """Store rows; which of them were stored, because one that its owner has already is left out."""
        stored: list[bool] = []
        with self._database.writing() as connection:
            for row, vector in zip(rows, vectors, strict=True):
                if not stored:
                    self._claim.claim(connection, len(vector))
                stored.append(self.items.insert(row, as_bytes(vector), pack_terms(row.text)))
        return stored

    def change(self, row: ItemRow, vector: Vector | None) -> None:
        """Replace the contents of a row that its scope contains, and its vector unless that is None."""
        with self._database.writing() as connection:
            if self.items.get(row.scope, row.id) is None:
                return
            if vector is not None:
                self._claim.claim(connection, len(vector))
            self.items.rewrite(row, None if vector is None else as_bytes(vector), pack_terms(row.text))

    def best(
        self, scope: Scope, query: str, vector: Vector, count: int, conditions: Mapping[str, Any]
    ) -> list[tuple[ItemRow, float]]:
        """The rows that fit best, best first, each with its score.

        Args:
            scope: Whose.
            query: What is asked.
            vector: Its vector.
            count: How many at most.
            conditions: ``kinds``, ``metadata`` and ``half_life`` (see ``Engine.search_items``).
        """
        began = self._indexes.forgotten
        try:
            for _ in range(_TRIES):
                # A new transaction sees what the index knows, unless it is outrun again.
                with contextlib.suppress(OutrunError):
                    return self._best(scope, query, vector, count, conditions)
            return self._best(scope, query, vector, count, {**conditions, "anew": True})
        finally:
            if self._indexes.forgotten != began:
                self._indexes.forget_again(began)

    def _best(
        self, scope: Scope, query: str, vector: Vector, count: int, conditions: Mapping[str, Any]
    ) -> list[tuple[ItemRow, float]]:
        with self._database.reading() as connection:
            # First of all: vectors of another embedder are not even read.
            self._claim.check(connection, len(vector))
            owner = owners.find(connection, scope)
            look = None if owner is None else self._look(connection, scope, owner, query, vector, count, conditions)
            if look is None:
                return []
            snapshot, vector, allowed = look
            scores = as_score(fits(snapshot, query, vector))
            if conditions.get("half_life") is not None:
                scores = scores * freshness(snapshot.moments, conditions["half_life"])
            best = _highest(np.where(allowed, scores, -1.0), count)
            found = self.items.by_places(scope, [int(place) for place in snapshot.places[best]])
        hits = ((found.get(int(snapshot.places[at])), float(scores[at])) for at in best)
        return [(row, score) for row, score in hits if row is not None]

    def _look(  # noqa: PLR0917
        self,
        connection: Connection,
        scope: Scope,
        owner: owners.Owner,
        query: str,
        vector: Vector,
        count: int,  # noqa: ARG002 - for a store that asks elsewhere
        conditions: Mapping[str, Any],
    ) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
        """The rows among which to search, the query's vector, and which of the rows may be found."""
        kinds: Sequence[Kind] | None = conditions.get("kinds")
        metadata: dict[str, JSON] = conditions.get("metadata") or {}
        archive = self._database.archive(connection, owner.root, scope)
        if archive is not None:
            return excerpt(archive, self._embedding, query, vector, self.items.wanted(owner, kinds, metadata))
        snapshot = self._indexes.read(connection, owner.root, anew=conditions.get("anew", False))
        if snapshot is None:
            return None
        mine = None if owner.id == owner.root else owner.id
        snapshot = snapshot.within(mine)
        allowed = snapshot.of_owner(mine)
        if kinds is not None:
            allowed &= snapshot.of_kinds(tuple(kinds))
        if dead := self.items.dead(owner.root):
            allowed &= ~np.isin(snapshot.places, dead)
        if metadata:
            allowed &= np.isin(snapshot.places, self.items.matching(scope, metadata, kinds=kinds))
        return snapshot, self._embedding.for_query(query, vector, weights_in(snapshot)), allowed

    def forget(self, root: int | None) -> None:
        """Drop the vectors and words in RAM of one user, whose next search reads them anew.

        Args:
            root: The user's root owner; None: only words, of which nobody knows whose they are.
        """
        if root is not None:
            self._indexes.forget(root)
        forget_words()


def _highest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Positions of the ``count`` highest scores that are not negative, highest first, older rows first among equals."""
    if len(scores) > count:
        candidates = np.argpartition(-scores, count - 1)[:count]
        # All that equal the lowest candidate compete for its place, so that ties do not depend on the partition.
        candidates = np.flatnonzero(scores >= scores[candidates].min())
    else:
        candidates = np.arange(len(scores))
    ordered = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ordered[scores[ordered] >= 0]

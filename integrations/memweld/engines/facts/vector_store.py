"""mem0's vector store on our tables: exact search over the scope's own vectors and words (see ``ranking.py``).

mem0 hands the raw query text to ``search``, so the ranking lives here; its own keyword scoring can only reorder what
vectors found, and stays off.
"""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mem0.vector_stores.base import VectorStoreBase
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...models import JSON, Kind
from ...scope import Scope
from ..stores import owners
from ..stores.database import Connection, Database
from ..stores.items import ItemRow, Items
from .cache import IndexCache
from .claim import EmbedderOfFile
from .embedders import GuardedEmbedding, Vector
from .entities import EntityStore
from .excerpt import excerpt
from .guard import Guard
from .payloads import row_of, scope_of, to_payload
from .ranking import as_score, fits, freshness, weights_in
from .snapshot import Snapshot, as_bytes
from .words import forget_words, pack_terms

__all__ = ["FILTERS", "SqliteVectorStore", "StoreConfig", "StoredVector", "open_collection"]

FILTERS = "memweld_filters"
"""The filter key under which kinds and metadata travel, as JSON, so that mem0 reads no operator into them."""


class StoreConfig(BaseModel):
    """What mem0 builds the stores from: it is dumped to a dict and passed to `open_collection`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection_name: str
    database: Database
    guard: Guard
    embedder: EmbedderOfFile
    embedding: GuardedEmbedding
    mirror: Any = None

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The fields as they are: a database is not data."""
        return {name: getattr(self, name) for name in StoreConfig.model_fields}


@dataclass(slots=True)
class StoredVector:
    """One row as mem0 reads it."""

    id: str
    score: float | None
    payload: dict[str, JSON]


class SqliteVectorStore(VectorStoreBase):
    """The items table as a collection of mem0."""

    def __init__(
        self,
        collection_name: str,
        database: Database,
        guard: Guard,
        embedder: EmbedderOfFile,
        embedding: GuardedEmbedding,
    ) -> None:
        self.collection_name = collection_name
        self.items = Items(database)
        self._embedder = embedder
        self._embedding = embedding
        self._database = database
        self._guard = guard
        self._indexes = IndexCache()
        database.after_fork.append(self._indexes.forget)

    def insert(
        self,
        vectors: Sequence[Any],
        payloads: Sequence[Mapping[str, Any]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        """Store rows; one that says what the owner has already is left out."""
        rows = [row_of(memory_id, payload) for memory_id, payload in zip(ids or (), payloads or (), strict=True)]
        with self._guard.keeping_errors():
            self.store(rows, [np.asarray(vector, dtype=np.float32) for vector in vectors])

    def store(self, rows: Sequence[ItemRow], vectors: Sequence[Vector]) -> list[bool]:
        """Store rows of the scope of the call; which of them, because one that the owner has already is left out."""
        stored: list[bool] = []
        with self._database.writing() as connection:
            for row, vector in zip(rows, vectors, strict=True):
                self._guard.check(row.scope)
                if not stored:
                    self._embedder.claim(connection, len(vector))
                stored.append(self.items.insert(row, as_bytes(vector), pack_terms(row.text)))
        return stored

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[StoredVector]:
        """The rows that fit best, best first, with scores from 0 to 1."""
        wanted = dict(filters or {})
        conditions = json.loads(wanted.pop(FILTERS, "{}"))
        # mem0 asks for four times as many, or 60, to reorder them by signals of its own.
        return [
            self._found(row, score) for row, score in self.best(scope_of(wanted), query, vectors, top_k, conditions)
        ]

    def best(
        self, scope: Scope, query: str, vectors: Any, count: int, conditions: Mapping[str, Any]
    ) -> list[tuple[ItemRow, float]]:
        """The rows that fit best, best first, each with its score.

        Args:
            scope: Whose; it must be the one of the call.
            query: What is asked.
            vectors: Its vector.
            count: How many at most.
            conditions: ``kinds``, ``metadata`` and ``half_life`` (see ``Engine.search_items``).
        """
        self._guard.check(scope)
        with self._database.reading() as connection:
            # First of all: vectors of another embedder are not even read.
            self._embedder.check(connection, len(vectors))
            owner = owners.find(connection, scope)
            look = None if owner is None else self._look(connection, scope, owner, query, vectors, conditions)
            if look is None:
                return []
            snapshot, vector, allowed = look
            scores = as_score(fits(snapshot, query, vector))
            if conditions.get("half_life") is not None:
                scores = scores * freshness(snapshot.moments, conditions["half_life"])
            best = _best(np.where(allowed, scores, -1.0), count)
            found = self.items.by_places(scope, [int(place) for place in snapshot.places[best]])
        hits = ((found.get(int(snapshot.places[at])), float(scores[at])) for at in best)
        return [(row, score) for row, score in hits if row is not None]

    def _look(  # noqa: PLR0917
        self,
        connection: Connection,
        scope: Scope,
        owner: owners.Owner,
        query: str,
        vectors: Any,
        conditions: Mapping[str, Any],
    ) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
        """The rows among which to search, the query's vector, and which of the rows may be found."""
        kinds: Sequence[Kind] | None = conditions.get("kinds")
        metadata: dict[str, JSON] = conditions.get("metadata") or {}
        vector = np.asarray(vectors, dtype=np.float32)
        archive = self._database.archive(connection, owner.root, scope)
        if archive is not None:
            return excerpt(archive, self._embedding, query, vector, self.items.wanted(owner, kinds, metadata))
        snapshot = self._indexes.read(connection, owner.root)
        if snapshot is None:
            return None
        allowed = snapshot.of_owner(None if owner.id == owner.root else owner.id)
        if kinds is not None:
            allowed &= snapshot.of_kinds(tuple(kinds))
        if dead := self.items.dead(owner.root):
            allowed &= ~np.isin(snapshot.places, dead)
        if metadata:
            allowed &= np.isin(snapshot.places, self.items.matching(scope, metadata, kinds=kinds))
        return snapshot, self._embedding.for_query(query, vector, weights_in(snapshot)), allowed

    def get(self, vector_id: str) -> StoredVector | None:
        """One row of the scope of the call."""
        row = self.items.get(self._guard.scope, vector_id)
        return None if row is None else _stored(row)

    def update(self, vector_id: str, vector: Any = None, payload: Mapping[str, Any] | None = None) -> None:
        """Change one row of the scope of the call."""
        with self._guard.keeping_errors(), self._database.writing() as connection:
            if payload is None or self.items.get(self._guard.scope, vector_id) is None:
                return
            if vector is not None:
                self._embedder.claim(connection, len(vector))
            row = row_of(vector_id, payload)
            self.items.rewrite(row, None if vector is None else as_bytes(vector), pack_terms(row.text))

    def delete(self, vector_id: str) -> None:
        """Delete one row of the scope of the call."""
        self.items.remove(self._guard.scope, vector_id)

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[StoredVector]]:
        """The scope's rows in order, inside one more list, as mem0 wants it."""
        scope = self._guard.check(scope_of(filters or {}))
        rows = self.items.page(scope, limit=-1 if top_k is None else top_k, after=0, kinds=None, filters={})
        return [[_stored(row) for row in rows]]

    def keyword_search(self, query: str, top_k: int = 5, filters: Mapping[str, Any] | None = None) -> None:
        """Nothing: keywords are part of `search`, where they find what vectors do not."""

    def create_col(self, name: str, vector_size: int, distance: str) -> None:
        """Nothing: the tables are made when the file is opened."""

    def list_cols(self) -> list[str]:
        """The one collection."""
        return [self.collection_name]

    def delete_col(self) -> None:
        """Refused: it would remove every user's memories at once."""
        raise PermissionError("memweld erases memories by scope, never a whole collection")

    def reset(self) -> None:
        """Refused, as `delete_col`."""
        self.delete_col()

    def col_info(self) -> dict[str, Any]:
        """The collection's name and how many rows it holds."""
        with self._database.reading() as connection:
            count = connection.execute("SELECT count(*) FROM items").fetchone()[0]
        return {"name": self.collection_name, "count": count}

    def keep(self, maximum_bytes: int) -> None:
        """Bound the RAM for vectors and words of all users together."""
        self._indexes.maximum_bytes = maximum_bytes

    def forget(self) -> None:
        """Drop the vectors and words in RAM; the next search reads them anew."""
        self._indexes.forget()
        forget_words()

    def _found(self, row: ItemRow, score: float) -> StoredVector:
        found = _stored(row, score)
        if self._guard.extracting and (row.scope != self._guard.scope or row.kind != "item"):
            # mem0 drops a fact whose hash it has just found: another agent's memory, or a preference, is no reason to.
            found.payload["hash"] = ""
        return found


def open_collection(  # noqa: PLR0917 - as mem0 calls it
    collection_name: str,
    database: Database,
    guard: Guard,
    embedder: EmbedderOfFile,
    embedding: GuardedEmbedding,
    mirror: Any = None,
) -> VectorStoreBase:
    """What mem0 calls for a collection: the items, or the entities that it links to them."""
    if collection_name.endswith("_entities"):
        return EntityStore(collection_name, database, guard)
    if mirror is not None:
        from .mirror.store import MirroredStore

        return MirroredStore(mirror, collection_name, database, guard, embedder, embedding)
    return SqliteVectorStore(collection_name, database, guard, embedder, embedding)


def _best(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Positions of the ``count`` highest scores that are not negative, highest first, older rows first among equals."""
    if len(scores) > count:
        candidates = np.argpartition(-scores, count - 1)[:count]
        # All that equal the lowest candidate compete for its place, so that ties do not depend on the partition.
        candidates = np.flatnonzero(scores >= scores[candidates].min())
    else:
        candidates = np.arange(len(scores))
    ordered = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ordered[scores[ordered] >= 0]


def _stored(row: ItemRow, score: float | None = None) -> StoredVector:
    return StoredVector(row.id, score, to_payload(row))

"""mem0's vector store on our tables: exact search over the scope's own vectors, fused with keywords.

mem0 hands the raw query text to ``search``, so the fusion lives here; its own keyword scoring can only reorder what
vectors found, and stays off.
"""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mem0.vector_stores.base import VectorStoreBase
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...models import JSON
from ..stores import owners
from ..stores.items import ItemRow, Items
from ..stores.sqlite import SqliteDatabase
from .claim import EmbedderOfFile
from .entities import EntityStore
from .guard import Guard
from .index import IndexCache, as_bytes
from .payloads import row_of, scope_of, to_payload
from .ranking import fuse, keyword_query

__all__ = ["FILTERS", "SqliteVectorStore", "StoreConfig", "StoredVector", "open_collection"]

FILTERS = "memweld_filters"
"""The filter key under which kinds and metadata travel, as JSON, so that mem0 reads no operator into them."""

_MOST_KEYWORD_HITS = 5_000


class StoreConfig(BaseModel):
    """What mem0 builds the stores from: it is dumped to a dict and passed to `open_collection`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection_name: str
    database: SqliteDatabase
    guard: Guard
    embedder: EmbedderOfFile

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

    def __init__(self, collection_name: str, database: SqliteDatabase, guard: Guard, embedder: EmbedderOfFile) -> None:
        self.collection_name = collection_name
        self.items = Items(database)
        self._embedder = embedder
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
        with self._guard.keeping_errors(), self._database.writing() as connection:
            for vector, payload, memory_id in zip(vectors, payloads or (), ids or (), strict=True):
                row = row_of(memory_id, payload)
                self._guard.check(row.scope)
                self._embedder.claim(connection, len(vector))
                self.items.insert(row, as_bytes(vector))

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[StoredVector]:
        """The rows that fit best, best first, with scores from 0 to 1."""
        wanted = dict(filters or {})
        conditions = json.loads(wanted.pop(FILTERS, "{}"))
        scope = self._guard.check(scope_of(wanted))
        with self._database.reading() as connection:
            owner = owners.find(connection, scope)
            snapshot = None if owner is None else self._indexes.read(connection, owner.root)
            if owner is None or snapshot is None:
                return []
            self._embedder.check(connection, len(vectors))
            places, keyword_scores = self._keywords(connection, query, owner.root)
            scores = fuse(snapshot, np.asarray(vectors, dtype=np.float32), places, keyword_scores)
            allowed = snapshot.owners == owner.id if owner.id != owner.root else np.ones(len(scores), dtype=np.bool_)
            if conditions.get("kinds") is not None:
                allowed &= snapshot.of_kinds(tuple(conditions["kinds"]))
            if conditions.get("metadata"):
                fitting = np.array(self.items.matching(scope, conditions["metadata"]), dtype=np.int64)
                allowed &= np.isin(snapshot.places, fitting)
            # mem0 asks for four times as many, or 60, to reorder them by signals of its own.
            best = _best(np.where(allowed, scores, -1.0), min(top_k, self._guard.wanted or top_k))
            found = self.items.by_places(scope, [int(place) for place in snapshot.places[best]])
        hits = ((found.get(int(snapshot.places[at])), float(scores[at])) for at in best)
        return [self._found(row, score) for row, score in hits if row is not None]

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
            self.items.rewrite(row_of(vector_id, payload), None if vector is None else as_bytes(vector))

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

    def forget(self) -> None:
        """Drop the vectors in RAM; the next search reads them anew."""
        self._indexes.forget()

    def _found(self, row: ItemRow, score: float) -> StoredVector:
        found = _stored(row, score)
        if self._guard.extracting and (row.scope != self._guard.scope or row.kind != "item"):
            # mem0 drops a fact whose hash it has just found: another agent's memory, or a preference, is no reason to.
            found.payload["hash"] = ""
        return found

    def _keywords(
        self, connection: sqlite3.Connection, query: str, root: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        words = keyword_query(query, f"scope{root}x")
        rows: list[tuple[int, float]] = []
        if words is not None:
            # The scope's word is in every row of the scope: its weight of 0 keeps it out of the score.
            rows = connection.execute(
                "SELECT rowid, -bm25(items_words, 1.0, 0.0) AS fit FROM items_words WHERE items_words MATCH ? "
                "ORDER BY fit DESC LIMIT ?",
                (words, _MOST_KEYWORD_HITS),
            ).fetchall()
        places = np.array([row[0] for row in rows], dtype=np.int64)
        return places, np.clip(np.array([row[1] for row in rows], dtype=np.float32), 0.0, None)


def open_collection(
    collection_name: str, database: SqliteDatabase, guard: Guard, embedder: EmbedderOfFile
) -> VectorStoreBase:
    """What mem0 calls for a collection: the items, or the entities that it links to them."""
    if collection_name.endswith("_entities"):
        return EntityStore(collection_name, database, guard)
    return SqliteVectorStore(collection_name, database, guard, embedder)


def _best(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
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

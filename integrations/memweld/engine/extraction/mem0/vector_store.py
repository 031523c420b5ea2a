"""mem0's vector store on our own (see ``store.py``).

mem0 hands the raw query text to ``search``, so the ranking lives there; its own keyword scoring can only reorder what
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
from pydantic import BaseModel, ConfigDict

from ....models import JSON
from ...search.item_store import FactStore
from ...sql.database import Database
from ...sql.items import ItemRow
from .entities import EntityStore
from .payloads import row_of, scope_of, to_payload
from .scope_guard import Guard

__all__ = ["FILTERS", "MemweldVectorStore", "StoreConfig", "StoredVector", "open_collection"]

FILTERS = "memweld_filters"
"""The filter key under which kinds and metadata travel, as JSON, so that mem0 reads no operator into them."""


class StoreConfig(BaseModel):
    """What mem0 builds the stores from: it is dumped to a dict and passed to `open_collection`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    collection_name: str
    database: Database
    guard: Guard
    store: FactStore

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The fields as they are: a database is not data."""
        return {name: getattr(self, name) for name in StoreConfig.model_fields}


@dataclass(slots=True)
class StoredVector:
    """One row as mem0 reads it."""

    id: str
    score: float | None
    payload: dict[str, JSON]


class MemweldVectorStore(VectorStoreBase):
    """The items as a collection of mem0."""

    def __init__(self, collection_name: str, database: Database, guard: Guard, store: FactStore) -> None:
        self.collection_name = collection_name
        self._database = database
        self._guard = guard
        self._store = store
        self._items = store.items

    def insert(
        self,
        vectors: Sequence[Any],
        payloads: Sequence[Mapping[str, Any]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        """Store rows; one that says what the owner has already is left out."""
        rows = [row_of(memory_id, payload) for memory_id, payload in zip(ids or (), payloads or (), strict=True)]
        with self._guard.keeping_errors():
            self._store.store(rows, [np.asarray(vector, dtype=np.float32) for vector in vectors])

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[StoredVector]:
        """The rows that fit best, best first, with scores from 0 to 1."""
        wanted = dict(filters or {})
        conditions = json.loads(wanted.pop(FILTERS, "{}"))
        vector = np.asarray(vectors, dtype=np.float32)
        # mem0 asks for four times as many, or 60, to reorder them by signals of its own.
        best = self._store.best(scope_of(wanted), query, vector, top_k, conditions)
        return [self._found(row, score) for row, score in best]

    def get(self, vector_id: str) -> StoredVector | None:
        """One row of the scope of the call."""
        row = self._items.get(self._guard.scope, vector_id)
        return None if row is None else _stored(row)

    def update(self, vector_id: str, vector: Any = None, payload: Mapping[str, Any] | None = None) -> None:
        """Change one row of the scope of the call."""
        if payload is not None:
            with self._guard.keeping_errors():
                packed = None if vector is None else np.asarray(vector, dtype=np.float32)
                self._store.change(row_of(vector_id, payload), packed)

    def delete(self, vector_id: str) -> None:
        """Delete one row of the scope of the call."""
        self._items.remove(self._guard.scope, vector_id)

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[StoredVector]]:
        """The scope's rows in order, inside one more list, as mem0 wants it."""
        scope = self._guard.check(scope_of(filters or {}))
        rows = self._items.page(scope, limit=-1 if top_k is None else top_k, after=0, kinds=None, filters={})
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

    def _found(self, row: ItemRow, score: float) -> StoredVector:
        found = _stored(row, score)
        if self._guard.extracting and (row.scope != self._guard.scope or row.kind != "item"):
            # mem0 drops a fact whose hash it has just found: another agent's memory, or a preference, is no reason to.
            found.payload["hash"] = ""
        return found


def open_collection(collection_name: str, database: Database, guard: Guard, store: FactStore) -> VectorStoreBase:
    """What mem0 calls for a collection: the items, or the entities that it links to them."""
    if collection_name.endswith("_entities"):
        return EntityStore(collection_name, database, guard)
    return MemweldVectorStore(collection_name, database, guard, store)


def _stored(row: ItemRow, score: float | None = None) -> StoredVector:
    return StoredVector(row.id, score, to_payload(row))

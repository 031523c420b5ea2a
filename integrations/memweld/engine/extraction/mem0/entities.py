"""mem0's second collection: the entities that it finds in memories when spaCy and its model are installed."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mem0.vector_stores.base import VectorStoreBase
from pydantic import BaseModel

from ....models import JSON
from ....validation import dump_json
from ...search.snapshot import as_bytes
from ...sql import owners
from ...sql.database import Connection, Database
from .payloads import scope_of
from .scope_guard import Guard

__all__ = ["EntityStore"]


class Entity(BaseModel):
    """One entity as mem0 reads it."""

    id: str
    score: float | None = None
    payload: dict[str, JSON]


class EntityStore(VectorStoreBase):
    """The entities table as a collection of mem0. A scope has few, so they are scanned."""

    def __init__(self, collection_name: str, database: Database, guard: Guard) -> None:
        self.collection_name = collection_name
        self._database = database
        self._guard = guard

    def insert(
        self,
        vectors: Sequence[Any],
        payloads: Sequence[Mapping[str, Any]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> None:
        """Store entities."""
        with self._database.writing() as connection:
            for vector, payload, entity in zip(vectors, payloads or (), ids or (), strict=True):
                owner = owners.claim(connection, self._guard.check(scope_of(payload))).id
                connection.execute(
                    "INSERT INTO entities (id, owner, payload, vector) VALUES (?, ?, ?, ?)",
                    (entity, owner, dump_json(dict(payload)), as_bytes(np.asarray(vector, dtype=np.float32))),
                )

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[Entity]:
        """The scope's entities by cosine, best first. mem0 asks from threads of its own, where no call is known."""
        rows = self._rows(filters or {})  # mem0 has embedded the query already
        if not rows:
            return []
        matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.float32).reshape(len(rows), -1)
        scores = matrix @ np.asarray(vectors, dtype=np.float32)
        best: list[int] = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [Entity(id=rows[at][0], payload=json.loads(rows[at][1]), score=float(scores[at])) for at in best]

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[Entity]]:
        """The scope's entities, inside one more list, as mem0 wants it."""
        self._guard.check(scope_of(filters or {}))
        rows = self._rows(filters or {})[:top_k]
        return [[Entity(id=row[0], payload=json.loads(row[1])) for row in rows]]

    def get(self, vector_id: str) -> Entity | None:
        """One entity of the scope of the call."""
        with self._database.reading() as connection:
            mine = self._mine(connection)
            row = connection.execute("SELECT payload, owner FROM entities WHERE id = ?", (vector_id,)).fetchone()
        return None if row is None or row[1] not in mine else Entity(id=vector_id, payload=json.loads(row[0]))

    def update(self, vector_id: str, vector: Any = None, payload: Mapping[str, Any] | None = None) -> None:
        """Change one entity of the scope of the call."""
        with self._database.writing() as connection:
            if payload is not None and self.get(vector_id) is not None:
                packed = None if vector is None else as_bytes(np.asarray(vector, dtype=np.float32))
                connection.execute(
                    "UPDATE entities SET payload = ?, vector = coalesce(?, vector) WHERE id = ?",
                    (dump_json(dict(payload)), packed, vector_id),
                )

    def delete(self, vector_id: str) -> None:
        """Delete one entity of the scope of the call."""
        with self._database.writing() as connection:
            if self.get(vector_id) is not None:
                connection.execute("DELETE FROM entities WHERE id = ?", (vector_id,))

    def create_col(self, name: str, vector_size: int, distance: str) -> None:
        """Nothing: the tables are made when the file is opened."""

    def list_cols(self) -> list[str]:
        """The one collection."""
        return [self.collection_name]

    def delete_col(self) -> None:
        """Refused: it would remove every user's entities at once."""
        raise PermissionError("memweld erases memories by scope, never a whole collection")

    def reset(self) -> None:
        """Refused, as `delete_col`."""
        self.delete_col()

    def col_info(self) -> dict[str, Any]:
        """The collection's name."""
        return {"name": self.collection_name}

    def _mine(self, connection: Connection) -> set[int]:
        return set(owners.contained(connection, self._guard.scope))

    def _rows(self, filters: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
        with self._database.reading() as connection:
            owner = owners.find(connection, scope_of(filters))
            if owner is None:
                return []
            return connection.execute(
                "SELECT id, payload, vector FROM entities WHERE owner = ? ORDER BY place", (owner.id,)
            ).fetchall()

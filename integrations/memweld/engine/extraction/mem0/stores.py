"""The stores that mem0 calls back: items as its vectors, entities as its second collection, no history.

Rows travel to mem0 as payloads with the few keys that it reads. Everything else about a row stays in the `Call`.
"""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from ....models import JSON
from ....scope import Scope
from ....validation import dump_json, utc_now
from ...search.embedders import Vector, as_bytes
from ...search.item_store import ItemStore, Question
from ...sql import owners
from ...sql.database import Connection, Database
from ...sql.dialect import UNLIMITED
from ...sql.item_rows import ItemRow
from ..attribution import origin_of
from .call_guard import CallGuard
from .side_effects import load_mem0

load_mem0()
from mem0.vector_stores.base import VectorStoreBase  # noqa: E402 - behind what its import needs

__all__ = ["EntityStore", "MemweldVectorStore", "NullHistory", "StoredVector", "encode_scope", "to_payload"]


@dataclass(slots=True)
class StoredVector:
    """One row as mem0 reads it."""

    id: str
    payload: dict[str, JSON]
    score: float | None = None


def encode_scope(scope: Scope) -> dict[str, str]:
    """The scope as mem0's entity ids: percent-encoded, because mem0 refuses blanks and some stores read ``*``."""
    ids = {"user_id": scope.user_id, "agent_id": scope.agent_id}
    return {name: quote(identity, safe="") for name, identity in ids.items() if identity is not None}


def _decode_scope(named: Mapping[str, Any]) -> Scope:
    """The scope that a payload or a filter names. The guard compares it with the scope of the call."""
    user_id, agent_id = (unquote(str(named[name])) if named.get(name) else None for name in ("user_id", "agent_id"))
    return Scope.stored(user_id, agent_id)


def to_payload(row: ItemRow) -> dict[str, JSON]:
    """The row as mem0 reads it."""
    return {
        **encode_scope(row.scope),
        "data": row.text,
        "hash": row.hash,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _stored(row: ItemRow, score: float | None = None) -> StoredVector:
    return StoredVector(row.id, to_payload(row), score)


class _Collection(VectorStoreBase):
    """The base of the two collections: no call reaches all users at once."""

    collection_name = "memweld"

    def create_col(self, name: str, vector_size: int, distance: str) -> None:
        """Nothing: the tables are made when the database is opened."""

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
        """The collection's name."""
        return {"name": self.collection_name}


class MemweldVectorStore(_Collection):
    """The items as a collection of mem0.

    mem0 hands the raw query text to `search`, so the ranking lives there. Its own keyword scoring can only reorder
    what vectors found, and stays off.
    """

    def __init__(self, guard: CallGuard, store: ItemStore) -> None:
        self._guard = guard
        self._store = store
        self._items = store.items

    def insert(
        self, vectors: Sequence[Any], payloads: Sequence[Mapping[str, Any]] = (), ids: Sequence[str] = ()
    ) -> None:
        """Store extracted facts; one that its owner has already is left out."""
        with self._guard.keeping_errors():
            template = self._guard.call.template
            if template is None:
                raise PermissionError("memweld stores verbatim texts itself")
            rows: list[ItemRow] = []
            for memory_id, payload in zip(ids, payloads, strict=True):
                scope = self._guard.validate(_decode_scope(payload))
                created_at = str(payload.get("created_at") or utc_now().isoformat())
                text = str(payload["data"])
                origin = origin_of(text, self._guard.call.drafts)
                rows.append(origin.row(template, scope, text, created_at, memory_id=memory_id))
            stored = self._store.store(rows, [np.asarray(vector, dtype=np.float32) for vector in vectors])
            self._guard.call.stored += sum(row.id == each.id for row, each in zip(rows, stored, strict=True))

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[StoredVector]:
        """The rows that fit best, best first, with scores from 0 to 1."""
        scope, call = self._guard.validate(_decode_scope(filters or {})), self._guard.call
        with self._guard.keeping_errors():
            # mem0 asks for four times as many, or 60, to reorder them by signals of its own.
            vector = np.asarray(vectors, dtype=np.float32)
            best = self._store.best(Question(scope, query, vector, top_k, call.search, timed=call.timed))
        call.found.update((each.row.id, each) for each in best)
        return [self._found(each.row, each.score) for each in best]

    def _found(self, row: ItemRow, score: float) -> StoredVector:
        found, call = _stored(row, score), self._guard.call
        if call.template is not None and (row.scope != call.scope or row.kind != "item"):
            # mem0 drops a fact whose hash it has just found: another agent's memory, or a preference, is no reason to.
            found.payload["hash"] = ""
        return found

    def get(self, vector_id: str) -> StoredVector | None:
        """One row of the scope of the call."""
        row = self._items.get(self._guard.call.scope, vector_id)
        return None if row is None else _stored(row)

    def update(self, vector_id: str, vector: Any = None, payload: Mapping[str, Any] | None = None) -> None:
        """Write the row that the call changes."""
        changed = self._guard.call.changed
        if payload is not None and changed is not None and changed.id == vector_id:
            with self._guard.keeping_errors():
                packed: Vector | None = None if vector is None else np.asarray(vector, dtype=np.float32)
                self._store.change(changed, packed)

    def delete(self, vector_id: str) -> None:
        """Delete one row of the scope of the call."""
        self._items.remove(self._guard.call.scope, vector_id)

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[StoredVector]]:
        """The scope's rows in order, inside one more list, as mem0 wants it."""
        scope = self._guard.validate(_decode_scope(filters or {}))
        rows = self._items.page(scope, limit=UNLIMITED if top_k is None else top_k, after=0)
        return [[_stored(row) for row in rows]]

    def keyword_search(self, query: str, top_k: int = 5, filters: Mapping[str, Any] | None = None) -> None:
        """Nothing: keywords are part of `search`, where they find what vectors do not."""


class EntityStore(_Collection):
    """The entities that mem0 finds with spaCy and its model. A scope has few, so each call scans them."""

    def __init__(self, database: Database, guard: CallGuard) -> None:
        self._database = database
        self._guard = guard

    def insert(
        self, vectors: Sequence[Any], payloads: Sequence[Mapping[str, Any]] = (), ids: Sequence[str] = ()
    ) -> None:
        """Store entities."""
        with self._database.writing(self._guard.call.scope) as connection:
            for vector, payload, entity in zip(vectors, payloads, ids, strict=True):
                owner = owners.get_or_create(connection, self._guard.validate(_decode_scope(payload))).id
                connection.execute(
                    "INSERT INTO entities (id, owner, payload, vector) VALUES (?, ?, ?, ?)",
                    (entity, owner, dump_json(dict(payload)), as_bytes(np.asarray(vector, dtype=np.float32))),
                )

    def search(
        self, query: str, vectors: Any, top_k: int = 5, filters: Mapping[str, Any] | None = None
    ) -> list[StoredVector]:
        """The scope's entities by cosine, best first. mem0 asks from threads of its own, where no call is known."""
        rows = self._rows(filters or {})  # mem0 has embedded the query already
        if not rows:
            return []
        matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype=np.float32).reshape(len(rows), -1)
        scores = matrix @ np.asarray(vectors, dtype=np.float32)
        best: list[int] = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [StoredVector(rows[at][0], json.loads(rows[at][1]), float(scores[at])) for at in best]

    def list(self, filters: Mapping[str, Any] | None = None, top_k: int | None = None) -> list[list[StoredVector]]:
        """The scope's entities, inside one more list, as mem0 wants it."""
        self._guard.validate(_decode_scope(filters or {}))
        return [[StoredVector(row[0], json.loads(row[1])) for row in self._rows(filters or {})[:top_k]]]

    def get(self, vector_id: str) -> StoredVector | None:
        """One entity of the scope of the call."""
        scope = self._guard.call.scope
        with self._database.reading(scope) as connection:
            mine = owners.contained(connection, scope)
            row = connection.execute("SELECT payload, owner FROM entities WHERE id = ?", (vector_id,)).fetchone()
        return None if row is None or row[1] not in mine else StoredVector(vector_id, json.loads(row[0]))

    def update(self, vector_id: str, vector: Any = None, payload: Mapping[str, Any] | None = None) -> None:
        """Change one entity of the scope of the call."""
        with self._database.writing(self._guard.call.scope) as connection:
            if payload is not None and self.get(vector_id) is not None:
                packed = None if vector is None else as_bytes(np.asarray(vector, dtype=np.float32))
                connection.execute(
                    "UPDATE entities SET payload = ?, vector = coalesce(?, vector) WHERE id = ?",
                    (dump_json(dict(payload)), packed, vector_id),
                )

    def delete(self, vector_id: str) -> None:
        """Delete one entity of the scope of the call."""
        with self._database.writing(self._guard.call.scope) as connection:
            if self.get(vector_id) is not None:
                connection.execute("DELETE FROM entities WHERE id = ?", (vector_id,))

    def _rows(self, filters: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
        scope = _decode_scope(filters)
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            return [] if owner is None else _entities(connection, owner.id)


def _entities(connection: Connection, owner: int) -> list[tuple[str, str, bytes]]:
    return connection.execute(
        "SELECT id, payload, vector FROM entities WHERE owner = ? ORDER BY place", (owner,)
    ).fetchall()


class NullHistory:
    """In the place of mem0's ``SQLiteManager``, whose file of past texts and raw messages outlives the memories.

    memweld keeps no past texts, and keeps messages once, in the session's history.
    """

    def __init__(self, guard: CallGuard) -> None:
        self._guard = guard

    def add_history(self, *_: Any, **__: Any) -> None:
        """Nothing: what a memory said before is gone when it is changed or deleted."""

    def batch_add_history(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Nothing."""

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        """Nothing was kept."""
        return []

    def save_messages(self, messages: Sequence[Mapping[str, Any]], session_scope: str) -> None:
        """Nothing."""

    def get_last_messages(self, session_scope: str, limit: int = 10) -> list[dict[str, str]]:
        """The messages of the session before the turn of this call."""
        return list(self._guard.call.earlier)[-limit:]

    def reset(self) -> None:
        """Refused, as for the vectors: it would be for every user at once."""
        raise PermissionError("memweld erases memories by scope, never everything")

    def close(self) -> None:
        """Nothing is open."""

"""Vectors in one of mem0's vector stores, by the few methods that all of them have."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import BackendUnavailableError, MemweldError
from ....scope import Scope
from ...search.embedders import Vector
from ...sql.outbox import Entry
from .protocol import ItemCopy, Records, owner_ids
from .store_registry import OpenStore, close_store, one_line, open_store

__all__ = ["VectorStore"]

# These look at a filter while they search; the others may find fewer than there are.
_FILTER_FIRST = ("qdrant", "chroma", "pgvector")
# These answer 1 / (1 + the squared distance) as a score, the others a cosine.
_BY_DISTANCE = ("chroma", "faiss")


class VectorStore:
    """A vector store of mem0's.

    Args:
        provider: The store's name in mem0.
        details: Its configuration.
        dimensions: The length of the vectors.
        records: Names the items of this database in the store.

    Raises:
        ConfigurationError: The configuration is wrong, or for vectors of another length.
        MissingExtraError: A package is not installed.
        BackendUnavailableError: The store does not answer.
    """

    def __init__(self, provider: str, details: Mapping[str, Any], dimensions: int, records: Records) -> None:
        if provider == "faiss" and "distance_strategy" not in details:
            details = {**details, "distance_strategy": "cosine"}
        self._records = records
        self._opened: OpenStore | None = open_store(provider, details, dimensions)
        self.where = self._opened.where
        self.is_exclusive = self._opened.is_exclusive
        self.keeps_copies = not self._opened.overwrites
        strategy = details.get("distance_strategy")
        self._by_distance = provider in _BY_DISTANCE and strategy not in ("cosine", "inner_product")
        self._filters_first = provider in _FILTER_FIRST

    def put(self, copies: Sequence[ItemCopy]) -> tuple[int, ...]:
        """Store items with their vectors."""
        ids = [self._records.id_of(copy.entry.seq) for copy in copies]
        vectors = [copy.vector.tolist() for copy in copies]
        payloads = [_payload(copy.entry) | self._records.fields(copy.entry.seq) for copy in copies]
        with self._asking() as opened:
            store = opened.store
            if opened.provider == "chroma":
                # mem0's insert silently ignores an id that Chroma has already.
                store.collection.upsert(ids=ids, embeddings=vectors, metadatas=payloads)
                return ()
            if opened.provider != "qdrant":  # whose insert replaces
                for each in ids:
                    if store.get(each) is not None:
                        store.delete(each)
            store.insert(vectors=vectors, payloads=payloads, ids=ids)
        return ()

    def drop(self, items: Sequence[int]) -> tuple[int, ...]:
        """Delete items."""
        ids = [self._records.id_of(item) for item in items]
        with self._asking() as opened:
            if opened.provider == "chroma":
                opened.store.collection.delete(ids=ids)
                return ()
            for each in ids:
                if opened.provider == "qdrant" or opened.store.get(each) is not None:
                    opened.store.delete(each)
        return ()

    def near(self, scope: Scope, query: str, vector: Vector, count: int) -> tuple[dict[int, float], bool]:
        """The store's nearest rows of the scope, their cosines times the vector's length."""
        owner, known = owner_ids(scope), float(np.linalg.norm(vector))
        with self._asking() as opened:
            unit = (vector / known).tolist() if known else vector.tolist()
            found = opened.store.search(query=query, vectors=unit, top_k=count, filters=dict(owner))
        cosines: dict[int, float] = {}
        for each in found:
            payload: Mapping[str, Any] = each.payload or {}
            item = self._records.item_of(str(each.id), payload)
            if item is not None and all(payload.get(name) == wanted for name, wanted in owner.items()):
                cosines.setdefault(item, known * self._cosine(float(each.score or 0.0)))
        return cosines, len(found) >= count or not self._filters_first

    def missing(self, items: Sequence[int]) -> list[int]:
        """Which of these the store does not have."""
        ids = {self._records.id_of(item): item for item in items}
        with self._asking() as opened:
            if opened.provider == "chroma":
                present = set(opened.store.collection.get(ids=list(ids), include=[])["ids"])
                return [item for each, item in ids.items() if each not in present]
            return [item for each, item in ids.items() if opened.store.get(each) is None]

    def close(self) -> None:
        """Close the store, unless others in this process use it."""
        opened, self._opened = self._opened, None
        if opened is not None:
            close_store(opened)

    def _cosine(self, score: float) -> float:
        if self._by_distance:
            # Of unit vectors the squared distance is 2 - 2 · cosine; behind six digits of it there is single-precision
            # noise, which would put equal memories into another order each time they are stored.
            return round(1.0 - (1.0 / max(score, 1e-9) - 1.0) / 2.0, 6)
        return score

    @contextlib.contextmanager
    def _asking(self) -> Generator[OpenStore]:
        opened = self._opened
        if opened is None:
            raise BackendUnavailableError(f"{self.where} is closed; connect again.")
        try:
            with opened.lock:
                yield opened
        except MemweldError:
            raise
        except Exception as error:
            raise BackendUnavailableError(f"{self.where} failed: {type(error).__name__}: {one_line(error)}") from error


def _payload(entry: Entry) -> dict[str, str]:
    """The payload that mem0 would store, without the fields that only mem0 uses; some stores take nothing but texts."""
    return {
        **owner_ids(entry.scope),
        "data": entry.text,
        "hash": entry.hash,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
    }

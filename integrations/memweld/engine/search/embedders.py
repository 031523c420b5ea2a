"""The protocol of an embedder, and the guard around each: unit vectors, memweld's errors, no slow transactions."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendUnavailableError, MemweldError
from ...progress import progress_bar
from ...validation import fold_text
from .tokenizer import QueryWord

__all__ = ["Embedder", "GuardedEmbedding", "Vector", "Weigh", "WeighingEmbedder", "as_bytes"]

T = TypeVar("T")

_BATCH = 512

Vector: TypeAlias = NDArray[np.float32]

Weigh: TypeAlias = Callable[[QueryWord], float]
"""The weight of a query's word: near 0 if every memory contains it, higher the fewer do."""


class Embedder(Protocol):
    """Turns text into vectors.

    Attributes:
        fingerprint: Names the model; vectors of different fingerprints are never compared.
    """

    fingerprint: str

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of memories: float32, shape (dimensions,), not yet normalised."""
        ...

    def embed_query(self, query: str) -> Vector:
        """The vector of a query; some models embed queries and memories differently."""
        ...


@runtime_checkable
class WeighingEmbedder(Protocol):
    """An embedder whose vectors are sums over words, so that it can weight a query's words."""

    def embed_weighted(self, query: str, weigh: Weigh) -> Vector:
        """The vector of a query in which each word counts by its rarity among the memories."""
        ...

    def knows(self, query: str) -> float:
        """The share of a query for which the model has words, above 0 and at most 1."""
        ...

    def forget(self) -> None:
        """Drop the words in RAM, which are words of users."""
        ...


class _Prepared(threading.local):
    vectors: dict[str, Vector] | None = None


class GuardedEmbedding:
    """Checks an embedder: it returns unit vectors, raises our errors, and embeds before a transaction begins.

    mem0 2.2 calls it as one of its own embedders, through `embed` and `embed_batch`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self._prepared = _Prepared()

    @contextlib.contextmanager
    def prepared(self, texts: Sequence[str]) -> Generator[None]:
        """Embed the texts now, so that the write transaction inside the block waits for no slow model."""
        self._prepared.vectors = dict(zip(texts, self.embed_batch(texts), strict=True))
        try:
            yield
        finally:
            self._prepared.vectors = None

    def embed(self, text: str, memory_action: str | None = None) -> Vector:
        """The unit vector of a text; zeros for a text that means nothing to the model.

        Args:
            text: A memory, or with the action ``search`` a query.
            memory_action: What mem0 does with the text.

        Raises:
            BackendUnavailableError: The embedding model fails or answers no vector.
        """
        if memory_action == "search":
            return self._unit(self._call(lambda: self._embedder.embed_query(text)))
        if self._prepared.vectors is not None and text in self._prepared.vectors:
            return self._prepared.vectors[text]
        return self.embed_batch([text])[0]

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[Vector]:
        """Each text as by `embed`, in as few calls of the model as it takes."""
        if memory_action == "search":
            return [self.embed(text, memory_action) for text in texts]
        if not texts:
            return []
        folded = [fold_text(text) for text in texts]
        vectors: list[Vector] = []
        with progress_bar("Embedding texts") as report:
            for start in range(0, len(folded), _BATCH):
                vectors += self._embed_folded(folded[start : start + _BATCH])
                if len(folded) > _BATCH:
                    report(len(vectors), len(folded))
        return vectors

    def _embed_folded(self, texts: Sequence[str]) -> list[Vector]:
        vectors = self._call(lambda: self._embedder.embed_texts(texts))
        if len(vectors) != len(texts):
            raise BackendUnavailableError(
                f"The embedder {self.fingerprint!r} answered {len(vectors)} vectors for {len(texts)} texts."
            )
        return [self._unit(vector) for vector in vectors]

    def forget(self) -> None:
        """Drop the words that the embedder has in RAM, if it caches any."""
        if isinstance(self._embedder, WeighingEmbedder):
            self._embedder.forget()

    def for_query(self, query: str, plain: Vector, weigh: Weigh) -> Vector:
        """The query's vector with weighted words if the model can do that, else the plain one.

        Its length is the share of the query that the model knows, at most 1. A smaller share reduces all cosines.
        """
        embedder = self._embedder
        if not isinstance(embedder, WeighingEmbedder):
            return plain
        known = np.float32(embedder.knows(query))
        return self._unit(self._call(lambda: embedder.embed_weighted(query, weigh))) * known

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except MemweldError:
            raise
        except Exception as error:
            raise BackendUnavailableError(
                f"The embedder {self.fingerprint!r} failed: {type(error).__name__}: {error}"
            ) from error

    def _unit(self, answer: Any) -> Vector:
        vector = np.asarray(answer, dtype=np.float32)
        if vector.ndim == 1 and len(vector):
            with np.errstate(over="ignore"):
                length = float(np.sqrt(vector.dot(vector)))
            if math.isfinite(length):
                return np.asarray(vector / length, dtype=np.float32) if length else vector
            if np.isfinite(vector).all():
                # Its squares overflow float32.
                wide = vector.astype(np.float64)
                return (wide / np.linalg.norm(wide)).astype(np.float32)
        raise BackendUnavailableError(f"The embedder {self.fingerprint!r} answered no usable vector.")


def as_bytes(vector: Vector) -> bytes:
    """A vector as the table stores it: little-endian float32."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()

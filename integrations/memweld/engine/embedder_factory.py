"""Makes the embedder that `connect` names: the static default, fastembed's, mem0's or LangChain's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ..errors import ConfigurationError, shown_name
from .search.embedders import Embedder, Vector
from .search.static_model import StaticEmbedder

__all__ = ["load_embedder"]


class _LangChainEmbedder:
    """Any object with the methods of LangChain's ``Embeddings``."""

    def __init__(self, embeddings: Any) -> None:
        self._embeddings = embeddings
        model = getattr(embeddings, "model", None) or getattr(embeddings, "model_name", None) or ""
        self.fingerprint = f"{type(embeddings).__name__}/{model}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        return [_vector(vector) for vector in self._embeddings.embed_documents(list(texts))]

    def embed_query(self, query: str) -> Vector:
        return _vector(self._embeddings.embed_query(query))


def load_embedder(embedder: Any) -> Embedder:
    """Make an embedder from the argument of `connect`.

    Args:
        embedder: None or ``"static"``; ``"fastembed"``, ``"fastembed:MODEL"`` or a fastembed ``TextEmbedding``; a mem0
            configuration; or a LangChain ``Embeddings``.

    Raises:
        ConfigurationError: It is none of these, or the embedder cannot be made.
        MissingExtraError: fastembed or mem0 is not installed.
    """
    if embedder is None or embedder == "static":
        return StaticEmbedder()
    if isinstance(embedder, str) and embedder.partition(":")[0] == "fastembed":
        from .search.transformer import load_transformer

        return load_transformer(embedder.partition(":")[2] or None)
    if callable(getattr(embedder, "passage_embed", None)):
        from .search.transformer import TransformerEmbedder

        return TransformerEmbedder(embedder)
    if isinstance(embedder, Mapping):
        from .extraction.mem0.providers import Mem0Embedder

        return Mem0Embedder(cast("Mapping[str, Any]", embedder))
    if callable(getattr(embedder, "embed_query", None)):
        return _LangChainEmbedder(embedder)
    raise ConfigurationError(
        f"embedder= is {shown_name(embedder)}: pass 'static', 'fastembed', 'fastembed:MODEL', a mem0 configuration "
        "{'provider': …, 'config': {…}} or a LangChain Embeddings object."
    )


def _vector(answer: Any) -> Vector:
    return np.asarray(answer, dtype=np.float32)

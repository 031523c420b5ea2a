"""The embedders that `connect` takes: the static default, fastembed's, those of mem0 and of LangChain."""

# mem0 2.2 has no type stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ...errors import ConfigurationError
from .embedders import Embedder, StaticEmbedder, Vector

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


class _Mem0Embedder:
    """A mem0 embedder by its configuration ``{"provider": …, "config": {…}}``."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from mem0.utils.factory import EmbedderFactory

        provider = config.get("provider")
        details = dict(cast("Mapping[str, Any]", config.get("config") or {}))
        try:
            self._embedding = cast("Any", EmbedderFactory.create(provider, details, None))
        except Exception as error:
            raise ConfigurationError(f"The embedder {provider!r} cannot be made: {error}") from error
        self.fingerprint = f"{provider}/{details.get('model', '')}/{details.get('embedding_dims', '')}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        # One by one: some of mem0's 2.2 embedders inherit a batch that ignores the action, others none at all.
        return [_vector(self._embedding.embed(text, "add")) for text in texts]

    def embed_query(self, query: str) -> Vector:
        return _vector(self._embedding.embed(query, "search"))


def load_embedder(embedder: Any) -> Embedder:
    """The embedder for what `connect` was given.

    Args:
        embedder: None or ``"static"``; ``"fastembed"``, ``"fastembed:MODEL"`` or a fastembed ``TextEmbedding``; a mem0
            configuration; or a LangChain ``Embeddings``.

    Raises:
        ConfigurationError: It is none of these, or cannot be made.
        MissingExtraError: It is fastembed's, which is not installed.
    """
    if embedder is None or embedder == "static":
        return StaticEmbedder()
    if isinstance(embedder, str) and embedder.partition(":")[0] == "fastembed":
        from .transformer import load_transformer

        return load_transformer(embedder.partition(":")[2] or None)
    if callable(getattr(embedder, "passage_embed", None)):
        from .transformer import TransformerEmbedder

        return TransformerEmbedder(embedder)
    if isinstance(embedder, Mapping):
        return _Mem0Embedder(cast("Mapping[str, Any]", embedder))
    if callable(getattr(embedder, "embed_query", None)):
        return _LangChainEmbedder(embedder)
    shown = repr(embedder) if isinstance(embedder, str) else f"a {type(embedder).__name__}"
    raise ConfigurationError(
        f"embedder= is {shown}: pass 'static', 'fastembed', 'fastembed:MODEL', a mem0 configuration "
        "{'provider': …, 'config': {…}} or a LangChain Embeddings object."
    )


def _vector(answer: Any) -> Vector:
    return np.asarray(answer, dtype=np.float32)

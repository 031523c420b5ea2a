"""Embedders: text into unit vectors. The static default needs no key, no server and no download."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from mem0.embeddings.base import EmbeddingBase
from numpy.typing import NDArray

from ...errors import BackendUnavailableError, ConfigurationError

__all__ = ["Embedder", "GuardedEmbedding", "StaticEmbedder", "Vector", "load_embedder"]

Vector = NDArray[np.float32]


class Embedder(Protocol):
    """Text to vectors.

    Attributes:
        fingerprint: Names the model; vectors of different fingerprints are never compared.
    """

    fingerprint: str

    def embed(self, text: str) -> Vector:
        """The vector of a text: float32, one dimension, not yet normalised."""
        ...


class StaticEmbedder:
    """The 256-dimensional static embeddings inside the wordllama wheel: the mean of the tokens' vectors.

    The wheel's two files are read directly: importing the package would configure the program's logging, and its
    loader looks for them at a place where the wheel does not have them (wordllama 0.4.0).
    """

    def __init__(self) -> None:
        from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ConfigurationError("The wordllama package is gone; run: pip install --force-reinstall memweld")
        home = Path(spec.origin).parent
        tensors = load_file(home / "weights" / "l2_supercat_256.safetensors")
        self._weights: Vector = next(iter(tensors.values())).astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        self.fingerprint = f"wordllama/l2_supercat_256/{version('wordllama').partition('.post')[0]}"

    def embed(self, text: str) -> Vector:
        """The mean of the vectors of the text's tokens; zeros for a text without any."""
        tokens = self._tokenizer.encode(text, add_special_tokens=False).ids
        if not tokens:
            return np.zeros(int(self._weights.shape[1]), dtype=np.float32)
        return np.asarray(np.mean(self._weights[tokens], axis=0), dtype=np.float32)


class _LangChainEmbedder:
    """Any object with the methods of LangChain's ``Embeddings``."""

    def __init__(self, embeddings: Any) -> None:
        self._embeddings = embeddings
        model = getattr(embeddings, "model", None) or getattr(embeddings, "model_name", None) or ""
        self.fingerprint = f"{type(embeddings).__name__}/{model}"

    def embed(self, text: str) -> Vector:
        return np.asarray(self._embeddings.embed_query(text), dtype=np.float32)


class _Mem0Embedder:
    """A mem0 embedder by its configuration ``{"provider": …, "config": {…}}``."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        from mem0.utils.factory import EmbedderFactory

        provider = config.get("provider")
        details = dict(cast("Mapping[str, Any]", config.get("config") or {}))
        try:
            self._embedding = cast("EmbeddingBase", EmbedderFactory.create(provider, details, None))
        except Exception as error:
            raise ConfigurationError(f"The embedder {provider!r} cannot be made: {error}") from error
        self.fingerprint = f"{provider}/{details.get('model', '')}/{details.get('embedding_dims', '')}"

    def embed(self, text: str) -> Vector:
        return np.asarray(self._embedding.embed(text, "add"), dtype=np.float32)


def load_embedder(embedder: Any) -> Embedder:
    """The embedder for what `connect` was given: None, a mem0 configuration or a LangChain ``Embeddings``.

    Raises:
        ConfigurationError: It is none of these, or cannot be made.
    """
    if embedder is None:
        return StaticEmbedder()
    if isinstance(embedder, Mapping):
        return _Mem0Embedder(cast("Mapping[str, Any]", embedder))
    if callable(getattr(embedder, "embed_query", None)):
        return _LangChainEmbedder(embedder)
    raise ConfigurationError(
        f"embedder= is a {type(embedder).__name__}: pass a mem0 configuration {{'provider': …, 'config': {{…}}}} "
        "or a LangChain Embeddings object."
    )


class _Prepared(threading.local):
    vectors: dict[str, Vector] | None = None


class GuardedEmbedding(EmbeddingBase):
    """The embedder as mem0 calls it: unit vectors, checked; errors as ours; vectors made before a transaction."""

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self._prepared = _Prepared()

    @contextlib.contextmanager
    def prepared(self, texts: Sequence[str]) -> Generator[None]:
        """Embed the texts now, so that no slow model is asked while the write transaction inside is open."""
        self._prepared.vectors = {text: self.embed(text) for text in texts}
        try:
            yield
        finally:
            self._prepared.vectors = None

    def embed(self, text: str, memory_action: str | None = None) -> Vector:
        """The unit vector of a text; zeros for a text that says nothing to the model.

        Raises:
            BackendUnavailableError: The embedding model fails or answers no vector.
        """
        if self._prepared.vectors is not None and text in self._prepared.vectors:
            return self._prepared.vectors[text]
        try:
            vector = self._embedder.embed(text)
        except Exception as error:
            raise BackendUnavailableError(
                f"The embedder {self.fingerprint!r} failed: {type(error).__name__}: {error}"
            ) from error
        if vector.ndim != 1 or not np.isfinite(vector).all():
            raise BackendUnavailableError(f"The embedder {self.fingerprint!r} answered no usable vector.")
        length = float(np.linalg.norm(vector))
        return (vector / length).astype(np.float32) if length else vector.astype(np.float32)

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[Vector]:
        """Each text as by `embed`."""
        return [self.embed(text, memory_action) for text in texts]

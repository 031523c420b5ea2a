"""The static embedder, which needs no key, server or download, and the guard around whatever embedder is used."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Generator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendUnavailableError, ConfigurationError, MemweldError
from .safetensors_map import map_weights
from .token_cache import WordTokens
from .tokenizer import QueryWord, query_words, split

__all__ = ["Embedder", "GuardedEmbedding", "StaticEmbedder", "Vector", "Weigh", "WeighingEmbedder"]

T = TypeVar("T")

Vector: TypeAlias = NDArray[np.float32]
# What letters alone tell: forms of a word are alike in them, too.
_LETTERS_TELL = 0.3
_SPACE, _BYTE = "\u2581", "<0x"

Weigh: TypeAlias = Callable[[QueryWord], float]
"""The weight of a query's word: near 0 where every memory says it, more the fewer do."""


class Embedder(Protocol):
    """Text to vectors.

    Attributes:
        fingerprint: Names the model; vectors of different fingerprints are never compared.
    """

    fingerprint: str

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of memories: float32, one dimension each, not yet normalised."""
        ...

    def embed_query(self, query: str) -> Vector:
        """The vector of a query, which some models embed in another way than what is to be found."""
        ...


@runtime_checkable
class WeighingEmbedder(Protocol):
    """An embedder whose vectors are sums over words, so that a query's words can be weighted."""

    def embed_weighted(self, query: str, weigh: Weigh) -> Vector:
        """The vector of a query in which each word counts by how rare it is among the memories."""
        ...

    def knows(self, query: str) -> float:
        """How much of a query the model has words for, above 0 and at most 1."""
        ...


class StaticEmbedder:
    """The 256-dimensional static embeddings inside the wordllama wheel: the mean of the tokens' vectors.

    The wheel's two files are read directly: importing the package would configure the program's logging, and its
    loader looks for them at a place where the wheel does not have them (wordllama 0.4.0).
    """

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ConfigurationError("The wordllama package is gone; run: pip install --force-reinstall memweld")
        home = Path(spec.origin).parent
        # In half precision: the rows that are needed are widened, not all of them.
        self._weights = map_weights(home / "weights" / "l2_supercat_256.safetensors")
        self._tokenizer = Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        self._words = WordTokens(self._tokenizer)
        self.fingerprint = f"wordllama/l2_supercat_256/lower/{_version(home.parent).partition('.post')[0]}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """The mean of the vectors of each text's tokens; zeros for a text without any."""
        # In lower case: people ask without capitals, and the model's capitals mean something else.
        return [self._mean(self._words.ids(text.lower()), None) for text in texts]

    def embed_query(self, query: str) -> Vector:
        """As `embed_texts`."""
        return self.embed_texts([query])[0]

    def embed_weighted(self, query: str, weigh: Weigh) -> Vector:
        """The mean of the tokens' vectors, each weighted as the word that it is part of.

        Only the query is weighted: weighting the stored vectors as well gains nothing, and they would have to change
        with every memory.
        """
        query = query.lower()
        tokens = self._tokenizer.encode(query, add_special_tokens=False)
        weights = np.zeros(len(tokens.ids), dtype=np.float32)
        words = query_words(query)
        # Both follow the text, so that each word's tokens stand together.
        firsts = np.searchsorted([end for _, end in tokens.offsets], [word.start for word in words], side="right")
        lasts = np.searchsorted([start for start, _ in tokens.offsets], [word.end for word in words], side="left")
        for word, first, last in zip(words, firsts.tolist(), lasts.tolist(), strict=True):
            weights[first:last] = weigh(word)
        return self._mean(tokens.ids, weights if weights.any() else None)

    def knows(self, query: str) -> float:
        """How much of a query stands in tokens that mean something, at least 0.3; 1 where half of it does.

        Scripts that its vocabulary hardly has are taken apart into single letters and bytes. Any two texts of such a
        script are alike in these, whatever they say. An ideograph or an ASCII character alone is what it is.
        """
        if query.isascii():
            return 1.0
        query = query.lower()
        letters = sum(map(len, split(query)))
        pieces = [token.lstrip(_SPACE) for token in self._tokenizer.encode(query, add_special_tokens=False).tokens]
        told = sum(len(piece) for piece in pieces if _says_something(piece))
        known = min(1.0, 2 * told / letters) if letters else 1.0
        return _LETTERS_TELL + (1 - _LETTERS_TELL) * known

    def forget(self) -> None:
        """Drop the words in RAM."""
        self._words.forget()

    def _mean(self, tokens: list[int], weights: Vector | None) -> Vector:
        if not tokens:
            return np.zeros(int(self._weights.shape[1]), dtype=np.float32)
        if weights is None:
            # What ndarray.mean does, in half the time.
            return np.add.reduce(self._of(tokens), axis=0) / len(tokens)
        return weights @ self._of(tokens) / weights.sum()

    def _of(self, tokens: list[int]) -> Vector:
        return self._weights.take(tokens, axis=0).astype(np.float32)


def _says_something(piece: str) -> bool:
    if len(piece) == 1:
        return piece.isalnum() and (piece.isascii() or "\u3400" <= piece <= "\u9fff")
    return not piece.startswith(_BYTE) and any(map(str.isalnum, piece))


def _version(packages: Path) -> str:
    """The wheel's version by the name of its directory: to import what reads it takes as long as numpy's import."""
    found = [each.name.split("-")[1] for each in packages.glob("wordllama-*.dist-info")]
    if len(found) == 1:
        return found[0].removesuffix(".dist")
    from importlib.metadata import version

    return version("wordllama")


class _Prepared(threading.local):
    vectors: dict[str, Vector] | None = None


class GuardedEmbedding:
    """The embedder, checked: unit vectors; errors as ours; vectors made before a transaction.

    mem0 2.2 calls it as one of its own, by `embed` and `embed_batch`.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.fingerprint = embedder.fingerprint
        self._prepared = _Prepared()

    @contextlib.contextmanager
    def prepared(self, texts: Sequence[str]) -> Generator[None]:
        """Embed the texts now, so that no slow model is asked while the write transaction inside is open."""
        self._prepared.vectors = dict(zip(texts, self.embed_batch(texts), strict=True))
        try:
            yield
        finally:
            self._prepared.vectors = None

    def embed(self, text: str, memory_action: str | None = None) -> Vector:
        """The unit vector of a text; zeros for a text that says nothing to the model.

        Args:
            text: A memory, or with the action ``search`` a query.
            memory_action: What mem0 does with it.

        Raises:
            BackendUnavailableError: The embedding model fails or answers no vector.
        """
        if memory_action == "search":
            return self._unit(self._asked(lambda: self._embedder.embed_query(text)))
        if self._prepared.vectors is not None and text in self._prepared.vectors:
            return self._prepared.vectors[text]
        return self.embed_batch([text])[0]

    def embed_batch(self, texts: Sequence[str], memory_action: str = "add") -> list[Vector]:
        """Each text as by `embed`, in one call of the model where it takes several."""
        if memory_action == "search":
            return [self.embed(text, memory_action) for text in texts]
        if not texts:
            return []
        vectors = self._asked(lambda: self._embedder.embed_texts(texts))
        if len(vectors) != len(texts):
            raise BackendUnavailableError(
                f"The embedder {self.fingerprint!r} answered {len(vectors)} vectors for {len(texts)} texts."
            )
        return [self._unit(vector) for vector in vectors]

    def forget(self) -> None:
        """Drop the words that the embedder keeps in RAM, if it does."""
        if isinstance(self._embedder, StaticEmbedder):
            self._embedder.forget()

    def for_query(self, query: str, plain: Vector, weigh: Weigh) -> Vector:
        """The query's vector with its words weighted, where the model can do that; else the plain one.

        Its length is what the model knows of the query, at most 1: all cosines become smaller where that is little.
        """
        embedder = self._embedder
        if not isinstance(embedder, WeighingEmbedder):
            return plain
        known = np.float32(embedder.knows(query))
        return self._unit(self._asked(lambda: embedder.embed_weighted(query, weigh))) * known

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
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
                # Its numbers are too large to be squared.
                wide = vector.astype(np.float64)
                return (wide / np.linalg.norm(wide)).astype(np.float32)
        raise BackendUnavailableError(f"The embedder {self.fingerprint!r} answered no usable vector.")

"""The static embedder: the mean of token vectors from the wordllama wheel. It needs no key, server or download."""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigurationError
from .embedders import Vector, Weigh
from .tokenizer import query_words, split

__all__ = ["StaticEmbedder", "TokenCache", "map_weights"]

# The part of the cosine that remains where a query consists of single letters: they, too, distinguish forms of a word.
_LETTER_SHARE = 0.3

# Llama's tokenizer writes a space as the first, and a byte that it has no token for beginning with the second.
_SPACE, _BYTE = "\u2581", "<0x"

# The cache holds this many words of at most this many ASCII characters, or half as many others: about 6 MB, and at most
# 30 MB in scripts that the tokenizer takes apart into bytes.
_CACHED_WORDS, _LONGEST_CACHED = 20_000, 32
# Longer than any word: mostly texts in scripts without spaces.
_LONGEST_WORD = 64

# The safetensors names of the types that model weights have.
_TYPES = {"F16": "<f2", "F32": "<f4"}


class StaticEmbedder:
    """The 256-dimensional static embeddings of the wordllama wheel: the mean of the tokens' vectors.

    It reads the wheel's two files directly. Importing the package would configure the program's logging, and its
    loader looks for the files where the wheel does not have them (wordllama 0.4.0).
    """

    def __init__(self) -> None:
        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ConfigurationError("The wordllama package is gone; run: pip install --force-reinstall memweld")
        home = Path(spec.origin).parent
        self._weights, self._tokenizer = _load(home)
        self._tokens = TokenCache(self._tokenizer)
        self.fingerprint = f"wordllama/l2_supercat_256/lower/{_wheel_version(home.parent).partition('.post')[0]}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """The mean of the vectors of each text's tokens; zeros for a text without any."""
        # In lower case: people ask without capitals, and capitals mean something else to the model.
        return [self._mean(self._tokens.ids(text.lower()), None) for text in texts]

    def embed_query(self, query: str) -> Vector:
        """The same as `embed_texts`, for one text."""
        return self.embed_texts([query])[0]

    def embed_weighted(self, query: str, weigh: Weigh) -> Vector:
        """The mean of the tokens' vectors, each with the weight of its word.

        Only the query is weighted. Weighting stored vectors as well gains nothing, and every new memory would change
        them.
        """
        query = query.lower()
        tokens = self._tokenizer.encode(query, add_special_tokens=False)
        weights = np.zeros(len(tokens.ids), dtype=np.float32)
        words = query_words(query)
        # Words and tokens both follow the text, so each word's tokens are neighbours.
        firsts = np.searchsorted([end for _, end in tokens.offsets], [word.start for word in words], side="right")
        lasts = np.searchsorted([start for start, _ in tokens.offsets], [word.end for word in words], side="left")
        for word, first, last in zip(words, firsts.tolist(), lasts.tolist(), strict=True):
            weights[first:last] = weigh(word)
        if words and not weights.any():
            return np.zeros(int(self._weights.shape[1]), dtype=np.float32)
        return self._mean(tokens.ids, weights if words else None)

    def knows(self, query: str) -> float:
        """The share of a query that consists of meaningful tokens, from 0.3 to 1; 1 if half of the query does.

        The tokenizer takes scripts that its vocabulary hardly has apart into single letters and bytes. In these any two
        texts of such a script are alike. A single ideograph or ASCII character is meaningful.
        """
        if query.isascii():
            return 1.0
        query = query.lower()
        letters = sum(map(len, split(query)))
        pieces = [token.lstrip(_SPACE) for token in self._tokenizer.encode(query, add_special_tokens=False).tokens]
        known_letters = sum(len(piece) for piece in pieces if _is_meaningful(piece))
        known = min(1.0, 2 * known_letters / letters) if letters else 1.0
        return _LETTER_SHARE + (1 - _LETTER_SHARE) * known

    def forget(self) -> None:
        """Drop the words in RAM, which are words of users."""
        self._tokens.forget()

    def _mean(self, tokens: list[int], weights: Vector | None) -> Vector:
        if not tokens:
            return np.zeros(int(self._weights.shape[1]), dtype=np.float32)
        vectors = self._weights.take(tokens, axis=0).astype(np.float32)
        if weights is None:
            # What ndarray.mean does, in half the time.
            return np.add.reduce(vectors, axis=0) / len(tokens)
        return weights @ vectors / weights.sum()


@cache
def _load(home: Path) -> tuple[NDArray[Any], Any]:
    """The weights and the tokenizer of the wheel, which all backends of a process share. They hold no user's words."""
    from tokenizers import Tokenizer

    # The weights stay in half precision: only the rows that a text needs are widened.
    weights = map_weights(home / "weights" / "l2_supercat_256.safetensors")
    return weights, Tokenizer.from_file(str(home / "tokenizers" / "l2_supercat_tokenizer_config.json"))


class TokenCache:
    """A tokenizer with Llama's vocabulary that remembers the tokens of words. Thread-safe.

    In this vocabulary only the beginning of a token holds a space. So no merge of two tokens crosses the beginning of a
    word, and the tokens of a text are those of its words.

    Args:
        tokenizer: A ``tokenizers.Tokenizer``.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())
        self._of_word = lru_cache(maxsize=_CACHED_WORDS)(self._tokenize)

    def ids(self, text: str) -> list[int]:
        """The token numbers of a text, without marks for its beginning and end."""
        words = text.split(" ")
        longest = len(max(words, key=len))
        if (
            "" in words
            or longest > _LONGEST_WORD
            or _SPACE in text
            or ("<" in text and any(token in text for token in self._special))
        ):
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        limit = _LONGEST_CACHED if text.isascii() else _LONGEST_CACHED // 2
        if longest <= limit:
            return list(chain.from_iterable(map(self._of_word, words)))
        pieces = [self._of_word(word) if len(word) <= limit else self._tokenize(word) for word in words]
        return list(chain.from_iterable(pieces))

    def forget(self) -> None:
        """Drop the words in RAM, which are words of users."""
        self._of_word.cache_clear()

    def _tokenize(self, word: str) -> tuple[int, ...]:
        return tuple(token.id for token in self._model.tokenize(_SPACE + word))


def map_weights(path: Path) -> NDArray[Any]:
    """Map the one matrix of a safetensors file into memory, read-only. Processes share the pages.

    The package ``safetensors`` would copy the matrix, which takes longer than everything that a first search reads of
    it. The format: eight bytes with the header's length, little-endian; the header, JSON; the data.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file holds something else.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    begin = 8 + int.from_bytes(mapped[:8], "little")
    header = cast("dict[str, Any]", json.loads(mapped[8:begin]))
    ((_, tensor),) = [each for each in header.items() if each[0] != "__metadata__"]
    first, last = tensor["data_offsets"]
    dtype = np.dtype(_TYPES[tensor["dtype"]])
    flat = np.frombuffer(mapped, dtype=dtype, count=(last - first) // dtype.itemsize, offset=begin + first)
    return flat.reshape(tensor["shape"])


def _is_meaningful(piece: str) -> bool:
    if len(piece) == 1:
        return piece.isalnum() and (piece.isascii() or "\u3400" <= piece <= "\u9fff")
    return not piece.startswith(_BYTE) and any(map(str.isalnum, piece))


def _wheel_version(packages: Path) -> str:
    """The wheel's version, from its directory's name: importlib.metadata takes as long to import as numpy."""
    found = [each.name.split("-")[1] for each in packages.glob("wordllama-*.dist-info")]
    if len(found) == 1:
        return found[0].removesuffix(".dist")
    from importlib.metadata import version

    return version("wordllama")

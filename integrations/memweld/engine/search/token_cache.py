"""Text to the numbers of a model's tokens, word by word: a word that was seen before is not taken apart again."""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from typing import Any

__all__ = ["WordTokens"]

# So many words are kept, of so many ASCII characters or half as many others: about 6 MB, and in scripts that are taken
# apart into bytes 30 MB at most.
_WORDS_KEPT, _LONGEST_KEPT = 20_000, 32
# Longer than any word: texts in scripts without spaces, mostly.
_LONGEST = 64

_SPACE = "\u2581"
"""What Llama's tokenizer writes for a space."""


class WordTokens:
    """A tokenizer with Llama's vocabulary, asked for one word at a time. Thread-safe.

    In this vocabulary a space stands at the beginning of tokens alone. So no merge of two tokens goes across the
    beginning of a word, and the tokens of a text are those of its words.

    Args:
        tokenizer: A ``tokenizers.Tokenizer``.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self._special = tuple(token.content for token in tokenizer.get_added_tokens_decoder().values())
        self._of_word = lru_cache(maxsize=_WORDS_KEPT)(self._tokenize)

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without marks of its beginning and end."""
        words = text.split(" ")
        longest = len(max(words, key=len))
        if (
            "" in words
            or longest > _LONGEST
            or _SPACE in text
            or ("<" in text and any(token in text for token in self._special))
        ):
            return self._tokenizer.encode(text, add_special_tokens=False).ids
        kept = _LONGEST_KEPT if text.isascii() else _LONGEST_KEPT // 2
        if longest <= kept:
            return list(chain.from_iterable(map(self._of_word, words)))
        pieces = [self._of_word(word) if len(word) <= kept else self._tokenize(word) for word in words]
        return list(chain.from_iterable(pieces))

    def forget(self) -> None:
        """Drop the words that are kept in RAM, which are those of users."""
        self._of_word.cache_clear()

    def _tokenize(self, word: str) -> tuple[int, ...]:
        return tuple(token.id for token in self._model.tokenize(_SPACE + word))

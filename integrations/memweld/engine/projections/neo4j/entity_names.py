"""The normal form of names: by it two spellings are one entity, and a question is searched for names."""

from __future__ import annotations

import re

from ....validation import normalize

__all__ = ["is_in", "key_of", "words_of"]

_WORD = re.compile(r"\w+(?:[-.'’&/+]\w+)*[+#]*")
_POSSESSIVE = re.compile(r"['’]s?$")
_ARTICLES = frozenset("the a an".split())
# Scripts without spaces between words: there a name is looked for anywhere.
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def words_of(text: str) -> list[str]:
    """The words of a text in their normal form: NFKC, case folded, without a possessive ``'s``."""
    normal = normalize("NFKC", text).casefold()
    words = (_POSSESSIVE.sub("", word) for word in _WORD.findall(normal))
    return [word for word in words if word]


def key_of(name: str) -> str:
    """The name of an entity in its normal form, ``beatles`` for ``The Beatles'``; empty without letters and digits."""
    words = words_of(name)
    while len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def is_in(key: str, question: str) -> bool:
    """Whether a question names an entity.

    Args:
        key: The entity, as `key_of` has it.
        question: The words of the question, as `words_of` has them, joined by spaces.
    """
    if _UNSPACED.search(key):
        return key.replace(" ", "") in question.replace(" ", "")
    return f" {key} " in f" {question} "

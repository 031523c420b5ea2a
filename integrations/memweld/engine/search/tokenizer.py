"""Words as search compares them: folded, English endings and Arabic articles off, other scripts in pairs of characters.

Those are the scripts without spaces between words.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import snowballstemmer  # pyright: ignore[reportMissingTypeStubs] - it has none (3.1)

from .stopwords import STOP_WORDS

__all__ = ["QueryWord", "forget_words", "number_of", "pack_terms", "query_words", "split", "terms"]

# A word: letters and digits, with the marks that belong to them, which Python's \w leaves out: combining accents,
# vowel signs of Hebrew, Arabic and the scripts of South and Southeast Asia (without the danda, which ends sentences).
_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    r"\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u0f71-\u0f84\u1000-\u109f\u1780-\u17ff\u3099\u309a"
)
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
# The same in texts without other letters, in half the time.
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")

# So many words are kept folded, if they are not longer than this: about 10 MB.
_WORDS_KEPT, _LONGEST_KEPT = 20_000, 32
# No English word is longer.
_LONGEST_STEMMED = 40

# Written without spaces: Thai, Lao, Burmese, Khmer, Japanese, Chinese; and Korean, whose words carry particles.
_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    r"\uf900-\ufaff\U00020000-\U0003ffff]+)"
)
_ACCENTS = re.compile(r"[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670]")

_ARABIC = re.compile(r"[\u0621-\u06ff]")
# As Lucene folds Arabic and Persian: the stroke that stretches words, forms of yeh, kaf and teh marbuta.
_ARABIC_FORMS = str.maketrans(
    {"\u0640": "", "\u0649": "\u064a", "\u06cc": "\u064a", "\u06a9": "\u0643", "\u0629": "\u0647"}
)
# What is written together with the word after it, as the stemmer light10 takes it off (Larkey, Ballesteros, Connell
# 2007): the article, also after "and", "with", "as", "then" and "to", if two letters are left; "and", if three are.
_ARTICLE = re.compile(r"^(?:(?:[\u0648\u0628\u0643\u0641]?\u0627\u0644|\u0644\u0644)(?=..)|\u0648(?=...))")


class _Stemmer(threading.local):
    """A stemmer for each thread, because it keeps the word that it is at work on (snowballstemmer 3.1)."""

    def __init__(self) -> None:
        stemmer = cast("Any", snowballstemmer).stemmer("english")
        # PyStemmer 3.1 keeps words in RAM of its own, which nobody could make it forget.
        stemmer.maxCacheSize = 0
        self.stem: Callable[[str], str] = stemmer.stemWord


_stemmer = _Stemmer()


class QueryWord(NamedTuple):
    """A word of a query.

    Attributes:
        start: Where it begins in the query.
        end: Where it ends.
        terms: The terms by which memories are looked up.
        asks: Whether it asks rather than says.
    """

    start: int
    end: int
    terms: tuple[str, ...]
    asks: bool


class _Forms(NamedTuple):
    """A word folded, its terms in a memory, their numbers as the table keeps them, and its terms in a query."""

    folded: str
    in_memory: tuple[str, ...]
    packed: bytes
    in_query: tuple[str, ...]


def split(text: str) -> list[str]:
    """The words of a text as they stand."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def terms(word: str) -> tuple[str, ...]:
    """The terms of a word in a memory."""
    return _forms(word).in_memory


def number_of(term: str) -> int:
    """The number, of 32 bits, under which a term is kept and counted.

    One term in forty thousand shares its number with one of a hundred thousand others; a memory that says the other
    then counts as if it said the one.
    """
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


def pack_terms(text: str) -> bytes:
    """The numbers of a text's terms in its order, as the table keeps them: little-endian, four bytes each.

    They are made when the text is written, because splitting and stemming take most of the time in which memories are
    read. Whoever changes what a term is sets the column to NULL in a migration: then they are made while reading.
    """
    words = split(text)
    forms = _kept if text.isascii() and len(max(words, key=len, default="")) <= _LONGEST_KEPT else _forms
    return b"".join([forms(word).packed for word in words])


def query_words(query: str) -> list[QueryWord]:
    """Every word of a query, in order.

    Words ask in the language that the query seems to be in, the one with the most stop words in it; where no word says
    anything, none asks.
    """
    found = [(match, _forms(match.group())) for match in _WORD.finditer(query)]
    folded = {forms.folded for _, forms in found}
    # The first of several languages wins; English is the first.
    stop = max(STOP_WORDS.values(), key=lambda of_language: len(of_language & folded))
    if folded <= stop:
        stop = frozenset[str]()
    return [QueryWord(match.start(), match.end(), forms.in_query, forms.folded in stop) for match, forms in found]


def forget_words() -> None:
    """Drop the words that are kept folded in RAM, which are those of users."""
    _kept.cache_clear()


def _forms(word: str) -> _Forms:
    # What is written without spaces hardly comes again, and would fill the RAM.
    is_kept = len(word) <= _LONGEST_KEPT and (word.isascii() or not _UNSPACED.search(word))
    return _kept(word) if is_kept else _take_apart(word)


def _take_apart(word: str) -> _Forms:
    folded = word.lower() if word.isascii() else _fold(word)
    parts = [part for part in _UNSPACED.split(folded) if part]
    if len(parts) == 1 and not _UNSPACED.match(folded):
        term = (_stem(folded),)
        return _Forms(folded, term, _pack(term), term)
    in_memory: list[str] = []
    in_query: list[str] = []
    for part in parts:
        if not _UNSPACED.match(part):
            in_memory.append(_stem(part))
            in_query.append(_stem(part))
            continue
        pairs = [part[at : at + 2] for at in range(len(part) - 1)]
        # One character alone can be asked for; of several the pairs tell more.
        in_memory += [*part, *pairs]
        in_query += pairs or [part]
    return _Forms(folded, tuple(in_memory), _pack(in_memory), tuple(in_query))


_kept = lru_cache(maxsize=_WORDS_KEPT)(_take_apart)


def _pack(terms: Iterable[str]) -> bytes:
    return b"".join([number_of(term).to_bytes(4, "little") for term in terms])


def _fold(word: str) -> str:
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", word.casefold()))
    if _ARABIC.search(plain):
        plain = plain.translate(_ARABIC_FORMS)
    return unicodedata.normalize("NFC", plain)


def _stem(word: str) -> str:
    # Only what can be an English word; names of two or three letters, numbers and codes are what they are.
    if word.isascii():
        return _stemmer.stem(word) if 3 < len(word) <= _LONGEST_STEMMED and word.isalpha() else word
    return _ARTICLE.sub("", word)

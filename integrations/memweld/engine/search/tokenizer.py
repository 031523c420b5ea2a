"""Takes texts apart into the terms that search compares.

Words are folded. English words lose their endings, Arabic words their articles. Scripts without spaces between words
become pairs of characters.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Iterable, Set
from functools import lru_cache
from typing import Any, NamedTuple, cast

import snowballstemmer  # pyright: ignore[reportMissingTypeStubs] - it has none (3.1)

from ...validation import normalize
from .stopwords import FIRST_PERSON, NEEDS_PRONOUNS, STOP_WORDS

__all__ = [
    "QueryWord",
    "forget_words",
    "is_telling",
    "number_of",
    "pack_terms",
    "query_words",
    "speaks_of_self",
    "split",
    "terms",
]

# A word is letters and digits with their marks, which Python's \w leaves out: combining accents, and vowel signs of
# Hebrew, Arabic and the scripts of South and Southeast Asia (without the danda, which ends sentences).
_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    r"\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff\u0f71-\u0f84\u1000-\u109f\u1780-\u17ff\u3099\u309a"
)
_WORD = re.compile(rf"(?:[^\W_]|[{_MARKS}])+")
# The same for ASCII texts, in half the time.
_ASCII_WORD = re.compile(r"[A-Za-z0-9]+")

# The cache holds this many words of at most this length, folded: about 10 MB.
_CACHED_WORDS, _LONGEST_CACHED = 20_000, 32
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
# Prefixes written together with a word, as the stemmer light10 removes them (Larkey, Ballesteros, Connell 2007): the
# article, also after "and", "with", "as", "then" and "to", if two letters remain; "and", if three remain.
_ARTICLE = re.compile(r"^(?:(?:[\u0648\u0628\u0643\u0641]?\u0627\u0644|\u0644\u0644)(?=..)|\u0648(?=...))")


class _Stemmer(threading.local):
    """A stemmer for each thread, because it stores the word it is working on (snowballstemmer 3.1)."""

    def __init__(self) -> None:
        stemmer = cast("Any", snowballstemmer).stemmer("english")
        # PyStemmer 3.1 has a cache of its own, which an erasure could not clear.
        stemmer.maxCacheSize = 0
        self.stem: Callable[[str], str] = stemmer.stemWord


_stemmer = _Stemmer()


class QueryWord(NamedTuple):
    """A word of a query.

    Attributes:
        start: Its beginning in the query.
        end: Its end.
        terms: The terms to look up.
        asks: Whether it is a question word or another stop word.
    """

    start: int
    end: int
    terms: tuple[str, ...]
    asks: bool


class _Forms(NamedTuple):
    """A folded word, its terms in a memory, their numbers as the table stores them, and its terms in a query."""

    folded: str
    in_memory: tuple[str, ...]
    packed: bytes
    in_query: tuple[str, ...]


def split(text: str) -> list[str]:
    """The words of a text, unchanged."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def terms(word: str) -> tuple[str, ...]:
    """The terms of a word in a memory."""
    return _forms(word).in_memory


def number_of(term: str) -> int:
    """The 32-bit number under which the table stores a term.

    One term in forty thousand shares its number with one of a hundred thousand others. A memory with the other term
    then counts as if it contained this one.
    """
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


def pack_terms(text: str) -> bytes:
    """The numbers of a text's terms in order, as the table stores them: little-endian, four bytes each.

    A writer makes them once, because splitting and stemming would take most of the time of reading memories. A change
    of this module needs a migration that sets the column to NULL; a reader then makes the terms.
    """
    words = split(text)
    forms = _cached_forms if text.isascii() and len(max(words, key=len, default="")) <= _LONGEST_CACHED else _forms
    return b"".join([forms(word).packed for word in words])


def query_words(query: str) -> list[QueryWord]:
    """Every word of a query, in order.

    The query's language is the one with the most stop words in the query; these words ask. If all words are stop words,
    none asks.
    """
    found = [(match, _forms(match.group())) for match in _WORD.finditer(query)]
    folded = {forms.folded for _, forms in found}
    stop = STOP_WORDS[_language(folded)]
    if folded <= stop:
        stop = frozenset[str]()
    return [QueryWord(match.start(), match.end(), forms.in_query, forms.folded in stop) for match, forms in found]


def is_telling(text: str, known: Set[str]) -> bool:
    """Whether a text has a word that is neither a stop word nor one of these words."""
    folded = {_forms(match.group()).folded for match in _WORD.finditer(text)}
    return not folded <= STOP_WORDS[_language(folded)] | known


def speaks_of_self(text: str) -> bool | None:
    """Whether a user's text is about the user, by its first person; None where the language leaves that open."""
    folded = {_forms(match.group()).folded for match in _WORD.finditer(text)}
    language = _language(folded)
    if not FIRST_PERSON[language].isdisjoint(folded):
        return True
    known = text.isascii() or not STOP_WORDS[language].isdisjoint(folded)
    return False if known and language in NEEDS_PRONOUNS else None


def _language(folded: Set[str]) -> str:
    """The language that has the most stop words among these words. Of several the first one wins, which is English."""
    return max(STOP_WORDS, key=lambda language: len(STOP_WORDS[language] & folded))


def forget_words() -> None:
    """Drop the folded words in RAM, which are words of users."""
    _cached_forms.cache_clear()


def _forms(word: str) -> _Forms:
    # Texts without spaces hardly repeat, and would fill the RAM.
    is_cached = len(word) <= _LONGEST_CACHED and (word.isascii() or not _UNSPACED.search(word))
    return _cached_forms(word) if is_cached else _make_forms(word)


def _make_forms(word: str) -> _Forms:
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
        # A query may consist of a single character; in longer ones pairs tell more.
        in_memory += [*part, *pairs]
        in_query += pairs or [part]
    return _Forms(folded, tuple(in_memory), _pack(in_memory), tuple(in_query))


_cached_forms = lru_cache(maxsize=_CACHED_WORDS)(_make_forms)


def _pack(terms: Iterable[str]) -> bytes:
    return b"".join([number_of(term).to_bytes(4, "little") for term in terms])


def _fold(word: str) -> str:
    plain = _ACCENTS.sub("", normalize("NFKD", word.casefold()))
    if _ARABIC.search(plain):
        plain = plain.translate(_ARABIC_FORMS)
    return normalize("NFC", plain)


def _stem(word: str) -> str:
    # Only possible English words; names of two or three letters, numbers and codes stay as they are.
    if word.isascii():
        if not 3 < len(word) <= _LONGEST_STEMMED or not word.isalpha():
            return word
        stem = _stemmer.stem(word)
        # "allergies" has the stem "allergi", and "allergic" has "allerg".
        return stem[:-1] if len(stem) > 5 and stem.endswith("i") else stem
    return _ARTICLE.sub("", word)

"""Word tables by which `worth_keeping` tells statements from questions, requests and small talk, one per language.

An entry is a word or a phrase, its words joined by ``_``. An entry without accents matches accented words too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["WORD", "Language", "Phrases", "Word", "fold", "make_language", "words_of"]

Word: TypeAlias = "tuple[str, ...]"
"""A word as written, without accents, and without what an apostrophe joins to it: ``what's``, ``j'ai``."""

_MAX_WORD = 40
WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def fold(text: str) -> str:
    """The text in the form in which tables and sentences are compared."""
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'")


class Phrases:
    """Words and phrases, found at a place of a sentence by their first word."""

    def __init__(self, table: str) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for entry in table.split():
            words = tuple(fold(entry).split("_"))
            self._by_first.setdefault(words[0], []).append(words)

    def match(self, words: Sequence[Word], place: int = 0) -> int:
        """How many words the longest phrase at this place has; 0 where there is none."""
        longest = 0
        if place < len(words):
            for form in words[place]:
                for phrase in self._by_first.get(form, ()):
                    following = words[place : place + len(phrase)]
                    if longest < len(phrase) == len(following) and all(map(_is_form, phrase, following)):
                        longest = len(phrase)
        return longest

    def find(self, words: Sequence[Word], start: int = 0) -> bool:
        """Whether one of them stands at ``start`` or behind it."""
        return any(self.match(words, place) for place in range(start, len(words)))


def _forms(word: str) -> Word:
    if word.isascii():
        return (word, word.partition("'")[0]) if "'" in word else (word,)
    plain = "".join(each for each in unicodedata.normalize("NFD", word) if not unicodedata.combining(each))
    return word, plain, plain.partition("'")[0]


def _is_form(entry: str, word: Word) -> bool:
    return entry in word


def words_of(text: str) -> list[Word]:
    """The words of a folded text, each in the forms in which a table may have it."""
    return [_forms(word[:_MAX_WORD]) for word in WORD.findall(text)]


def _phrases(table: str = "") -> Phrases:
    return Phrases(table)


@dataclass(frozen=True, kw_only=True)
class Language:
    """What tells the kinds of sentences of one language apart.

    Attributes:
        vocabulary: Frequent words and those of all tables, by which the language is recognised.
        small_talk: Words that state nothing: thanks, assent, interjections, politeness.
        greetings: Words that state nothing, and behind which a name may stand.
        questions: Beginnings of a question.
        asking: Words that begin a question, unless a subject follows: ``when I was young``.
        inverted: Verbs that begin a question, if a subject follows: ``can we``. None: any word does.
        subjects: Pronouns and articles that may be such a subject.
        own: Beginnings of what the user says of themselves or of people around them.
        own_endings: Endings of verbs in the first person, where no pronoun is needed.
        conjunctions: Words in front of a subordinate clause that states something.
        conditions: Words in front of a clause that states nothing by itself: ``if``.
        commands: Verbs that begin a request.
        polite: Beginnings of a polite request.
        rules: Beginnings of a request for the future: to remember something, or to behave in some way.
        always: Words that make a rule of a request.
        wishes: Beginnings of a sentence that asks without a question: ``I wonder``.
        tags: Words that make a question of a statement, at its end.
    """

    vocabulary: Phrases
    small_talk: Phrases
    greetings: Phrases
    questions: Phrases = field(default_factory=_phrases)
    asking: Phrases = field(default_factory=_phrases)
    inverted: Phrases | None = field(default_factory=_phrases)
    subjects: Phrases = field(default_factory=_phrases)
    own: Phrases = field(default_factory=_phrases)
    own_endings: tuple[str, ...] = ()
    conjunctions: Phrases = field(default_factory=_phrases)
    conditions: Phrases = field(default_factory=_phrases)
    commands: Phrases = field(default_factory=_phrases)
    polite: Phrases = field(default_factory=_phrases)
    rules: Phrases = field(default_factory=_phrases)
    always: Phrases = field(default_factory=_phrases)
    wishes: Phrases = field(default_factory=_phrases)
    tags: Phrases = field(default_factory=_phrases)


def make_language(
    *, common: str = "", inverted: str | None = "", own_endings: tuple[str, ...] = (), **tables: str
) -> Language:
    """A language whose tables are given as text: entries between blanks."""
    phrases = {name: Phrases(table) for name, table in tables.items()}
    vocabulary = Phrases(" ".join((common, *tables.values())))
    known = None if inverted is None else Phrases(inverted)
    return Language(vocabulary=vocabulary, inverted=known, own_endings=own_endings, **phrases)

"""The grammar of times in questions: which words of a query name a time. It takes linear time.

A pattern is a sequence of classes of words (`tables`), which are the same for all languages. At each word the longest
pattern wins, and of several languages the one with which most words name times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from ...validation import normalize
from .calendar import Time
from .look_alikes import AMBIGUOUS, COMMON, COUNTED, HABIT, NEEDS, NOT_BEFORE, NOT_BEHIND, NOT_ONCE, ONCE
from .patterns import BARE, FREE, LEAD, SILENT, SINCE, Node, Values
from .tables import TABLES

__all__ = ["Named", "asking_words", "find_times"]

# Each alternative is one class of characters, or of bounded length: none backtracks far.
_WORD = re.compile(
    r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|(?:19|20)\d\d-[01]\d(?![-./\w])|(?<!\w)[01]?\d/(?:19|20)\d\d(?![-./\w])"
    r"|\d{1,2}\.\d{1,2}(?=\.)|(?<!\w)['’]\d\d(?!\w)|[\w\u0300-\u036f]+|[€$£%]"
)
# A year, a date or a quarter: other numbers name a time only beside a word for one.
_DATED = re.compile(r"\b(?:19|20)[0-9]{2}(?![0-9])|[0-9][-./][0-9]{1,2}[-./][0-9]|[0-9]\.[0-9]{1,2}(?:\.|$)|\bq[1-4]\b")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th|er|[oaºª])")
# "3.10." is a day in German alone.
_DAY_AND_MONTH = re.compile(r"(\d{1,2})\.(\d{1,2})")
_DECADE = re.compile(r"(?:19|20)\d0s")
_ENDS = frozenset('.?!;:()[]{}"\n…¿¡|<>')
_MARKS = re.compile(r"[\u0300-\u036f]")
_YEARS = range(1900, 2100)
# A longer text tells something with "previously", and asks for no past.
_MOST_WORDS = 40


class _Word(NamedTuple):
    text: str
    start: int
    end: int
    folded: str
    is_apart: bool


class Named(NamedTuple):
    """A time that a query names.

    Attributes:
        form: ``in``, ``since``, ``before``, ``after``, ``until``, ``between``, ``just before`` or ``just after``.
        times: The time; of ``between`` both; of the last two a count of units in front of it.
        start: Where its words begin in the query.
        end: Where they end.
        names: Those of its words by which a text may name the same time, such as a month; none of ``last week``.
    """

    form: str
    times: tuple[Time, ...]
    start: int
    end: int
    names: tuple[str, ...] = ()


class _Language(NamedTuple):
    """The words of a language, by their first: each with its class and value; and the words without which none is."""

    name: str
    phrases: Mapping[str, Sequence[tuple[tuple[str, ...], str, Any]]]
    telling: frozenset[str]
    asks: frozenset[str]


_TELLING = frozenset("day part evening unit weeks weekday short_weekday month season recent former former_end".split())
# A unit of these is no unit of late: "the last week of 2024".
_LONGER = frozenset("unit year decade season month quarter".split())
_NAMES = frozenset("weekday month season year day_number ordinal".split())


@cache
def _languages() -> list[_Language]:
    return [_language(name, table) for name, table in TABLES.items()]


def _language(name: str, table: str) -> _Language:
    phrases: dict[str, list[tuple[tuple[str, ...], str, Any]]] = {}
    telling, asks = set[str](), set[str]()
    for line in table.replace("\n ", " ").strip().splitlines():
        head, _, entries = line.partition(":")
        kind, _, written = head.partition(" ")
        value = int(written) if written.lstrip("-").isdigit() else written
        for offset, group in enumerate(entries.split(";")):
            for entry in group.split(","):
                words = tuple(entry.split())
                if kind == "asks":
                    asks.update(words)
                    continue
                phrases.setdefault(words[0], []).append(
                    (words, kind, value + offset if isinstance(value, int) else value)
                )
                if kind in _TELLING:
                    telling.add(words[0] if words[-1] == "to" else words[-1])
    return _Language(name, phrases, frozenset(telling), frozenset(asks))


@cache
def _all(name: Literal["telling", "asks"]) -> frozenset[str]:
    return frozenset[str]().union(*(getattr(language, name) for language in _languages())) - COMMON


def find_times(query: str) -> list[Named]:
    """The times that a query names, in order; none where it names none."""
    folded = _fold(query)
    is_telling = not _all("telling").isdisjoint(_WORD.findall(folded))
    if not is_telling and not _DATED.search(folded) and not ONCE.search(folded):
        return []
    words = list(_words(query))
    readings = [_Reader(language, words).read() for language in _languages() if _may_read(language, words)]
    return max(readings, key=lambda named: sum(each.end - each.start for each in named), default=list[Named]())


def asking_words() -> frozenset[str]:
    """The words, without accents, that only ask what there was: "happened", "said", of all languages."""
    return _all("asks")


def _may_read(language: _Language, words: Sequence[_Word]) -> bool:
    return any(word.folded in language.telling or _DATED.search(word.folded) for word in words)


def _fold(text: str) -> str:
    lower = text.lower()
    return lower if lower.isascii() else _MARKS.sub("", normalize("NFD", lower))


def _words(query: str) -> Iterator[_Word]:
    before = 0
    last = ""
    for found in _WORD.finditer(query):
        gap = query[before : found.start()]
        # A dot behind a number makes it an ordinal, as in "3. Mai".
        is_apart = not _ENDS.isdisjoint(gap[1:] if gap.startswith(".") and last.isdigit() else gap)
        last, before = found[0], found.end()
        yield _Word(last, found.start(), before, _fold(last) or last, is_apart)


class _Match(NamedTuple):
    """A time, and the place of the first word behind it."""

    time: Time
    end: int


class _Reader:
    """Reads the words of a query in one language."""

    def __init__(self, language: _Language, words: Sequence[_Word]) -> None:
        self._language = language
        self._words = words
        self._folded = {word.folded for word in words}
        self._classes: dict[int, list[tuple[str, Any, int]]] = {}

    def read(self) -> list[Named]:
        named: list[Named] = []
        place = 0
        while place < len(self._words):
            found = self._relation(place) or self._plain(place)
            if found is None:
                place += 1
                continue
            form, times, end = found
            is_named = form == "in" and times[0].direction is times[0].portion is None
            names = self._names(place, end) if is_named else ()
            named.append(Named(form, times, self._words[place].start, self._words[end - 1].end, names))
            place = end
        return [each for each in named if not each.times[0].is_vague] or named[:1]

    def _names(self, start: int, end: int) -> tuple[str, ...]:
        places = [place for place in range(start, end) if not _NAMES.isdisjoint(self._at_kinds(place))]
        words = [self._words[place] for place in places]
        # Alone the word may mean anything.
        return () if {word.folded for word in words} <= AMBIGUOUS else tuple(word.text for word in words)

    def _plain(self, place: int) -> tuple[str, tuple[Time, ...], int] | None:
        found = self._longest(place, (FREE,))
        if found is None or self._is_other(place, found) or self._is_untimed(place, found):
            return None
        return "in", (found.time,), found.end

    def _relation(self, place: int) -> tuple[str, tuple[Time, ...], int] | None:
        best: tuple[str, tuple[Time, ...], int] | None = None
        for kind, _, behind in self._at(place):
            found: tuple[str, tuple[Time, ...], int] | None = None
            if kind in ("since", "before", "after", "until"):
                inner = self._inner(behind, kind)
                found = None if inner is None else (kind, (inner.time,), inner.end)
            elif kind in ("between", "from"):
                found = self._between(behind, "and" if kind == "between" else "to")
            if found is not None and (best is None or found[2] > best[2]):
                best = found
        if best is None:
            best = self._around(place)
        plain = self._plain(place) if best is not None else None
        return plain if plain is not None and best is not None and plain[2] >= best[2] else best

    def _around(self, place: int) -> tuple[str, tuple[Time, ...], int] | None:
        """A count of units before or after a time: "the week before 3 May"."""
        lead = self._longest(place, (LEAD,))
        for kind, _, behind in self._at(lead.end) if lead is not None else ():
            inner = self._inner(behind, kind) if kind in ("before", "after") else None
            if lead is not None and inner is not None:
                return f"just {kind}", (lead.time, inner.time), inner.end
        return None

    def _between(self, place: int, link: str) -> tuple[str, tuple[Time, ...], int] | None:
        first = self._inner(place, link) or self._day_number(place)
        for kind, _, behind in self._at(first.end) if first is not None else ():
            second = self._inner(behind, link) if kind == link else None
            if first is None or second is None:
                continue
            if first.time.kind != "day_number":
                return "between", (first.time, second.time), second.end
            if second.time.kind == "date":
                month, _ = second.time.value
                return "between", (replace(second.time, value=(month, first.time.value)), second.time), second.end
        return None

    def _day_number(self, place: int) -> _Match | None:
        """A number whose month follows: "between 3 and 9 May"."""
        starts = [place, *(end for kind, _, end in self._at(place) if kind == "the")]
        found = (each for start in starts for each in self._at(start))
        return next((_Match(Time(kind, value), end) for kind, value, end in found if kind == "day_number"), None)

    def _inner(self, place: int, relation: str) -> _Match | None:
        rules = (FREE, BARE, SINCE) if relation == "since" else (FREE, BARE)
        starts = [place, *(end for kind, _, end in self._at(place) if kind == "the")]
        found = [match for start in starts if (match := self._longest(start, rules, is_bound=True)) is not None]
        return max(found, key=lambda match: match.end, default=None)

    def _longest(self, place: int, roots: Sequence[Node], *, is_bound: bool = False) -> _Match | None:
        """The longest time that begins at a place; bound: behind a preposition."""
        matches = [match for root in roots for match in self._matches(root, place, place, (), is_bound)]
        return max(matches, key=lambda match: match.end, default=None)

    def _matches(self, node: Node, start: int, place: int, values: Values, is_bound: bool) -> Iterator[_Match]:
        if node.make is not None and not self._is_ambiguous(start, place, is_day=node.is_day and not is_bound):
            time = node.make(values)
            if time is not None:
                yield _Match(time, place)
        for kind, value, end in self._at(place):
            following = node.following.get(kind)
            if following is not None and (place == start or not self._words[place].is_apart):
                own = values if kind in SILENT else (*values, value)
                yield from self._matches(following, start, end, own, is_bound)

    def _at(self, place: int) -> list[tuple[str, Any, int]]:
        """The classes of the words from a place on: class, value, and the place behind."""
        known = self._classes.get(place)
        if known is None:
            known = self._classes[place] = list(self._read(place))
        return known

    def _read(self, place: int) -> Iterator[tuple[str, Any, int]]:
        if place >= len(self._words):
            return
        word = self._words[place]
        for phrase, kind, value in self._language.phrases.get(word.folded, ()):
            end = place + len(phrase)
            following = self._words[place:end]
            if len(following) == len(phrase) and all(
                each.folded == part and (at == 0 or not each.is_apart)
                for at, (each, part) in enumerate(zip(following, phrase, strict=True))
            ):
                yield kind, value, end
        if self._language.name == "de" and (day := _DAY_AND_MONTH.fullmatch(word.folded)):
            yield "day_and_month", (int(day[2]), int(day[1])), place + 1
        if word.folded[0].isdigit() or word.folded[0] in "q'’":
            yield from ((kind, value, place + 1) for kind, value in _number_classes(word.folded))

    def _is_ambiguous(self, start: int, end: int, *, is_day: bool) -> bool:
        """Whether the words may well mean something else."""
        words = self._words[start:end]
        before = self._words[start - 1].folded if start and not words[0].is_apart else ""
        if before in NOT_BEHIND.get(words[0].folded, ()):
            return True
        for previous, word in zip([before, *(each.folded for each in words)], words, strict=False):
            if word.folded in NEEDS and previous not in NEEDS[word.folded]:
                return True
        if self._language.name == "en" and self._is_verb(start, end):
            return True
        # A day of "may" or "march" needs a year, an ordinal, a preposition or a capital letter.
        month = next((word for word in words if word.folded in AMBIGUOUS), None)
        if not is_day or self._language.name != "en" or month is None:
            return False
        is_name = month.text[0].isupper() and month.start > 0
        return not (is_name or any(_ORDINAL.fullmatch(word.folded) for word in words))

    def _is_verb(self, start: int, end: int) -> bool:
        """Whether a part of a month may be none: "how early may I come", "the end of the march"."""
        last = self._words[end - 1]
        is_portion = any("portion" in self._at_kinds(place) for place in range(start, end - 1))
        return is_portion and last.text in ("may", "march") and self._words[end - 2].folded in ("early", "late", "the")

    def _is_other(self, place: int, found: _Match) -> bool:
        """Whether the words around make something else of it: "my last week at Acme", "in the fall from his bike"."""
        time = found.time
        before = self._at_kinds(place - 1) if place and not self._words[place].is_apart else set[str]()
        if "own" in before and time.kind in ("unit", "span") and time.direction is not None:
            return True
        if found.end >= len(self._words) or self._words[found.end].is_apart:
            return False
        behind, last = self._words[found.end].folded, self._words[found.end - 1].folded
        if behind in NOT_BEFORE.get(last, ()) or (time.is_open and time.kind == "month" and behind == "s"):
            return True
        is_noun = "of_year" in self._at_kinds(place) and self._words[found.end].text[0].isupper()
        if time.kind == "year" and (is_noun or behind in COUNTED):
            return True
        if time.kind == "unit" and any(
            kind == "of" and (inner := self._inner(end, "of")) is not None and inner.time.kind in _LONGER
            for kind, _, end in self._at(found.end)
        ):
            return True
        is_part = time.kind == "unit" or (time.is_open and time.kind in ("month", "season"))
        return is_part and self._language.name in ("en", "de") and self._is_of(found.end)

    def _is_untimed(self, place: int, found: _Match) -> bool:
        """Whether it is a habit, as in "le lundi", an order in time, as in "the day before", or part of a long text."""
        end = found.end
        if found.time.is_vague and len(self._words) > _MOST_WORDS:
            return True
        words = [word.folded for word in self._words[max(0, place - 6) : end]]
        if found.time.kind == "weekday" and end == place + 1:
            return words[-2:-1] in (["le"], ["chaque"], ["un"])
        if found.time.kind != "former":
            return False
        is_last = end == len(self._words) or self._words[end].is_apart
        beside = [*(self._at(place - 1) if place else ()), *(() if is_last else self._at(end))]
        if not {kind for kind, _, _ in beside}.isdisjoint(("unit", "part", "weekday")) or not NOT_ONCE.isdisjoint(
            self._folded
        ):
            return True
        if not is_last and ("former_end", end) in {(kind, behind) for kind, _, behind in self._at(place)}:
            return True
        before = ["", *words[:-2]][-5:]
        pairs = pairwise(before)
        return words[-1] == "to" and not any(one in HABIT[0] and two in HABIT[1] for one, two in pairs)

    def _is_of(self, place: int) -> bool:
        """Whether "of" follows and no time: "the last week of school"."""
        return any(kind == "of" and self._inner(end, "of") is None for kind, _, end in self._at(place))

    def _at_kinds(self, place: int) -> set[str]:
        return {kind for kind, _, _ in self._at(place)}


def _number_classes(word: str) -> Iterator[tuple[str, Any]]:
    if word.isdecimal() and word.isascii():
        number = int(word) if len(word) <= 4 else -1
        if len(word) <= 3 and number > 0:
            yield "n", number
        if len(word) <= 2 and 1 <= number <= 31:
            yield "day_number", number
        if number in _YEARS:
            yield "year", number
    elif ordinal := _ORDINAL.fullmatch(word):
        if 1 <= int(ordinal[1]) <= 31:
            yield "day_number", int(ordinal[1])
    elif len(word) == 2 and word[0] == "q" and word[1] in "1234":
        yield "quarter", int(word[1])
    elif _DECADE.fullmatch(word):
        yield "decade", int(word[:4])
    elif word[0] in "'’":
        yield "year", (2000 if word[1:] < "70" else 1900) + int(word[1:])
    elif (date := _date(word)) is not None:
        yield "date", date


def _date(word: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date in digits, 0 of a whole month; None where it may be another one."""
    mark = next((each for each in "-./" if each in word), "")
    parts = word.split(mark) if mark else []
    if len(parts) == 2 and (1 <= int(min(parts, key=len)) <= 12) and mark != ".":
        return int(max(parts, key=len)), int(min(parts, key=len)), 0
    if len(parts) != 3 or not all(part.isdecimal() and part.isascii() for part in parts):
        return None
    if len(parts[0]) == 4 and int(parts[0]) in _YEARS:
        year, month, day = map(int, parts)
        return year, month, day
    if len(parts[2]) != 4 or int(parts[2]) not in _YEARS:
        return None
    first, second, year = map(int, parts)
    if mark != "." and first != second and first <= 12 and second <= 12:
        return None
    return (year, second, first) if mark == "." or first > 12 or first == second else (year, first, second)

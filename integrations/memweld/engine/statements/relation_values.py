"""Values of relations: which words may be one, and whether two of them say the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from . import relation_words as tables
from .phrases import Word, fold, words_of

__all__ = ["PARTICLES", "Rest", "Value", "extent", "read_value"]

_PROPER_WORDS = 8
_JOB_WORDS = 3
_OLDEST = 125
_PHONE_DIGITS = 5
_ADDRESS = re.compile(r"[^\s@,;<>()]{1,64}@[^\s@,;<>()]{1,255}")
_DIGITS = re.compile(r"\d+")
_ZONE = re.compile(r"[a-z]{2,30}/[\w+/-]{1,60}|(?:utc|gmt)(?:[+-]\d{1,2}(?::\d{2})?)?")
_ZONE_LETTERS = 5  # CEST
_ORDINALS = ("st", "nd", "rd", "th", "er", "º", "°")


def _set(table: str) -> frozenset[str]:
    return frozenset(fold(table).split())


_TIMES, _MONTHS, PARTICLES = _set(tables.TIMES), _set(tables.MONTHS), _set(tables.PARTICLES)
_SINCE = _set(tables.SINCE)
_FUNCTION_WORDS = _set(tables.FUNCTION_WORDS)
_LISTS = _set("and or und oder et y ed en not nicht")
_NOT = {
    "home": _set(tables.NO_PLACES) | _set(tables.DAYS) | (_MONTHS - {"janeiro"}),
    "employer": _set(tables.NO_EMPLOYERS),
    "form of address": _set(tables.DAYS) | _MONTHS | _set(tables.VEHICLES) | _set(tables.NO_FORMS_OF_ADDRESS),
    "job": _set(tables.NO_JOBS),
}
_ABBREVIATED_PLACES, _STREETS = _set(tables.ABBREVIATED_PLACES), _set(tables.STREETS)
_AREAS = frozenset(" ".join(word[-1] for word in words_of(each.replace("_", " "))) for each in _set(tables.AREAS))


@dataclass(frozen=True, slots=True)
class Value:
    """A value as words without accents and articles.

    Attributes:
        words: The words.
        is_clear: Whether they are nothing but a value.
    """

    words: tuple[str, ...]
    is_clear: bool


@dataclass(frozen=True, slots=True)
class Rest:
    """The words that a form captures as its value.

    Attributes:
        relation: The name of the relation.
        raw: The words as written.
        words: The same, folded.
        text: The rest of the clause.
        is_event: Whether a time may follow the value.
    """

    relation: str
    raw: Sequence[str]
    words: Sequence[Word]
    text: str
    is_event: bool


def read_value(rest: Rest) -> Value | None:
    """The value that stands there; None where no value of this relation does."""
    return _READERS.get(rest.relation, _proper)(rest)


def _address(rest: Rest) -> Value | None:
    found = _ADDRESS.search(fold(rest.text))
    # Quotes and a point may stand around it.
    return None if found is None else Value((found[0].strip(".'"),), len(found[0]) + 2 > len(rest.text.strip()))


def _number(rest: Rest) -> Value | None:
    digits = "".join(_DIGITS.findall(rest.text))
    return None if len(digits) < _PHONE_DIGITS else Value((digits,), not any(word[0].isalpha() for word in rest.words))


def _age(rest: Rest) -> Value | None:
    number = rest.words[0][0] if len(rest.words) == 1 else ""
    return Value((number,), is_clear=True) if number.isdecimal() and int(number[:4]) <= _OLDEST else None


def _zone(rest: Rest) -> Value | None:
    zone = fold(rest.text).strip(" .!")
    is_short = rest.text.strip(" .!").isupper() and len(zone) <= _ZONE_LETTERS
    return Value((zone,), is_short or _ZONE.fullmatch(zone) is not None) if zone else None


def _date(rest: Rest) -> Value | None:
    parts: list[str] = []
    is_clear = True
    for word in rest.words:
        number = next((word[0][: -len(each)] for each in _ORDINALS if word[0].endswith(each)), word[0])
        if number.isdecimal() or not _MONTHS.isdisjoint(word):
            parts.append(number if number.isdecimal() else word[-1])
        elif word[0] not in PARTICLES and word[0] not in ("on", "am"):
            is_clear = False
    # 5/3 may be May or March.
    is_clear = is_clear and not all(map(str.isdecimal, parts))
    # A month or a year alone is no day.
    return Value(tuple(parts), is_clear) if len(parts) > 1 and any(map(str.isdecimal, parts)) else None


def _job(rest: Rest) -> Value | None:
    words = rest.words
    if not words:
        return None
    is_clear = len(words) <= _JOB_WORDS and not any(
        word[0] in _FUNCTION_WORDS or not _NOT["job"].isdisjoint(word) for word in words
    )
    return Value(tuple(word[-1] for word in words), is_clear)


def _proper(rest: Rest) -> Value | None:
    """A proper name: words with a capital, numbers, and the small words between them."""
    raw, words = rest.raw, rest.words
    start, end = 0, len(words)
    if (since := next((place for place in range(1, end) if words[place][0] in _SINCE), 0)) and all(
        not raw[place][0].isupper() or not _MONTHS.isdisjoint(words[place]) for place in range(since + 1, end)
    ):
        end = since
    # "Page 3" is no time, "May 3" is.
    is_numbered = end > 1 and words[end - 1][0].isdecimal() and not _is_time(words[end - 2])
    while rest.is_event and end > 1 and _is_time(words[end - 1]) and not is_numbered:
        end -= 1
    while start < end and words[start][0] in PARTICLES:
        start += 1
    names = [raw[place][0].isupper() for place in range(start, end)]
    if not names:
        return None
    is_clear = (
        (names[0] or raw[start][0].isdigit())
        and any(names)
        and len(names) <= _PROPER_WORDS
        and all(
            name or word[0].isdecimal() or (word[0] in PARTICLES and place < len(names) - 1)
            for place, (name, word) in enumerate(zip(names, words[start:end], strict=True))
        )
        and not any(
            word[0] in _LISTS or not _NOT.get(rest.relation, _LISTS).isdisjoint(word) for word in words[start:end]
        )
        and not (rest.is_event and _is_product(raw[start:end], words[start:end], rest.text))
    )
    return Value(tuple(word[-1] for word in words[start:end] if word[0] not in PARTICLES), is_clear)


def _is_product(raw: Sequence[str], words: Sequence[Word], text: str) -> bool:
    """Whether a name is written as those of tools: PyTorch, C++, SQL, Vue 3."""
    return (
        len("".join(raw)) == 1
        or words[-1][0].isdecimal()
        or any(mark in text for mark in "+#/")
        or any(
            (len(each) > 1 and each.isupper() and word[0] not in _ABBREVIATED_PLACES)
            or any(one.islower() and two.isupper() for one, two in pairwise(each))
            for each, word in zip(raw, words, strict=True)
        )
    )


def extent(words: Sequence[str]) -> Literal["area", "street", "place"]:
    """What the words of a home name: a country or region, a street or house, or a place."""
    if " ".join(words) in _AREAS:
        return "area"
    is_street = any(word in _STREETS or word.isdecimal() or word.endswith(("strasse", "straat")) for word in words)
    return "street" if is_street else "place"


def _is_time(word: Word) -> bool:
    return not _TIMES.isdisjoint(word) or not _MONTHS.isdisjoint(word) or (word[0].isdecimal() and len(word[0]) <= 2)


_READERS: dict[str, Callable[[Rest], Value | None]] = {
    "e-mail": _address,
    "phone": _number,
    "mobile phone": _number,
    "age": _age,
    "birthday": _date,
    "time zone": _zone,
    "job": _job,
}

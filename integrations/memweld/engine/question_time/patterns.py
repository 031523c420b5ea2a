"""The patterns of times: sequences of classes of words (`tables`), which are the same for all languages.

They stand in a tree, so that each word of a query is compared once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from .calendar import Time

__all__ = ["BARE", "FREE", "LEAD", "SILENT", "SINCE", "Node"]

Values: TypeAlias = Sequence[Any]
"""The values of the words of a pattern, in order."""

Make: TypeAlias = "Callable[[Values], Time | None]"


def _one(kind: str) -> Make:
    return lambda values: Time(kind, values[0])


def _directed(kind: str) -> Make:
    return lambda values: Time(kind, values[1], values[0])


def _unit(values: Values) -> Time | None:
    direction, unit = values
    if unit in ("day", "minute") or (unit == "hour" and direction != -1):
        return None
    return Time("unit", unit, direction)


def _span(values: Values) -> Time | None:
    direction, count, unit = values
    return None if direction not in (-1, 1) else Time("span", unit, direction, count=count)


def _past(values: Values) -> Time | None:
    return Time("span", values[-1], -1, count=1 if len(values) == 1 else values[0])


def _ago(values: Values) -> Time | None:
    return Time("ago", values[1], count=values[0])


def _dated(values: Values) -> Time | None:
    day, month, *year = values
    return Time("date", (month, day), year=year[0] if year else None)


def _month_first(values: Values) -> Time | None:
    month, day, *year = values
    return _dated((day, month, *year))


def _numeric(values: Values) -> Time | None:
    year, month, day = values[0]
    return Time("date", (month, day), year=year) if day else Time("month", month, year=year)


def _of_year(kind: str) -> Make:
    return lambda values: Time(kind, values[0], year=values[1])


def _part(values: Values) -> Time | None:
    offset, part = values
    return Time("part", (offset, part))


def _this_part(values: Values) -> Time | None:
    return Time("part", (0, values[1])) if values[0] == 0 else None


def _weekend(values: Values) -> Time | None:
    return Time("unit", "weekend", -1) if values[0] == "weekend" else None


def _feast(values: Values) -> Time | None:
    name, *year = values
    return Time("season", name, year=year[0] if year else None) if name in ("christmas", "easter") else None


def _many(kind: str, unit: str) -> Make:
    """So many months, weeks or minutes, which one phrase counts: "half a year"."""
    return lambda values: Time(kind, unit, -1 if kind == "span" else None, count=values[-1])


def _portion(make: Make) -> Make:
    """The beginning, middle or end of a longer time."""

    def made(values: Values) -> Time | None:
        time = make(values[1:])
        return None if time is None or time.value in _SHORT else replace(time, portion=values[0])

    return made


_SHORT = ("hour", "minute", "day", "week", "weekend")
# The classes whose words only link others.
SILENT = frozenset("in on at of of_year the ago_before ago_after past".split())


class Node:
    """What may follow some classes of words, and the time that they name if nothing does.

    Attributes:
        following: The nodes by the class of the next word.
        make: Makes the time of the values, if these classes are a pattern.
        is_day: Whether the pattern is a day of a month, without a preposition or a year.
    """

    __slots__ = ("following", "is_day", "make")

    def __init__(self) -> None:
        self.following: dict[str, Node] = {}
        self.make: Make | None = None
        self.is_day = False


def _patterns(*rules: tuple[str, Make]) -> Node:
    """The patterns as a tree. A class with a question mark may be left out."""
    root = Node()
    for classes, make in rules:
        ends = [root]
        for each in classes.split():
            name = each.rstrip("?")
            added = [end.following.setdefault(name, Node()) for end in ends]
            ends = [*ends, *added] if each.endswith("?") else added
        for end in ends:
            end.make = make
            end.is_day = classes.startswith(("day_number", "ordinal", "month the")) and "year" not in classes
    return root


def _of_one_year(kind: str) -> Make:
    return lambda values: Time(kind, values[0], year=values[0])


_LONG: Sequence[tuple[str, Make]] = (
    ("year", _of_one_year("year")),
    ("decade", _of_one_year("decade")),
    ("dir unit", _unit),
    ("unit dir_after", lambda values: _unit(values[::-1])),
    ("unit year", lambda values: Time("year", values[1], year=values[1]) if values[0] == "year" else None),
    ("dir season", _directed("season")),
    ("season dir_after", lambda values: Time("season", *values)),
    ("season", _one("season")),
    ("season of? year", _of_year("season")),
)
_MONTHS: Sequence[tuple[str, Make]] = (
    ("month", _one("month")),
    ("month of? year", _of_year("month")),
    ("dir month", _directed("month")),
    ("month dir_after", lambda values: Time("month", *values)),
)
_PORTIONS = [
    (f"{before}the? {name} of? the? {classes}", _portion(make))
    for before in ("", "at ", "in ", "on ")
    for name, forms in (("portion", (*_LONG, *_MONTHS)), ("days_of", _MONTHS))
    for classes, make in forms
]
_DATES: Sequence[tuple[str, Make]] = (
    ("day_number of? month", _dated),
    ("on the? day_number of? month", _dated),
    ("day_number of? month of? year", _dated),
    ("on the? day_number of? month of? year", _dated),
    ("month the? day_number", _month_first),
    ("on month the? day_number", _month_first),
    ("month the? day_number year", _month_first),
    ("on month the? day_number year", _month_first),
)
FREE = _patterns(
    *_PORTIONS,
    ("former", _one("former")),
    ("former_end", _one("former")),
    ("recent", _one("recent")),
    ("bare_weekday", _one("weekday")),
    *(
        (pattern.format(counted), _many(form, counted.removesuffix("s")))
        for counted in ("months", "weeks", "minutes")
        for pattern, form in (
            ("ago_before {}", "ago"),
            ("{} ago_after", "ago"),
            ("dir {}", "span"),
            ("past {}", "span"),
        )
    ),
    ("of_year year", _of_one_year("year")),
    ("day", _one("day")),
    ("day part", _part),
    ("dir part", _this_part),
    ("evening", _one("evening")),
    ("dir unit", _unit),
    ("unit dir_after", lambda values: _unit(values[::-1])),
    ("on the? unit dir_after", lambda values: _unit(values[::-1])),
    ("in the? unit dir_after", lambda values: _unit(values[::-1])),
    ("dir n unit", _span),
    ("n dir unit", lambda values: _span((values[1], values[0], values[2]))),
    ("past n? unit", _past),
    ("n past unit", _past),
    ("ago_before n unit", _ago),
    ("n unit ago_after", _ago),
    ("dir weekday", _directed("weekday")),
    ("weekday dir_after", lambda values: Time("weekday", *values)),
    ("dir short_weekday", _directed("weekday")),
    ("short_weekday dir_after", lambda values: Time("weekday", *values)),
    ("on the? weekday", _one("weekday")),
    ("on the? unit", _weekend),
    ("at the? unit", _weekend),
    ("in the? unit", _weekend),
    ("dir month", _directed("month")),
    ("month dir_after", lambda values: Time("month", *values)),
    ("month of? year", _of_year("month")),
    ("in the? month", _one("month")),
    ("in the? month of? year", _of_year("month")),
    ("date", _numeric),
    ("on the? date", _numeric),
    ("in the? date", _numeric),
    ("on the? day_and_month", _one("date")),
    *_DATES,
    *(
        (classes.replace("day_number of?", "ordinal of").replace("day_number", "ordinal"), make)
        for classes, make in _DATES
    ),
    ("dir season", _directed("season")),
    ("season dir_after", lambda values: Time("season", *values)),
    ("season of? year", _of_year("season")),
    ("in the? season", _one("season")),
    ("in the? season of? year", _of_year("season")),
    ("at the? season", _feast),
    ("at the? season of? year", _feast),
    ("quarter of? year", _of_year("quarter")),
    ("in the? quarter", _one("quarter")),
    ("in the? quarter of? year", _of_year("quarter")),
    ("in the? year", _of_one_year("year")),
    ("in the? decade", _of_one_year("decade")),
)
# Behind "since", "before", "between" and so on a name alone is a time.
BARE = _patterns(
    ("weekday", _one("weekday")),
    ("day_and_month", _one("date")),
    ("month", _one("month")),
    ("season", _one("season")),
    ("quarter", _one("quarter")),
    ("year", _of_one_year("year")),
    ("decade", _of_one_year("decade")),
)
# A count of units, in front of "before" and "after": "the week before", "two days after".
LEAD = _patterns(
    ("unit", lambda values: Time("span", values[0])),
    ("dir unit", lambda values: Time("span", values[1])),
    ("n unit", lambda values: Time("span", values[1], count=values[0])),
)
SINCE = _patterns(
    ("n unit", lambda values: Time("span", values[1], -1, count=values[0])),
    *((counted, _many("span", counted.removesuffix("s"))) for counted in ("months", "weeks", "minutes")),
)

"""Times as a question names them, and the periods that they are for a calendar: ``March`` is the latest one begun."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

__all__ = ["CLOCK_UNITS", "EARLIEST", "FEW", "LATEST", "Period", "Time", "distance", "period_of", "period_within"]

Period: TypeAlias = "tuple[datetime, datetime]"
"""The beginning, and the end that is no part of it, as local times without a zone."""

EARLIEST, LATEST = datetime.min, datetime.max  # noqa: DTZ901 - local times
"""Stand for no beginning and no end."""

FEW = 0
"""The count of "a few": 2 to 6."""
_FEWEST, _MOST = 2, 6

_MONTHS_OF_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
CLOCK_UNITS = {"hour": timedelta(hours=1), "minute": timedelta(minutes=1)}
"""The units that are no part of the calendar, with their lengths."""
_HOURS = {"morning": (4, 12), "afternoon": (12, 18), "evening": (17, 24)}
_DAY = timedelta(days=1)
_RECENTLY = 30 * _DAY
# Among these is a leap year that has begun, and one to come.
_YEARS = range(-4, 5)


@dataclass(frozen=True, slots=True)
class Time:
    """A time as a question names it.

    Attributes:
        kind: ``day``, ``part``, ``evening``, ``unit``, ``span``, ``ago``, ``former``, ``recent``, ``weekday``,
            ``month``, ``date``, ``season``, ``quarter``, ``year`` or ``decade``.
        value: The number or name of it: days from today, the unit, the weekday (Monday is 0), month and day …
        direction: -1 for "last", 0 for "this", 1 for "next", -2 for the one before the last; None: not said.
        year: The year, where one is said.
        count: The number of units; `FEW` for "a few".
        portion: 0, 1 or 2 for its beginning, middle or end, a third each; None: all of it.
    """

    kind: str
    value: Any
    direction: int | None = None
    year: int | None = None
    count: int = 1
    portion: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether another time may say in which year, or week, it lies."""
        return self.kind in ("weekday", "month", "date", "season", "quarter") and self.direction is self.year is None

    @property
    def is_vague(self) -> bool:
        """Whether it gives way to any other time: formerly, recently."""
        return self.kind in ("former", "recent")

    @property
    def is_present(self) -> bool:
        """Whether it means the present: today, this week."""
        if self.kind in ("day", "part", "evening"):
            return (self.value[0] if self.kind == "part" else self.value) == 0
        return self.direction == 0 and self.portion is None


def period_of(time: Time, now: datetime, *, is_southern: bool = False) -> Period:
    """The period that a time is.

    Args:
        time: The time.
        now: The present as local time.
        is_southern: Whether summer begins in December.

    Raises:
        ValueError: There is no such day.
        OverflowError: It lies outside of the calendar.
    """
    relative = _RELATIVE.get(time.kind)
    if relative is not None:
        return _cut(relative(time, now), time.portion)
    # "On Monday" is no day that is not over yet.
    direction = -1 if time.kind == "weekday" and time.direction is None else time.direction
    return _chosen(list(_candidates(time, now, is_southern=is_southern)), direction, now)


def period_within(time: Time, outer: Period, *, is_southern: bool = False) -> Period | None:
    """The first period of an open time inside another one, or None."""
    found = _candidates(time, outer[0], is_southern=is_southern)
    return next((each for each in found if outer[0] <= each[0] and each[1] <= outer[1]), None)


def _candidates(time: Time, now: datetime, *, is_southern: bool) -> Iterable[Period]:
    """The periods around now that a name may mean, in order."""
    if time.kind == "weekday":
        monday = _floor("week", now)
        for week in range(-3, 4):
            day = monday + timedelta(days=7 * week + time.value)
            yield day, day + _DAY
        return
    for year in [now.year + offset for offset in _YEARS] if time.year is None else [time.year]:
        try:
            yield _cut(_in_year(time, year, is_southern=is_southern), time.portion)
        except ValueError:
            # No 29 February.
            if time.year is not None:
                raise


def _in_year(time: Time, year: int, *, is_southern: bool) -> Period:
    match time.kind:
        case "year":
            start, months = _date(year, 1, 1), 12
        case "decade":
            start, months = _date(year, 1, 1), 120
        case "quarter":
            start, months = _date(year, 3 * time.value - 2, 1), 3
        case "month":
            start, months = _date(year, time.value, 1), 1
        case "season" if time.value == "christmas":
            return _date(year, 12, 24), _date(year, 12, 27)
        case "season" if time.value == "easter":
            sunday = _easter(year)
            return sunday - 2 * _DAY, sunday + 2 * _DAY
        case "season":
            month = _MONTHS_OF_SEASONS[time.value]
            start, months = _date(year, (month + 5) % 12 + 1 if is_southern else month, 1), 3
        case _:
            month, day = time.value
            start = _date(year, month, day)
            return start, start + _DAY
    return start, _later(start, months)


def _easter(year: int) -> datetime:
    """Easter Sunday, by Gauss's rule for the years 1900 to 2099."""
    moon = (19 * (year % 19) + 24) % 30
    day = moon + (2 * (year % 4) + 4 * (year % 7) + 6 * moon + 5) % 7
    is_late = day == 35 or (day == 34 and moon == 28 and year % 19 > 10)
    return _date(year, 3, 22) + (day - 7 * is_late) * _DAY


def _cut(period: Period, portion: int | None) -> Period:
    """A third of a period: in months where it has three or more, else in days."""
    if portion is None:
        return period
    start, end = period
    months = 12 * (end.year - start.year) + end.month - start.month
    if months % 3 == 0:
        return _later(start, portion * months // 3), _later(start, (portion + 1) * months // 3)
    third = (end - start).days / 3
    return start + int(portion * third) * _DAY, start + round((portion + 1) * third) * _DAY


def _date(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day)  # noqa: DTZ001 - a local time


def _chosen(periods: list[Period], direction: int | None, now: datetime) -> Period:
    """Of periods in order the one that is meant: the latest begun, the latest over, this year's, the next."""
    if len(periods) == 1:
        return periods[0]
    if direction is None:
        return [each for each in periods if each[0] <= now][-1]
    if direction < 0:
        return [each for each in periods if each[1] <= now][direction]
    if direction > 0:
        return next(each for each in periods if each[0] > now)
    return min(periods, key=lambda each: (not each[0] <= now < each[1], abs(each[0] - now)))


def _day(time: Time, now: datetime) -> Period:
    midnight = _floor("day", now) + time.value * _DAY
    return midnight, midnight + _DAY


def _part(time: Time, now: datetime) -> Period:
    offset, part = time.value
    midnight = _floor("day", now) + offset * _DAY
    start, end = _HOURS[part]
    return midnight + timedelta(hours=start), midnight + timedelta(hours=end)


def _evening(time: Time, now: datetime) -> Period:
    midnight = _floor("day", now) + time.value * _DAY
    return midnight + timedelta(hours=18), midnight + timedelta(hours=30)


def _unit(time: Time, now: datetime) -> Period:
    direction = time.direction or 0
    if length := CLOCK_UNITS.get(time.value):
        return (now - length, now) if direction < 0 else (now, now + length)
    start = _shifted(time.value, _floor(time.value, now), direction)
    return start, start + 2 * _DAY if time.value == "weekend" else _shifted(time.value, start, 1)


def _span(time: Time, now: datetime) -> Period:
    count = _MOST if time.count == FEW else time.count
    start = now if time.value in CLOCK_UNITS else _floor("day", now)
    if time.direction == 1:
        return now, _shifted(time.value, start, count) + (0 if time.value in CLOCK_UNITS else 1) * _DAY
    return _shifted(time.value, start, -count), now


def _ago(time: Time, now: datetime) -> Period:
    least, most = (_FEWEST, _MOST) if time.count == FEW else (time.count, time.count)
    if length := CLOCK_UNITS.get(time.value):
        return now - 1.5 * most * length, now - 0.5 * least * length
    first = _unit(replace(time, direction=-most), now)
    return first[0], _unit(replace(time, direction=-least), now)[1]


def distance(time: Time, moment: datetime, *, is_before: bool) -> Period:
    """The last of so many units before a moment, or after it: "the week before", "two days after"."""
    length = "week" if time.value == "weekend" else time.value
    count = _FEWEST if time.count == FEW else time.count
    if is_before:
        return _shifted(length, moment, -count), _shifted(length, moment, 1 - count)
    return _shifted(length, moment, count - 1), _shifted(length, moment, count)


_RELATIVE: Mapping[str, Callable[[Time, datetime], Period]] = {
    "day": _day, "part": _part, "evening": _evening, "unit": _unit, "span": _span, "ago": _ago,
    "former": lambda _, now: (EARLIEST, now), "recent": lambda _, now: (_floor("day", now) - _RECENTLY, now),
}  # fmt: skip


def _floor(unit: str, moment: datetime) -> datetime:
    """The beginning of the day, week, weekend, month, quarter or year."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "week":
            return day - day.weekday() * _DAY
        case "weekend":
            return day + (5 - day.weekday()) * _DAY
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=day.month - (day.month - 1) % 3, day=1)
        case "year":
            return day.replace(month=1, day=1)
        case _:
            return day


def _shifted(unit: str, moment: datetime, count: int) -> datetime:
    if unit in CLOCK_UNITS:
        return moment + count * CLOCK_UNITS[unit]
    if unit in ("day", "week", "weekend"):
        return moment + count * _DAY * (1 if unit == "day" else 7)
    return _later(moment, count * {"month": 1, "quarter": 3, "year": 12}[unit])


def _later(moment: datetime, months: int) -> datetime:
    """So many months later, on the last day of the month where it has no such day."""
    total = 12 * moment.year + moment.month - 1 + months
    first = moment.replace(year=total // 12, month=total % 12 + 1, day=1)
    last = ((first + 31 * _DAY).replace(day=1) - _DAY).day
    return first.replace(day=min(moment.day, last))

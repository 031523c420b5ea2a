"""The window of time that a query names, and the query without the words for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ...validation import local_time
from .calendar import CLOCK_UNITS, EARLIEST, LATEST, Period, Time, distance, period_of, period_within
from .grammar import Named, find_times

__all__ = ["QuestionTime", "window_of"]

# A text that names more times tells a story.
_MOST = 2
# Where summer begins in December.
_SOUTHERN = (
    "Africa/Gaborone", "Africa/Harare", "Africa/Johannesburg", "Africa/Maputo", "Africa/Windhoek", "America/Argentina/",
    "America/Asuncion", "America/Buenos_Aires", "America/Campo_Grande", "America/Cuiaba", "America/La_Paz",
    "America/Lima", "America/Montevideo", "America/Punta_Arenas", "America/Santiago", "America/Sao_Paulo",
    "Antarctica/", "Australia/", "Pacific/Auckland",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuestionTime:
    """The window of time that a question names.

    Attributes:
        start: Seconds since 1970; minus infinity: without a beginning.
        end: Seconds since 1970, itself outside; infinity: without an end.
        rest: The query without the words of the window.
        names: Words by which a text may name the same time, such as a month and a year.
        is_present: Whether it means the present: today, this week. What was true earlier in it is over.
        is_former: Whether it means all that was true once: "before", "my previous home". ``rest`` has its words.
    """

    start: float
    end: float
    rest: str
    names: tuple[str, ...] = ()
    is_present: bool = False
    is_former: bool = False


def window_of(query: str, now: datetime, timezone_name: str | None = None) -> QuestionTime | None:
    """The window that a query names; None where it names none, or one that memweld is not sure of.

    Args:
        query: A question in English, German, Spanish, French or Portuguese.
        now: The present, with a zone.
        timezone_name: The user's zone in the IANA database; that of ``now`` if None.
    """
    named = find_times(query)
    if not named:
        return None
    local = local_time(now, timezone_name)
    zone = ZoneInfo(timezone_name) if timezone_name is not None else local.tzinfo or timezone.utc
    # Hours and minutes go on where the clocks change.
    if any(time.value in CLOCK_UNITS for each in named for time in each.times):
        zone = timezone(local.utcoffset() or timedelta())
    is_southern = timezone_name is not None and timezone_name.startswith(_SOUTHERN)
    try:
        found = _windows(named, local.replace(tzinfo=None), is_southern=is_southern)
        if not 1 <= len(found) <= _MOST:
            return None
        start, end = _joined(found)
        # An hour that the clock shows twice begins with the first one, and ends now.
        times = (
            -math.inf if start == EARLIEST else start.replace(tzinfo=zone).timestamp(),
            math.inf if end == LATEST else end.replace(tzinfo=zone, fold=local.fold).timestamp(),
        )
    except (ValueError, OverflowError, IndexError, StopIteration):
        return None
    if times[0] >= times[1]:
        return None
    is_present = all(each.form == "in" and each.times[0].is_present for each in named)
    names = tuple(name for each in named for name in each.names)
    is_former = named[0].times[0].kind == "former"
    return QuestionTime(*times, query if is_former else _rest(query, named), names, is_present, is_former)


def _windows(named: Sequence[Named], now: datetime, *, is_southern: bool) -> list[Period]:
    """The windows of the times, those that say in which year or week another one lies without windows of their own."""
    times = [each.times[0] for each in named if each.form == "in"]
    plain = {time: period_of(time, now, is_southern=is_southern) for time in times}
    # "Last Friday on 23 January 2022" was no Friday of late.
    is_dated = any(time.year is not None for time in times)
    outer = {time for time in times if is_dated and time.year is None and not time.is_open}
    # "On Monday, 3 May" is one day.
    if any(time.kind == "date" for time in times):
        outer.update(time for time in times if time.kind == "weekday")
    for time in [each for each in plain if each.is_open]:
        for other in [each for each in plain if not each.is_open]:
            if (inside := period_within(time, plain[other], is_southern=is_southern)) is not None:
                plain[time] = inside
                outer.add(other)
    windows = [period for time, period in plain.items() if time not in outer]
    return windows + [
        _related(each.form, each.times, now, is_southern=is_southern) for each in named if each.form != "in"
    ]


def _related(form: str, times: Sequence[Time], now: datetime, *, is_southern: bool) -> Period:
    """The window since, before, after or until a time, or from one to another."""
    start, end = period_of(times[-1], now, is_southern=is_southern)
    match form:
        case "since":
            return start, now
        case "after":
            return end, now if end < now else LATEST
        case "before":
            return EARLIEST, start
        case "until":
            return EARLIEST, end
        case "just before" | "just after":
            return distance(times[0], start if form == "just before" else end, is_before=form == "just before")
        case _:
            # Of the months named the first is the one before the other.
            return period_of(times[0], start, is_southern=is_southern)[0], end


def _joined(windows: Sequence[Period]) -> Period:
    """One window of several: the narrower if one lies in the other, else from the first to the last."""
    (first, *others) = windows
    for other in others:
        if first[0] <= other[0] and other[1] <= first[1]:
            first = other
        elif not (other[0] <= first[0] and first[1] <= other[1]):
            first = min(first[0], other[0]), max(first[1], other[1])
    return first


def _rest(query: str, named: Sequence[Named]) -> str:
    starts = [each.start for each in named]
    ends = [each.end for each in named]
    parts = (query[end:start].strip() for end, start in zip([0, *ends], [*starts, len(query)], strict=True))
    return " ".join(filter(None, parts))

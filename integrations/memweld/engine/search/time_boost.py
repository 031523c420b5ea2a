"""The time that a question names, in the ranking: "Where did I live in March?" asks for what was said or held then.

A memory of the window, or one whose text names it, gains a share of its fit. One that is later or was over before loses
some, and the others stay as they are: nothing is left out. Where no word of the question tells what is asked, as in
"What happened last week?", the window alone counts.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ...scope import known_timezone
from ...validation import utc_now
from ..operations import Search
from ..question_time import QuestionTime, asking_words, window_of
from ..sql.database import Connection
from ..sql.item_times import read_times
from .snapshot import Snapshot
from .tokenizer import is_telling, query_words

__all__ = ["TimedQuery", "name_terms", "time_scores", "timed_query"]

# The shares of its fit that a memory of the window gains, and that a later one loses. What happens on a day, or in a
# week, is often told within the next one.
_GAIN, _NEAR, _LOSS = 1.0, 0.8, 0.3
_WEEK = 7 * 86_400.0 + 3_600
# What a memory of the window gains whatever it says: little, so that it does not fit by that alone.
_ANYWAY, _ALONE = 0.06, 0.6


@dataclass(frozen=True, slots=True)
class TimedQuery:
    """A query with the window of time that it names.

    Attributes:
        window: The window.
        text: The query without its words; the whole query where that is nothing.
        words: The text whose words count; empty where none tells what is asked.
        is_over: Whether the window is past, or future, so that memories which do not hold now are asked for.
    """

    window: QuestionTime
    text: str
    words: str
    is_over: bool


def timed_query(search: Search, query: str) -> TimedQuery | None:
    """The query with its window; None where it names none, or the search has a time of its own.

    Args:
        search: The search.
        query: Its query, in the length that is searched for.
    """
    if search.as_of is not None:
        return None
    now = search.now or utc_now()
    window = window_of(query, now, known_timezone(search.timezone))
    if window is None:
        return None
    return TimedQuery(
        window=window,
        text=window.rest or query,
        words=window.rest if is_telling(window.rest, asking_words()) else "",
        is_over=not (window.is_present and _holds(window, now)),
    )


def _holds(window: QuestionTime, now: datetime) -> bool:
    return window.start <= now.timestamp() < window.end


def time_scores(
    connection: Connection, root: int, snapshot: Snapshot, timed: TimedQuery, fit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What the window adds to the fit of each row, shape (n,); negative for rows of another time.

    Args:
        connection: A transaction that reads.
        root: The root owner.
        snapshot: The rows.
        timed: The query.
        fit: How well each row fits otherwise, shape (n,).
    """
    start, end = timed.window.start, timed.window.end
    among = snapshot.seqs.tolist() if snapshot.total is not None else None
    if timed.window.is_former:
        over = read_times(connection, root, end, math.inf, among=among).other
        return np.where(np.isin(snapshot.seqs, np.asarray(over, dtype=np.int64)), _GAIN * fit, 0.0)
    times = read_times(connection, root, start, end, among=among)
    is_later = snapshot.timestamps >= end
    is_said = (snapshot.timestamps >= start) & ~is_later
    is_near = is_later & (snapshot.timestamps < end + _WEEK)
    is_said[_naming(snapshot, timed.window)] = True
    is_held = np.zeros(len(snapshot.seqs), dtype=np.bool_)
    for places, values in (
        (times.other, (False, False, False, True)),
        (times.held, (False, True, False, False)),
        (times.said, (True, False, False, False)),
    ):
        rows = np.isin(snapshot.seqs, np.asarray(places, dtype=np.int64))
        is_said[rows], is_held[rows], is_near[rows], is_later[rows] = values
    near = _NEAR if end - start <= _WEEK else 0.0
    # What went on for long is no news of the window.
    least = np.where(is_said, _ANYWAY if timed.words else _ALONE, _ANYWAY)
    return np.select(
        [is_said | is_held, is_near, is_later], [least + _GAIN * fit, near * fit, -_LOSS * fit], default=0.0
    )


def name_terms(window: QuestionTime) -> list[str]:
    """The terms of the words by which a text may name the window."""
    return [term for name in window.names for word in query_words(name) for term in word.terms]


def _naming(snapshot: Snapshot, window: QuestionTime) -> NDArray[np.int64]:
    """The rows whose texts name the window: "a meeting on Friday"."""
    found = [snapshot.find(term)[0] for term in dict.fromkeys(name_terms(window))]
    return functools.reduce(np.intersect1d, found) if found else np.empty(0, dtype=np.int64)

"""When items were said and held true, compared with the window of time that a question names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .database import Connection
from .validity import DATED, LEARNT

__all__ = ["ItemTimes", "read_times"]

# When the item took the place of another one. The plus keeps SQLite from an index of all rows of the root.
_TOOK_PLACE = "(SELECT max(p.valid_until) FROM items p WHERE p.superseded_by = items.id AND +p.root = items.root)"
_COLUMNS = f"seq, valid_from, valid_until, {LEARNT}, {_TOOK_PLACE}, relation, occurrences"
# Each has an index.
_CONDITIONS = (
    DATED,
    "items.occurrences IS NOT NULL",
    "items.relation IS NOT NULL",
    f"items.id IN (SELECT superseded_by FROM items WHERE root = ? AND {DATED} AND superseded_by IS NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class ItemTimes:
    """The places of items for which the time of their row does not say whether they belong to a window.

    Attributes:
        said: Said again in it, or true since a moment of it.
        held: True in it, since before.
        other: Neither, although their row may be made then.
    """

    said: Sequence[int]
    held: Sequence[int]
    other: Sequence[int]


def read_times(
    connection: Connection, root: int, start: float, end: float, *, among: Sequence[int] | None = None
) -> ItemTimes:
    """The items of a root with times of their own: a validity, a place in a chain, several occurrences, or a relation.

    What holds one single value, such as where a person lives, holds until another takes its place.

    Args:
        connection: A transaction that reads.
        root: The root owner.
        start: The beginning of the window, in seconds since 1970.
        end: Its end.
        among: The places to look at; None: all.
    """
    places = "" if among is None else f" AND seq IN ({', '.join(map(str, among)) or 'NULL'})"
    selects = (f"SELECT {_COLUMNS} FROM items WHERE root = ? AND {each}{places}" for each in _CONDITIONS)
    rows: Sequence[Any] = connection.execute(" UNION ".join(selects), [root] * (len(_CONDITIONS) + 1)).fetchall()
    said, held, other = list[int](), list[int](), list[int]()
    for seq, valid_from, valid_until, learnt, took_place, relation, occurrences in rows:
        if any(start <= moment < end for moment in _moments(occurrences)):
            said.append(seq)
        elif valid_from is not None or valid_until is not None or took_place is not None or relation is not None:
            begin = next((each for each in (valid_from, took_place, learnt) if each is not None), -math.inf)
            is_held = begin < end and (valid_until is None or valid_until > start)
            # What begins later may be said now; what took the place of another is as old as that change.
            is_said = begin >= start if is_held else took_place is None and learnt is not None and start <= learnt < end
            (said if is_said else held if is_held else other).append(seq)
    return ItemTimes(said, held, other)


def _moments(occurrences: str | None) -> Iterator[float]:
    try:
        for each in json.loads(occurrences) if occurrences else ():
            yield datetime.fromisoformat(each["created_at"]).timestamp()
    except (TypeError, KeyError, ValueError):  # a damaged row is in no window
        return

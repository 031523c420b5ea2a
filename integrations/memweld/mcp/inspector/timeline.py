"""The timeline: what was learnt on each day, from when until when it holds, and what took its place."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from ...models import MemoryItem
from ...validation import local_time, utc_now, validate_moment
from .visit import Visit, day_after, day_in

__all__ = ["REASONS", "timeline"]

_PAGE = 100

REASONS = {
    "update": "corrected",
    "set": "set again",
    "supersedes": "replaced",
    "rule": "replaced by a rule",
    "llm": "replaced by the LLM",
    "consolidate": "merged",
}
"""What replaced a memory's text, in words."""


def timeline(visit: Visit) -> dict[str, Any]:
    """The memories by day, the latest first: all of them, or what was held true at the end of a day."""
    memory = visit.memory
    day = day_in(visit.query, "at")
    as_of = None if day is None else validate_moment("at", day_after(day), memory.timezone)
    page = memory.all(
        limit=_PAGE,
        cursor=visit.given("cursor"),
        newest_first=True,
        as_of=as_of,
        include_inactive=as_of is None,
    )
    visit.count = len(page)
    zone = memory.timezone or "UTC"
    # Imports store old memories late. A local clock shows one hour twice.
    dated = sorted(page, key=lambda item: item.created_at, reverse=True)
    days = [
        (day, list(items))
        for day, items in itertools.groupby(dated, lambda item: local_time(item.created_at, zone).date().isoformat())
    ]
    query = {"at": day}
    return {
        "at": day,
        "days": days,
        "bars": _bars(page, as_of or utc_now()),
        "reasons": REASONS,
        "further": page.next and {"cursor": page.next, **query},
    }


def _bars(items: list[MemoryItem], now: datetime) -> dict[str, tuple[float, float]]:
    """The validity of each item that had a beginning: where its bar begins, and how wide it is, in hundredths."""
    spans = {item.id: (item.valid_from or item.created_at, item.valid_until or now) for item in items}
    first = min((start for start, _ in spans.values()), default=now)
    last = max((end for _, end in spans.values()), default=now)
    whole = max((last - first).total_seconds(), 1.0)

    def place(moment: datetime) -> float:
        return 100 * (moment - first).total_seconds() / whole

    return {
        memory_id: (min(round(place(start), 1), 98.0), round(max(place(end) - place(start), 2.0), 1))
        for memory_id, (start, end) in spans.items()
    }

"""Equality of metadata, as a function that SQL calls.

SQLite's own JSON functions cut strings at NUL, have no integers beyond 64 bits and read quotes and dots in keys.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...models import JSON

__all__ = ["forget_filters", "metadata_fits", "occurrence_fits", "seconds_of"]


@functools.lru_cache(maxsize=64)
def _parsed(filters: str) -> Mapping[str, JSON]:
    return json.loads(filters)


def forget_filters() -> None:
    """Keep no filters in RAM, which may name something of an erased user."""
    _parsed.cache_clear()


def metadata_fits(metadata: str, filters: str) -> bool:
    """Whether each key of the filters (a JSON object of scalars) is in the metadata with an equal value."""
    return _fits(_loaded(metadata) or {}, filters)


def occurrence_fits(occurrences: str, filters: str, session_id: str | None) -> bool:
    """Whether one of the occurrences (a JSON list) is of this session, if one is given, and fits the filters."""
    return any(
        session_id in (None, each.get("session_id")) and _fits(each.get("metadata", {}), filters)
        for each in _loaded(occurrences) or ()
    )


def seconds_of(moment: str) -> float | None:
    """A stored time (ISO 8601) as seconds since 1970; None for a damaged one."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a damaged row fits nothing; to read it is an error that names it
        return None


def _fits(stored: Mapping[str, JSON], filters: str) -> bool:
    return all(key in stored and _equal(stored[key], value) for key, value in _parsed(filters).items())


def _equal(one: Any, other: Any) -> bool:
    # To Python True is 1; to JSON it is not.
    return isinstance(one, bool) == isinstance(other, bool) and one == other

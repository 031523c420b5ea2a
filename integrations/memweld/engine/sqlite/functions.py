"""Equality of metadata, as a function that SQL calls.

SQLite's own JSON functions cut strings at NUL, have no integers beyond 64 bits and read quotes and dots in keys.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from ...models import JSON

__all__ = ["forget_filters", "metadata_fits"]


@functools.lru_cache(maxsize=64)
def _parsed(filters: str) -> Mapping[str, JSON]:
    return json.loads(filters)


def forget_filters() -> None:
    """Keep no filters in RAM, which may name something of an erased user."""
    _parsed.cache_clear()


def metadata_fits(metadata: str, filters: str) -> bool:
    """Whether each key of the filters (a JSON object of scalars) is in the metadata with an equal value."""
    try:
        stored = json.loads(metadata)
    except ValueError:  # a damaged row fits nothing; to read it is an error that names it
        return False
    return all(key in stored and _equal(stored[key], value) for key, value in _parsed(filters).items())


def _equal(one: Any, other: Any) -> bool:
    # To Python True is 1; to JSON it is not.
    return isinstance(one, bool) == isinstance(other, bool) and one == other

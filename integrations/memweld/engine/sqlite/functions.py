"""Equality of metadata and conditions on values, as functions that SQL calls.

SQLite's own JSON functions cut strings at NUL, have no integers beyond 64 bits and read quotes and dots in keys.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

from ...models import JSON
from ..filters import fits_conditions

__all__ = ["fits", "forget_filters", "value_fits"]


@functools.lru_cache(maxsize=64)
def _wanted(filters: str) -> Mapping[str, JSON]:
    return json.loads(filters)


def forget_filters() -> None:
    """Keep no filters in RAM, which may say something of whoever was erased."""
    _wanted.cache_clear()


def _equal(one: Any, other: Any) -> bool:
    # To Python True is 1; to JSON it is not.
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def fits(metadata: str, filters: str) -> bool:
    """Whether each key of the filters (a JSON object of scalars) is in the metadata with an equal value."""
    held = json.loads(metadata)
    return all(key in held and _equal(held[key], value) for key, value in _wanted(filters).items())


def value_fits(value: str, conditions: str) -> bool:
    """Whether a value, as JSON text, is as the conditions want it."""
    return fits_conditions(json.loads(value), _wanted(conditions))

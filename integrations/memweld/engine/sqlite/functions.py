"""Filters on metadata and occurrences, as functions that SQL calls.

SQLite's own JSON functions cut strings at NUL, have no integers beyond 64 bits and read quotes and dots in keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from ...models import JSON
from ...validation import dump_json
from ..filters import metadata_filter
from ..sql.selection import Fragment, Selection

__all__ = ["metadata_fit", "metadata_fits", "occurrence_fits", "occurrences_fit", "seconds_of"]


def metadata_fit(filters: Mapping[str, JSON]) -> Fragment:
    """The condition that the metadata of a row of ``items`` meet the filters."""
    return "metadata_fits(metadata, ?)", [dump_json(dict(filters))]


def occurrences_fit(selection: Selection) -> Fragment:
    """The condition that one occurrence of a row meets all that the selection says of occurrences."""
    variables = [
        dump_json(dict(selection.filters)),
        selection.session_id,
        selection.window.after,
        selection.window.before,
    ]
    return "occurrence_fits(occurrences, ?, ?, ?, ?)", variables


def metadata_fits(metadata: str, filters: str) -> bool:
    """Whether the metadata meet the filters (JSON objects)."""
    stored = _loaded(metadata)
    return isinstance(stored, dict) and metadata_filter(filters)(cast("dict[str, JSON]", stored))


def occurrence_fits(
    occurrences: str, filters: str, session_id: str | None, after: float | None, before: float | None
) -> bool:
    """Whether one of the occurrences (a JSON list) is of the session, within the times, and meets the filters."""
    fits = metadata_filter(filters)
    return any(
        session_id in (None, each.get("session_id"))
        and _is_within(each.get("created_at", ""), after, before)
        and fits(each.get("metadata", {}))
        for each in _loaded(occurrences) or ()
    )


def _is_within(moment: str, after: float | None, before: float | None) -> bool:
    if after is None and before is None:
        return True
    seconds = seconds_of(moment)
    return seconds is not None and (after is None or seconds >= after) and (before is None or seconds < before)


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

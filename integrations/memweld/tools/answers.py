"""How answers are written: times, items, values and lists, as text for a model and as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import datetime, timezone

from ..memory.safe_text import safe_for_model
from ..models import JSON, Hit, MemoryItem
from ..validation import dump_json

__all__ = ["as_utc", "item_data", "numbered", "shown"]


def as_utc(moment: datetime) -> str:
    """A time as the answers write it: ``2025-10-15T10:30:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_data(item: MemoryItem) -> dict[str, JSON]:
    """A memory item (or hit) as JSON, fields that say nothing left out."""
    data = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    data["created_at"], data["updated_at"] = as_utc(item.created_at), as_utc(item.updated_at)
    data["metadata"] = dict(item.metadata)
    if isinstance(item, Hit):
        data["score"] = round(item.score, 4)
    return {key: value for key, value in data.items() if value is not None and value != {}}


def numbered(lines: Iterable[str]) -> str:
    """The lines of a list, each behind its number; an empty text for none. No line can forge another."""
    return "".join(f"\n{number}. {safe_for_model(line)}" for number, line in enumerate(lines, 1))


def shown(value: JSON) -> str:
    """A value as a model reads it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else dump_json(value)

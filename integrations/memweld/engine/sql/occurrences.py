"""Occurrences of a text: added again with other metadata, in another session or at another time, it stays one row.

The column ``occurrences`` lists them as JSON objects with ``session_id``, ``message_id``, ``metadata`` and
``created_at``, without those that are empty. Filters compare each occurrence. A text that was added once has none: its
columns say the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ...models import JSON, Source
from ...validation import MAX_METADATA_CHARACTERS, dump_json

if TYPE_CHECKING:
    from .item_rows import ItemRow

__all__ = ["MAX_OCCURRENCES", "merged", "with_metadata", "without_message", "without_messages", "without_session"]

MAX_OCCURRENCES = 500
"""So many occurrences of a text are kept: the first, and the latest of the others."""
_MAX_LINKS = 1_000
# The least trusted source first.
_TRUST: tuple[Source, ...] = ("assistant", "tool", "agent", "document", "import", "user")

Occurrence = Mapping[str, JSON]


def _occurrences_of(row: ItemRow) -> list[Occurrence]:
    """All occurrences of a row, at least one."""
    if row.occurrences is not None:
        return json.loads(row.occurrences)
    fields = {"session_id": row.session_id, "message_id": row.message_id, "metadata": json.loads(row.metadata)}
    return [{**{name: value for name, value in fields.items() if value}, "created_at": row.created_at}]


def _key(occurrence: Occurrence) -> str:
    """Its contents without the time: a retry is no other occurrence."""
    return dump_json([occurrence.get(name) for name in ("session_id", "message_id", "metadata")])


_BARE = _key({})


def merged(stored: ItemRow, added: ItemRow, *, is_dated: bool) -> ItemRow:
    """The stored row with all that a row with an equal text says besides; the same object where that is nothing.

    Metadata are united, later values win, and each occurrence keeps its own. ``created_at`` is the earliest time,
    ``updated_at`` the latest. Of two sources the more trusted one counts. It ends when the row that was added does,
    unless that has the less trusted source, which brings no end nearer.

    Args:
        stored: The row in the table.
        added: The other row.
        is_dated: Whether a caller gave its time; else the time alone is no news.
    """
    known = _occurrences_of(stored)
    keys = {_key(each) for each in known}
    new = [each for each in _occurrences_of(added) if _key(each) not in keys and _key(each) != _BARE]
    links = _union(stored.links, added.links)
    row = _with_occurrences(stored, [*known, *new]) if new else stored
    if links != stored.links:
        row = replace(row, links=links)
    may_end = _TRUST.index(added.source) >= _TRUST.index(stored.source)
    if may_end and added.source != stored.source:
        row = replace(row, source=added.source)
    if "verbatim" in (stored.extraction, added.extraction) and stored.extraction != "verbatim":
        row = replace(row, extraction="verbatim", extraction_error=None)
    if new or is_dated:
        created_at = min(stored.created_at, added.created_at, key=datetime.fromisoformat)
        updated_at = max(stored.updated_at, added.updated_at, key=datetime.fromisoformat)
        if (created_at, updated_at) != (stored.created_at, stored.updated_at):
            row = replace(row, created_at=created_at, updated_at=updated_at)
    if row.pinned_at is None and added.pinned_at is not None:
        row = replace(row, pinned_at=added.pinned_at)
    if row.expires_at != added.expires_at and (may_end or _is_later(added.expires_at, row.expires_at)):
        row = replace(
            row,
            expires_at=added.expires_at,
            updated_at=max(row.updated_at, added.updated_at, key=datetime.fromisoformat),
        )
    return _with_validity(row, added, may_end=may_end)


def _is_later(end: float | None, other: float | None) -> bool:
    return end is None or (other is not None and end > other)


def _with_validity(row: ItemRow, added: ItemRow, *, may_end: bool) -> ItemRow:
    """The row with the validity that was given last; a text that is said again after its end has no end any more."""
    is_given = may_end and (added.valid_from is not None or added.valid_until is not None)
    is_over = row.valid_until is not None and row.valid_until <= datetime.fromisoformat(added.created_at).timestamp()
    valid_from = row.valid_from if added.valid_from is None else added.valid_from
    if valid_from is not None and added.valid_until is not None:
        valid_from = min(valid_from, added.valid_until)
    if not (is_given or is_over) or (row.valid_from, row.valid_until) == (valid_from, added.valid_until):
        return row
    return replace(row, valid_from=valid_from, valid_until=added.valid_until, updated_at=added.updated_at)


def _with_occurrences(row: ItemRow, occurrences: Sequence[Occurrence]) -> ItemRow:
    """The row with these occurrences, at least one; its session, message and metadata follow from them."""
    kept = [occurrences[0], *occurrences[1:][-(MAX_OCCURRENCES - 1) :]]
    metadata = _united(kept)
    # The first that belongs to a session.
    first = next((each for each in kept if each.get("session_id") is not None), kept[0])
    return replace(
        row,
        session_id=first.get("session_id"),
        message_id=first.get("message_id"),
        metadata=metadata,
        occurrences=dump_json(kept) if len(kept) > 1 else None,
    )


def without_message(row: ItemRow, session_id: str, message_id: str) -> ItemRow | None:
    """The row without the occurrence in this message; None if it occurs nowhere else."""
    known = _occurrences_of(row)
    left = [each for each in known if (each.get("session_id"), each.get("message_id")) != (session_id, message_id)]
    return row if len(left) == len(known) else _with_occurrences(row, left) if left else None


def without_session(row: ItemRow, session_id: str) -> ItemRow | None:
    """The row without the occurrences in this session; None if it occurs nowhere else."""
    left = [each for each in _occurrences_of(row) if each.get("session_id") != session_id]
    return _with_occurrences(row, left) if left else None


def without_messages(row: ItemRow) -> ItemRow:
    """The row without the messages that say it."""
    left = [{name: value for name, value in each.items() if name != "message_id"} for each in _occurrences_of(row)]
    return _with_occurrences(row, left)


def with_metadata(row: ItemRow, metadata: Mapping[str, JSON]) -> ItemRow:
    """The row with other metadata in all of its occurrences."""
    return _with_occurrences(row, [{**each, "metadata": metadata} for each in _occurrences_of(row)])


def _united(occurrences: Iterable[Occurrence]) -> str:
    united: dict[str, JSON] = {}
    text = "{}"
    for each in occurrences:
        united = {**united, **each.get("metadata", {})}
        # The latest data count where all of them together would be too long.
        if len(text := dump_json(united)) > MAX_METADATA_CHARACTERS:
            united = dict(each.get("metadata", {}))
            text = dump_json(united)
    return text


def _union(stored: str | None, added: str | None) -> str | None:
    if added is None:
        return stored
    ids: list[str] = json.loads(stored) if stored else []
    new = [each for each in json.loads(added) if each not in ids]
    return dump_json([*ids, *new][-_MAX_LINKS:]) if new else stored

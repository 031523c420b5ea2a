"""Superseding: an item takes the place of others, which keep their texts and get an end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...errors import MemoryNotFoundError, invalid
from ...models import Change, MemoryItem
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import AddItems, KeepBoth, SupersedeItems
from .item_rows import ItemRow, remedy_of_keyed
from .items import Items
from .ttl import purge
from .versions import end_with

__all__ = [
    "end_row",
    "ended",
    "held_again",
    "keep_both",
    "rows_to_supersede",
    "supersede",
    "supersede_items",
    "with_pin_of",
]


def rows_to_supersede(items: Items, scope: Scope, memory_ids: Sequence[str]) -> list[ItemRow]:
    """The items whose place another takes.

    Raises:
        MemoryNotFoundError: The scope does not contain one.
        InvalidInputError: One is a preference, a task's outcome, a record or a source.
    """
    found = items.by_ids(scope, memory_ids) if memory_ids else {}
    for memory_id in memory_ids:
        row = found.get(memory_id)
        if row is None:
            raise MemoryNotFoundError(memory_id)
        if row.kind != "item":
            remedy = "Delete it." if row.kind == "source" else remedy_of_keyed(row)
            raise invalid("supersedes", memory_id, f"it is a {row.kind}, and items alone are superseded", remedy)
    return list(found.values())


def supersede(items: Items, scope: Scope, operation: AddItems, stored: Sequence[ItemRow]) -> list[ItemRow]:
    """Put the first stored item in the place of those that the caller names, in the transaction that stored it.

    Returns:
        The stored rows as they are then.

    Raises:
        InvalidInputError: One of the others says this itself, or has another item in its place.
    """
    named = operation.supersedes
    if not named or not stored:
        return list(stored)
    moment = operation.valid_from or operation.created_at or utc_now()
    successor = next((row for row in stored if row.id not in named), stored[0])
    successor = _take_place(items, scope, rows_to_supersede(items, scope, named), successor, moment.timestamp())
    return [successor if row.id == successor.id else row for row in stored]


def supersede_items(items: Items, scope: Scope, operation: SupersedeItems) -> MemoryItem:
    """Put a stored item in the place of others (see `SupersedeItems`)."""
    with items.database.writing(scope):
        rows = {row.id: row for row in rows_to_supersede(items, scope, [operation.by, *operation.memory_ids])}
        row = rows[operation.by]
        if row.superseded_by is not None:
            reason = f"{row.superseded_by} is in its place"
            raise invalid("by", row.id, reason, "Name a memory that is valid.")
        others = [rows[each] for each in dict.fromkeys(operation.memory_ids)]
        if row.scope.agent_id is not None and any(each.scope != row.scope for each in others):
            # An agent that deletes its memory would take along what it does not see.
            reason = f"it belongs to {row.scope}, and what it should replace does not"
            raise invalid("by", row.id, reason, "Add the fact to the user's own memory, with supersedes=.")
        latest = max((each.begins_at for each in others), default=0.0)
        # An older statement that is the true one takes the place from now on.
        at = row.begins_at if row.begins_at > latest else utc_now().timestamp()
        return _take_place(items, scope, others, row, at).item()


def _take_place(items: Items, scope: Scope, rows: Sequence[ItemRow], successor: ItemRow, at: float) -> ItemRow:
    for row in rows:
        if row.superseded_by == successor.id:
            continue  # sent again
        if row.id == successor.id or row.superseded_by is not None:
            reason = "it says the same" if row.id == successor.id else f"{row.superseded_by} is in its place already"
            remedy = "Say what is true now, or name a memory that is valid and says something else."
            raise invalid("supersedes", row.id, reason, remedy)
        end_row(items, scope, row, by=successor.id, at=at, changed_by="supersedes")
        successor = with_pin_of(items, successor, row)
    return successor


def end_row(items: Items, scope: Scope, row: ItemRow, *, by: str, at: float, changed_by: Change) -> ItemRow:
    """Record that an item replaces a row from a moment on, and return the row as stored then.

    The row's sources say the same and end with it. If the item expires, so do they. No row ends before it begins.
    """
    for each in items.superseded_by(scope, [row.id]):
        if (end := _end_of(each, at)) != each.valid_until:
            items.rewrite_details(replace(each, valid_until=end))
    sources = [source for source in items.linked(row) if by not in source.linked_ids]
    updated_at = utc_now().isoformat()
    for each in (*sources, row):
        row = ended(each, by=by, at=at, changed_by=changed_by, updated_at=updated_at)
        items.rewrite_details(row)
    successor = items.get(scope, by)
    if successor is not None and successor.expires_at is not None:
        end_with(items, successor)
    return row


def ended(row: ItemRow, *, by: str, at: float, changed_by: Change, updated_at: str) -> ItemRow:
    """A row in whose place another stands from a moment on."""
    if row.superseded_by is None:
        row = replace(row, own_end=row.valid_until, own_expiry=row.expires_at)
    return replace(row, valid_until=_end_of(row, at), superseded_by=by, changed_by=changed_by, updated_at=updated_at)


def held_again(items: Items, row: ItemRow) -> None:
    """Write that nothing supersedes a row any more: it has the ends that it had before."""
    ends = {"valid_until": row.own_end, "expires_at": row.own_expiry, "own_end": None, "own_expiry": None}
    changed = replace(row, superseded_by=None, changed_by=None, **ends)
    items.rewrite_details(changed)
    if changed.expires_at != row.expires_at:
        end_with(items, changed)


def _end_of(row: ItemRow, at: float) -> float:
    end = at if row.valid_until is None else min(row.valid_until, at)
    return end if row.valid_from is None else max(end, row.valid_from)


def with_pin_of(items: Items, row: ItemRow, before: ItemRow) -> ItemRow:
    """The row, pinned if the one before it was."""
    if before.pinned_at is None or (row.pinned_at is not None and row.pinned_at <= before.pinned_at):
        return row
    pinned = replace(row, pinned_at=before.pinned_at)
    items.rewrite_details(pinned)
    return pinned


def keep_both(items: Items, scope: Scope, operation: KeepBoth) -> None:
    """Note that two items are both true (see `KeepBoth`)."""
    with items.database.writing(scope):
        purge(items.database, scope)  # the text of an expired memory is free
        first, second = operation.memory_id, operation.other_id
        if first == second:
            raise invalid("other_id", second, "it is the same memory", "Name two memories.")
        rows = {row.id: row for row in rows_to_supersede(items, scope, [first, second])}
        for row, other in ((rows[first], rows[second]), (rows[second], rows[first])):
            if row.superseded_by not in (None, other.id):
                reason = f"{row.superseded_by} is in its place"
                raise invalid("memory_id", row.id, reason, "Name two memories that are valid.")
            _hold_beside(items, row, other)


def _hold_beside(items: Items, row: ItemRow, other: ItemRow) -> None:
    """Link a row to another that is true beside it; if the other one is in its place, the row is true again."""
    links = list(dict.fromkeys([*row.linked_ids, other.id]))
    changed = replace(row, links=dump_json(links), updated_at=utc_now().isoformat())
    if row.superseded_by is not None:
        if (same := items.by_hash(row.scope, row.hash)) is not None:
            raise invalid("memory_id", row.id, f"{same.id} says the same", f"Keep both {same.id} and {other.id}.")
        held_again(items, changed)
    else:
        items.rewrite_details(changed)

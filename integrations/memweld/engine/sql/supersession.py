"""Superseding: a stored item takes the place of others, which keep their texts and get an end."""

from __future__ import annotations

from dataclasses import replace

from ...errors import MemoryNotFoundError, invalid
from ...models import MemoryItem
from ...scope import Scope
from ...validation import utc_now
from ..operations import AddItems
from .item_rows import ItemRow, remedy_of_keyed
from .items import Items

__all__ = ["rows_to_supersede", "supersede"]


def rows_to_supersede(items: Items, scope: Scope, operation: AddItems) -> list[ItemRow]:
    """The items whose place new ones take.

    Raises:
        MemoryNotFoundError: The scope does not contain one.
        InvalidInputError: One is a preference, a task's outcome, a record or a source.
    """
    found = items.by_ids(scope, operation.supersedes) if operation.supersedes else {}
    for memory_id in operation.supersedes:
        row = found.get(memory_id)
        if row is None:
            raise MemoryNotFoundError(memory_id)
        if row.kind != "item":
            remedy = "Delete it." if row.kind == "source" else remedy_of_keyed(row)
            raise invalid("supersedes", memory_id, f"it is a {row.kind}, and items alone are superseded", remedy)
    return list(found.values())


def supersede(items: Items, scope: Scope, operation: AddItems, stored: list[MemoryItem]) -> list[MemoryItem]:
    """Put the first stored item in the place of others, in the transaction that stored it.

    Sources of those say the same, and leave with them.

    Returns:
        The stored items.

    Raises:
        InvalidInputError: One of the others says this itself, or has another item in its place.
    """
    if not operation.supersedes or not stored:
        return stored
    others = (item.id for item in stored if item.id not in operation.supersedes)
    memory_id = next(others, stored[0].id)
    moment = operation.valid_from or operation.created_at or utc_now()
    at, updated_at = moment.timestamp(), utc_now().isoformat()
    replaced = rows_to_supersede(items, scope, operation)
    for row in replaced:
        if row.superseded_by == memory_id:
            continue  # sent again
        if row.id == memory_id or row.superseded_by is not None:
            reason = "it says this itself" if row.id == memory_id else f"{row.superseded_by} is in its place already"
            raise invalid("supersedes", row.id, reason, "Name a memory that is valid and says something else.")
        sources = [source for source in items.linked(row) if memory_id not in source.linked_ids]
        for each in items.superseded_by(scope, [row.id]):
            if each.valid_until is None or each.valid_until > at:
                items.rewrite_details(replace(each, valid_until=at))
        for each in (row, *sources):
            end = at if each.valid_until is None else min(each.valid_until, at)
            items.rewrite_details(
                replace(each, valid_until=end, superseded_by=memory_id, changed_by="supersedes", updated_at=updated_at)
            )
    pins = [row.pinned_at for row in replaced if row.pinned_at is not None]
    return _with_pin(items, scope, memory_id, min(pins), stored) if pins else stored


def _with_pin(items: Items, scope: Scope, memory_id: str, at: float, stored: list[MemoryItem]) -> list[MemoryItem]:
    """Pin the item in the place of pinned ones; the stored items as they are then."""
    row = items.get(scope, memory_id)
    if row is None or row.pinned_at is not None:
        return stored
    row = replace(row, pinned_at=at)
    items.rewrite_details(row)
    return [row.item() if item.id == memory_id else item for item in stored]

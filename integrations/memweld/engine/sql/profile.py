"""Pins, counts of recalls, and the items of a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...errors import MemoryNotFoundError, invalid
from ...scope import Scope
from ..operations import PinItem, ProfileItems, ReadProfile
from . import owners
from .item_rows import ItemRow
from .items import Items
from .selection import TRUSTED
from .ttl import now
from .validity import Validity

__all__ = ["count_recalls", "pin", "read_profile"]

# So many of the items that were written last are looked at, and so many of those that were recalled most.
_LATEST, _RECALLED = 200, 200
# As in the index on keys.
_KEYED = "items.key IS NOT NULL AND items.superseded_by IS NULL"
_OWNERS = "owner IN (SELECT id FROM owners WHERE id = ? OR root = ?)"


def pin(items: Items, scope: Scope, operation: PinItem) -> ItemRow:
    """Pin an item, or take its pin away; the item.

    Raises:
        MemoryNotFoundError: The scope does not contain it.
        InvalidInputError: It is a source, or another item is in its place.
    """
    memory_id, is_pinned = operation.memory_id, operation.is_pinned
    with items.database.writing(scope):
        row = items.get(scope, memory_id)
        if row is None:
            raise MemoryNotFoundError(memory_id)
        if is_pinned and row.kind == "source":
            raise invalid("memory_id", memory_id, "it is a source, which no profile shows", "Pin one of its facts.")
        if is_pinned and row.superseded_by is not None:
            raise invalid("memory_id", memory_id, "another memory is in its place", f"Pin {row.superseded_by}.")
        if is_pinned != (row.pinned_at is not None):
            row = replace(row, pinned_at=now() if is_pinned else None)
            items.rewrite_details(row)
    return row


def count_recalls(items: Items, scope: Scope, counts: Mapping[str, int]) -> int:
    """Add to the counts of items, of those that the scope contains; how many."""
    with items.database.writing(scope) as connection:
        owner = owners.find(connection, scope)
        if owner is None:
            return 0
        visible, variable = owners.visible_to(owner)
        sql = (
            f"INSERT INTO recalls (item, owner, times, recalled_at) SELECT seq, owner, ?, ? FROM items "
            f"WHERE id = ? AND root = ? AND {visible} ON CONFLICT (item) DO UPDATE "
            "SET times = recalls.times + excluded.times, recalled_at = excluded.recalled_at"
        )
        # In one order, so that two processes do not wait for each other.
        rows = [(times, now(), memory_id, owner.root, variable) for memory_id, times in sorted(counts.items())]
        return sum(connection.execute(sql, row).rowcount for row in rows)


def read_profile(items: Items, scope: Scope, operation: ReadProfile) -> ProfileItems:
    """The items of a profile (see `ReadProfile`), in one state of the memory."""
    with items.database.reading(scope) as connection:
        owner = owners.find(connection, scope)
        if owner is None:
            return ProfileItems()
        visible, variable = owners.visible_to(owner)
        valid, moments = Validity(now()).condition()
        since, limit = operation.changed_since.timestamp(), operation.limit

        def read(condition: str, variables: Sequence[Any], order: str, **how: bool) -> list[ItemRow]:
            sql = f"{valid} AND kind <> 'source' AND {condition} ORDER BY {order} LIMIT ?"
            return items.select(scope, sql, [*moments, *variables, limit], **how)

        # An agent has few of the user's rows: the plus keeps SQLite from looking for them in the order of all.
        root = "root" if owner.id == owner.root else "+root"
        latest = f"items.seq IN (SELECT seq FROM items WHERE {root} = ? AND {visible} ORDER BY stamp DESC LIMIT ?)"
        most = f"items.seq IN (SELECT item FROM recalls WHERE {_OWNERS} AND times > 1 ORDER BY times DESC LIMIT ?)"
        times = "(SELECT times FROM recalls WHERE item = items.seq)"
        changed = "seconds_of(items.updated_at)"
        lists = {
            "pinned": read("pinned_at IS NOT NULL AND items.root = ?", [owner.root], "pinned_at DESC, items.seq DESC"),
            "preferences": read(f"kind = 'preference' AND {_KEYED}", [], f"{changed} DESC, items.seq DESC", exact=True),
            "changed": read(
                f"kind IN ('item', 'task') AND {changed} >= ? AND {latest} AND {TRUSTED}",
                [since, owner.root, variable, _LATEST],
                f"{changed} DESC, items.seq DESC",
                few=True,
            ),
            "recalled": read(
                f"{most} AND {TRUSTED}", [owner.id, owner.id, _RECALLED], f"{times} DESC, items.seq DESC", few=True
            ),
        }
        before = _texts_before(items, scope, {row.id for rows in lists.values() for row in rows}, since)
    return ProfileItems(**{name: [row.item() for row in rows] for name, rows in lists.items()}, before=before)


def _texts_before(items: Items, scope: Scope, ids: set[str], since: float) -> dict[str, str]:
    """The text in whose place each of the items stands, of those that took it since a time."""
    latest: dict[str, ItemRow] = {}
    for row in items.superseded_by(scope, sorted(ids)):
        successor, end = row.superseded_by, row.valid_until or 0
        # What was merged said the same.
        is_shown = row.kind != "source" and row.changed_by != "consolidate" and row.is_from("trusted")
        if successor in ids and is_shown and end >= since:
            known = latest.get(successor)
            if known is None or end >= (known.valid_until or 0):
                latest[successor] = row
    return {successor: row.text for successor, row in latest.items()}

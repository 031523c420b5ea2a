"""Versions: the chain of items in each other's place, and the earlier texts of an item that was changed.

A change of an item's text stores the text before as a row of its own, which the item supersedes. So an earlier text has
an end, is left out of lists and searches, and goes with its item, as every superseded item does.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Literal

from ...scope import Scope
from . import owners
from .item_rows import ItemRow
from .items import Items
from .schema import earlier_text

__all__ = ["MAX_EARLIER", "end_with", "keep_earlier", "versions_of"]

MAX_EARLIER = 100
"""So many earlier texts of an item are kept at most, the latest."""
# Ten at once: after a deletion each index in RAM has to find the missing rows.
_LEFT = 90
# The plus keeps SQLite from an index with more rows of the owner.
_EARLIER = f"FROM items WHERE superseded_by = ? AND +owner = ? AND {earlier_text()}"


def keep_earlier(items: Items, before: ItemRow, changed_by: Literal["update", "set"], at: float) -> ItemRow:
    """Store what a row says as an earlier text, in the transaction that changes the row.

    Args:
        items: The table.
        before: The row as it is stored.
        changed_by: What changes it.
        at: The time of the change, in seconds since 1970.

    Returns:
        The row, valid from now on. A row that is not valid now keeps its validity, and its earlier text never has any.
    """
    is_valid = before.is_valid(at)
    earlier = replace(
        before,
        id=str(uuid.uuid4()),
        links=None,
        pinned_at=None,
        superseded_by=before.id,
        changed_by=changed_by,
        valid_from=before.valid_from if is_valid else at,
        valid_until=at,
        own_expiry=before.expires_at,
    )
    items.insert_earlier(earlier)
    _drop_oldest(items, before)
    return replace(before, valid_from=at) if is_valid else before


def end_with(items: Items, row: ItemRow) -> None:
    """Have what an item supersedes expire when it does, or at an earlier end of its own; its sources not later."""
    behind: dict[str | None, list[ItemRow]] = {}
    for each in items.superseded_by(row.scope, [row.id]):
        behind.setdefault(each.superseded_by, []).append(each)
    waiting = [(each, row.expires_at) for each in behind.pop(row.id, ())]
    while waiting:
        each, end = waiting.pop()
        end = min((moment for moment in (each.own_expiry, end) if moment is not None), default=None)
        if end != each.expires_at:
            items.rewrite_details(replace(each, expires_at=end))
        waiting += [(other, end) for other in behind.pop(each.id, ())]
    if row.expires_at is not None and row.kind == "item":
        for source in items.linked(row):
            if source.expires_at is None or source.expires_at > row.expires_at:
                items.rewrite_details(replace(source, expires_at=row.expires_at))


def _drop_oldest(items: Items, row: ItemRow) -> None:
    with items.database.writing(row.scope) as connection:
        owner = owners.get_or_create(connection, row.scope)
        variables = (row.id, owner.id)
        (count,) = connection.execute(f"SELECT count(*) {_EARLIER}", variables).fetchone()
        if count > MAX_EARLIER:
            connection.execute(
                f"DELETE {_EARLIER} AND seq <= (SELECT seq {_EARLIER} ORDER BY seq DESC LIMIT 1 OFFSET {_LEFT})",
                (*variables, *variables),
            )
            owners.note_removal(connection, owner.id)


def versions_of(items: Items, scope: Scope, memory_id: str) -> list[ItemRow]:
    """The rows of the scope that stood or stand in each other's place with this one, oldest first; empty: no such row.

    Sources that were superseded with their facts are left out.
    """
    last = items.get(scope, memory_id)
    if last is None:
        return []
    seen = {last.id}
    while last.superseded_by is not None and last.superseded_by not in seen:
        seen.add(last.superseded_by)
        following = items.get(scope, last.superseded_by)
        if following is None:
            break
        last = following
    before: dict[str | None, list[ItemRow]] = {}
    for row in items.superseded_by(scope, [last.id]):
        if row.id != last.id and (row.kind != "source" or row.changed_by == "update"):
            before.setdefault(row.superseded_by, []).append(row)
    return _in_order(last, before)


def _in_order(last: ItemRow, before: dict[str | None, list[ItemRow]]) -> list[ItemRow]:
    """A row behind those that it supersedes, each of them behind its own. Their numbers tell no order in time."""
    newest_first: list[ItemRow] = []
    waiting = [last]
    while waiting:
        row = waiting.pop()
        newest_first.append(row)
        waiting += sorted(before.pop(row.id, ()), key=lambda each: (each.valid_until or 0.0, each.seq))
    return newest_first[::-1]

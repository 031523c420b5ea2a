"""Operations on items that need no embedder: read, list, delete, clear.

To forget must always be possible, so nothing here loads an embedder or mem0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...errors import MemoryNotFoundError
from ...models import Kind, MemoryItem
from ...scope import Scope
from ..operations import (
    ClearItems,
    DeleteItem,
    DeleteItems,
    DeleteKeyed,
    DeleteMatching,
    GetItem,
    GetKeyed,
    ItemPage,
    ItemVersions,
    ListItems,
)
from .cursors import Cursors
from .database import Database
from .item_rows import FACT_KINDS, ItemRow
from .items import Items
from .mem0_entities import unlink, unlink_all
from .occurrences import without_message, without_messages, without_session
from .selection import Selection, Window
from .state import StateStore
from .supersession import held_again
from .ttl import purge
from .versions import versions_of

__all__ = ["ItemOperations"]

_BATCH = 500
_FORGOTTEN: tuple[Kind, ...] = ("item", "source", "preference", "task")
"""The kinds that a deletion by conditions takes where it names none: all but records, which belong to state."""


class ItemOperations:
    """Items of all scopes, without their vectors. The operations' docstrings say what each method does.

    Args:
        database: The tables.
        items: Their rows.
        values: State: the value of a record leaves with it.
        cursors: Makes and reads page cursors.
    """

    def __init__(self, database: Database, items: Items, values: StateStore, cursors: Cursors) -> None:
        self._database = database
        self._items = items
        self._values = values
        self._cursors = cursors

    def get(self, scope: Scope, operation: GetItem) -> MemoryItem:
        """The item with an id (see `GetItem`)."""
        row = self._items.get(scope, operation.memory_id)
        if row is None:
            raise MemoryNotFoundError(operation.memory_id)
        return row.item()

    def get_keyed(self, scope: Scope, operation: GetKeyed) -> MemoryItem | None:
        """The item under a key, or None (see `GetKeyed`)."""
        row = self._items.by_key(scope, operation.kind, operation.key)
        return None if row is None else row.item()

    def page(self, scope: Scope, operation: ListItems) -> ItemPage:
        """A page of items (see `ListItems`)."""
        limit = operation.limit
        after = 0 if operation.cursor is None else self._place(scope, operation.cursor)
        # One more than the page takes tells whether another page follows.
        rows = self._items.page(
            scope,
            limit=limit + 1,
            after=after,
            selection=replace(Selection.of(operation, operation.kinds or FACT_KINDS), pinned=operation.pinned),
            newest_first=operation.newest_first,
        )
        following = self._cursors.seal(scope, "items", rows[limit - 1].seq) if len(rows) > limit else None
        return ItemPage(items=[row.item() for row in rows[:limit]], next=following)

    def versions(self, scope: Scope, operation: ItemVersions) -> list[MemoryItem]:
        """The chain of an item, oldest first (see `ItemVersions`)."""
        with self._database.reading(scope):
            rows = versions_of(self._items, scope, operation.memory_id)
        if not rows:
            raise MemoryNotFoundError(operation.memory_id)
        return [row.item() for row in rows]

    def _place(self, scope: Scope, cursor: str) -> int:
        """The place of a cursor, or of an item that the scope still contains."""
        opened = self._cursors.open(scope, "items", cursor)
        if opened is not None:
            return opened[0]
        row = self._items.get(scope, cursor)
        if row is None:
            raise MemoryNotFoundError(cursor)
        return row.seq

    def delete(self, scope: Scope, operation: DeleteItem) -> None:
        """Delete an item (see `DeleteItem`)."""
        if not self._delete(scope, [operation.memory_id]):
            raise MemoryNotFoundError(operation.memory_id)

    def delete_many(self, scope: Scope, operation: DeleteItems) -> int:
        """Delete items, all or none; how many (see `DeleteItems`)."""
        return self._delete(scope, operation.memory_ids)

    def delete_keyed(self, scope: Scope, operation: DeleteKeyed) -> bool:
        """Delete the item under a key; whether there was one (see `DeleteKeyed`)."""
        with self._database.writing(scope):
            row = self._items.by_key(scope, operation.kind, operation.key)
            return row is not None and self._delete(scope, [row.id]) > 0

    def delete_matching(self, scope: Scope, operation: DeleteMatching) -> int:
        """Delete items by conditions; how many (see `DeleteMatching`)."""
        selection = Selection(
            kinds=operation.kinds or _FORGOTTEN,
            sources=operation.sources,
            filters=operation.filters,
            session_id=operation.session_id,
            window=Window.of(operation.after, operation.before),
        )
        counted = operation.kinds or FACT_KINDS
        with self._database.writing(scope):
            found = self._items.identities(scope, selection)
            ids = {identity.id for identity in found}
            for start in range(0, len(found), _BATCH):
                self._delete(scope, [identity.id for identity in found[start : start + _BATCH]])
        # An item counts once with all that it supersedes.
        return sum(each.kind in counted and each.superseded_by not in ids for each in found)

    def forget_session(self, scope: Scope, session_id: str) -> None:
        """Forget what a session says: items that it alone says, and its occurrences of others."""
        with self._database.writing(scope):
            rows = self._items.of_session(scope, session_id)
            self._forget(scope, rows, [without_session(row, session_id) for row in rows])

    def _forget(self, scope: Scope, rows: Sequence[ItemRow], left: Sequence[ItemRow | None]) -> None:
        """Replace rows by their rest; those without one leave, and what they supersede of others holds again."""
        purge(self._database, scope)  # the texts of expired memories are free
        for row in left:
            if row is not None:
                self._items.rewrite_details(row)
        gone = {
            row.id: row for row in self._with_linked(row for row, rest in zip(rows, left, strict=True) if rest is None)
        }
        self._hold_again(scope, gone)
        self._delete(scope, list(gone))

    def _with_linked(self, rows: Iterable[ItemRow]) -> list[ItemRow]:
        """The rows with those that go with them."""
        return [each for row in rows for each in (row, *self._items.linked(row))]

    def _hold_again(self, scope: Scope, gone: Mapping[str, ItemRow]) -> None:
        """Let what stays not leave with the rows in its place: it holds again, or the next of the chain is there."""
        for row in self._items.superseded_by(scope, list(gone)):
            if row.id in gone or row.superseded_by not in gone or row.changed_by == "update":
                continue
            successor: str | None = row.superseded_by
            while successor is not None and successor in gone:
                successor = gone[successor].superseded_by
            if successor is not None:
                self._items.rewrite_details(replace(row, superseded_by=successor))
            elif self._items.by_hash(row.scope, row.hash, row.kind) is None:
                held_again(self._items, row)

    def _delete(self, scope: Scope, memory_ids: Sequence[str]) -> int:
        """Delete items with their values and links, in one transaction; how many of them the scope had."""
        with self._database.writing(scope) as connection:
            purge(self._database, scope)
            rows = list(self._items.by_ids(scope, memory_ids).values())
            gone = self._with_linked(rows)
            gone += self._with_linked(self._items.superseded_by(scope, [row.id for row in gone]))
            for row in gone:
                if self._items.remove(scope, row.id):
                    unlink(connection, scope, row.id)
                self._values.delete_record(connection, row.scope, row.id)
        return len(rows)

    def clear(self, scope: Scope, _operation: ClearItems) -> int:
        """Delete all items but records; how many (see `ClearItems`)."""
        with self._database.writing(scope) as connection:
            purge(self._database, scope)
            unlink_all(connection, scope)
            return self._items.clear(scope)

    def forget_message(self, scope: Scope, session_id: str, message_id: str) -> None:
        """Forget what a message said before it was edited, and what was learnt from it."""
        with self._database.writing(scope):
            rows = self._items.of_message(scope, session_id, message_id)
            left = [without_message(row, session_id, message_id) for row in rows]
            for place, row in enumerate(rows):
                if left[place] is None and row.extraction == "extracted" and row.linked_ids:
                    # It goes with its sources, of which others may say it, too.
                    left[place] = without_messages(row)
            self._forget(scope, rows, left)

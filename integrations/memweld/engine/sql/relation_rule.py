"""Facts that change by themselves: a new value of a relation supersedes the old one, or is named in conflict with it.

A person has one home, one employer, one phone number at a time (``statements/relations.py``). Where a text leaves a
doubt, nothing is superseded, and the new item names the others in ``conflicts``. A text without a relation costs no
statement. An LLM that extracts facts may say which of those that it was shown a new one replaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from ...models import Conflict, MemoryItem, Source
from ...scope import Scope
from ...validation import utc_now
from ..operations import AddItems, ListConflicts
from ..statements.relations import Relation, contradict, may_conflict
from . import owners
from .item_rows import SEVERAL, ItemRow, text_hash
from .items import Items
from .supersession import end_row, supersede, with_pin_of
from .ttl import now

__all__ = ["list_conflicts", "settle", "settle_imported"]

_MAX_CONFLICTS = 10
_SPEAKING: tuple[Source, ...] = ("user", "import", "agent")
_READ_ROWS = 25
_LISTED_ROWS = 1_000
_LISTED_RELATIONS = 500


def settle(
    items: Items,
    scope: Scope,
    operation: AddItems,
    stored: Sequence[ItemRow],
    replaced: Mapping[str, Sequence[str]] | None = None,
) -> list[MemoryItem]:
    """Put stored items in the place of those that the caller names, or that they contradict.

    Runs in the transaction that stored them.

    Args:
        items: All rows.
        scope: The scope that stores the items.
        operation: What the caller wants.
        stored: The items.
        replaced: By the id of an item the ids of those that it replaces, as an LLM says.

    Returns:
        The stored items, each once.

    Raises:
        InvalidInputError: The caller names an item that cannot be superseded.
    """
    rows = supersede(items, scope, operation, list({row.id: row for row in stored}.values()))
    if not any(replaced.values() if replaced else ()) and all(row.relation is None for row in rows):
        return [row.item() for row in rows]
    said_at = {text_hash(draft.text): draft.created_at for draft in operation.drafts}
    answer: list[MemoryItem] = []
    for place, row in enumerate(rows):
        # Facts of one answer of an LLM are in no order; messages are.
        beside = {each.id for each in (rows if operation.infer or operation.is_extracted else rows[place:])}
        is_on = operation.supersedes is None and _may_replace(row)
        is_last = operation.created_at is None and operation.valid_from is not None
        at = operation.valid_from or said_at.get(row.hash) or operation.created_at or utc_now()
        rule = _Rule(items, scope, row, at.timestamp(), beside, is_on=is_on, is_last=is_last)
        if replaced and rule.is_on:
            rule.replace(replaced.get(row.id, ()))
        answer.append(rule.settle())
    return answer


def settle_imported(items: Items, scope: Scope, memory_ids: Sequence[str]) -> None:
    """Let imported facts take each other's place in the order of their times, and that of stored ones."""
    rows = [row for row in items.by_ids(scope, memory_ids).values() if row.relation is not None]
    for row in sorted(rows, key=lambda each: (each.begins_at, each.seq)):
        if row.superseded_by is None and _may_replace(row):
            _Rule(items, scope, row, row.begins_at, {row.id}, is_on=True).settle()


@dataclass(slots=True)
class _Rule:
    """One stored item among those with the same relation.

    Attributes:
        items: All rows.
        scope: The scope that stores the item.
        row: The item.
        at: When it became true (seconds since 1970).
        beside: The ids of rows that are neither before nor behind it.
        is_on: Whether it may take the place of others.
        is_last: Whether the user says only now since when it is true: then it follows all without a beginning.
    """

    items: Items
    scope: Scope
    row: ItemRow
    at: float
    beside: set[str]
    is_on: bool
    is_last: bool = False

    def _follows(self, other: ItemRow) -> bool:
        """Whether the item is the later one."""
        return other.begins_at <= (now() if self.is_last and other.valid_from is None else self.at)

    def replace(self, memory_ids: Sequence[str]) -> None:
        """Supersede valid facts that an LLM was shown; whatever else it names stays."""
        for other in self.items.by_ids(self.scope, memory_ids).values():
            is_free = other.kind == "item" and other.superseded_by is None and other.id not in self.beside
            if is_free and self._follows(other) and not _is_kept(other, self.row):
                at = max(self.at, other.begins_at)
                end_row(self.items, self.scope, other, by=self.row.id, at=at, changed_by="llm")
                self.row = with_pin_of(self.items, self.row, other)

    def settle(self) -> MemoryItem:
        """Supersede what it contradicts, or let what came later supersede it; the item with its conflicts."""
        if self.row.relation is None:
            return self.row.item()
        row, stated = self.row, self.row.relations()
        keys = [each.key for each in stated]
        others = _with_relations(self.items, self.scope, keys, self.at)
        others = [each for each in others if each.id != row.id and not _is_kept(each, row) and _has_one(each, keys)]
        is_on = self.is_on and not _keeps_two(others)
        earlier, later, conflicts = list[ItemRow](), list[ItemRow](), list[ItemRow]()
        for other in others:
            theirs = other.relations()
            is_movable = is_on and other.id not in self.beside
            follows = self._follows(other)
            if is_movable and follows and _takes_place(stated, theirs):
                earlier.append(other)
            elif is_movable and not follows and _speaks(other) and _takes_place(theirs, stated):
                later.append(other)
            elif any(may_conflict(one, two) for one in stated for two in theirs):
                conflicts.append(other)
        same = self._imported_before(others)
        if same is not None and not self.items.superseded_by(self.scope, [row.id]):
            self.items.remove(row.scope, row.id)
            return same.item()
        for other in earlier:
            # What a caller put in its place stays there.
            follows = other.superseded_by is None or other.superseded_by in {each.id for each in later}
            by = row.id if follows else other.superseded_by or row.id
            at = max(self.at, other.begins_at)
            end_row(self.items, self.scope, other, by=by, at=at, changed_by="rule")
            row = with_pin_of(self.items, row, other)
        if later:
            successor = min(later, key=lambda each: each.begins_at)
            at = successor.begins_at
            return end_row(self.items, self.scope, row, by=successor.id, at=at, changed_by="rule").item()
        moment = max(now(), self.at)
        valid = [each.id for each in conflicts if each.superseded_by is None and each.is_valid(moment)]
        return replace(row.item(), conflicts=tuple(valid[:_MAX_CONFLICTS]))

    def _imported_before(self, others: Sequence[ItemRow]) -> ItemRow | None:
        """The superseded row of the same text and time: an import that runs again adds nothing."""
        row = self.row
        return next(
            (
                each
                for each in others
                if each.superseded_by is not None
                and (each.hash, each.scope, each.begins_at) == (row.hash, row.scope, row.begins_at)
            ),
            None,
        )


def _may_replace(row: ItemRow) -> bool:
    """Whether a row may take the place of others for good.

    One that is true for a time only does not, and a document's "I" may be another person.
    """
    return row.valid_until is None and row.expires_at is None and _speaks(row)


def _speaks(row: ItemRow) -> bool:
    return row.source in _SPEAKING


def _takes_place(new: Sequence[Relation], old: Sequence[Relation]) -> bool:
    return any(contradict(one, two) for one in old for two in new)


def _has_one(row: ItemRow, keys: Sequence[str]) -> bool:
    """Whether a row states one of these relations."""
    return row.relation != SEVERAL or any(each.key in keys for each in row.relations())


def _is_kept(one: ItemRow, other: ItemRow) -> bool:
    """Whether the user said that both are true."""
    return one.id in other.linked_ids and other.id in one.linked_ids


def _keeps_two(rows: Sequence[ItemRow]) -> bool:
    """Whether the user keeps two values of the relation: then nothing tells which of them changes."""
    return any(_is_kept(one, other) for one, other in combinations(rows, 2))


def list_conflicts(items: Items, scope: Scope, operation: ListConflicts) -> list[Conflict]:
    """Pairs of valid items that may contradict each other (see `ListConflicts`)."""
    by_key: dict[str, list[ItemRow]] = {}
    with items.database.reading(scope):
        several = _with_relations(items, scope, [SEVERAL], now(), limit=_LISTED_ROWS)
        keys = dict.fromkeys(each.key for row in several for each in row.relations())
        keys = [*_shared_relations(items, scope), *keys][:_LISTED_RELATIONS]
        for row in _with_relations(items, scope, keys, now(), limit=_LISTED_ROWS):
            if row.superseded_by is None and row.is_valid(now()):
                for key in dict.fromkeys(each.key for each in row.relations()):
                    by_key.setdefault(key, []).append(row)
    found: list[Conflict] = []
    listed: set[tuple[str, str]] = set()
    for rows in by_key.values():
        for newer, older in combinations(rows, 2):
            if len(found) == operation.limit:
                return found
            pairs = ((one, two) for one in newer.relations() for two in older.relations())
            is_new = (newer.id, older.id) not in listed and not _is_kept(newer, older)
            if is_new and any(may_conflict(*pair) for pair in pairs):
                listed.add((newer.id, older.id))
                found.append(Conflict(newer=newer.item(), older=older.item()))
    return found


def _with_relations(
    items: Items, scope: Scope, relations: Sequence[str], at: float, *, limit: int = _READ_ROWS
) -> list[ItemRow]:
    """The free facts of the scope that state one of the relations and are not over at a moment, newest first.

    Those that state several come with them, if there is room.
    """
    with items.database.reading(scope) as connection:
        owner = owners.find(connection, scope)
    if owner is None or not relations:
        return []
    relations = [*relations, SEVERAL]
    marks = ", ".join("?" * len(relations))
    condition = (
        f" AND items.root = ? AND relation IN ({marks}) AND kind = 'item' "
        "AND (valid_until IS NULL OR valid_until > ?) ORDER BY relation = ?, +items.seq DESC LIMIT ?"
    )
    rows = items.select(scope, condition, [owner.root, *relations, at, SEVERAL, limit], few=True)
    return sorted(rows, key=lambda row: row.seq, reverse=True)


def _shared_relations(items: Items, scope: Scope) -> list[str]:
    """The relations that several free facts of the scope state."""
    with items.database.reading(scope) as connection:
        owner = owners.find(connection, scope)
        if owner is None:
            return []
        visible, variable = owners.visible_to(owner)
        rows = connection.execute(
            f"SELECT relation FROM items WHERE root = ? AND +{visible} AND relation IS NOT NULL AND kind = 'item' "
            "AND superseded_by IS NULL GROUP BY relation HAVING count(*) > 1 ORDER BY relation LIMIT ?",
            (owner.root, variable, _LISTED_RELATIONS),
        )
        return [row[0] for row in rows]

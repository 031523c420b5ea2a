"""State searched by meaning: the values that fit are chosen first, and then their texts are ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...models import ValueHit
from ...scope import Scope
from ...validation import dump_json
from ..filters import value_filter
from ..operations import FindValues, ReadValues, SearchValues
from . import owners
from .damage import read_value
from .database import Connection, Database
from .item_rows import ItemRow
from .items import Items
from .state_queries import StateQueries, namespace_ranges
from .ttl import ALIVE, now

__all__ = ["Rank", "StateSearch"]

Rank: TypeAlias = Callable[[Scope, str, Sequence[int], int], list[tuple[ItemRow, float]]]
"""Ranks the items at these places for a query: at most so many, best first, each with its score."""


class StateSearch:
    """Searches the state of all scopes."""

    def __init__(self, database: Database, queries: StateQueries) -> None:
        self._database = database
        self._queries = queries
        self._items = Items(database)
        self._between = database.dialect.key_between

    def run(self, scope: Scope, operation: SearchValues, rank: Rank) -> list[ValueHit]:
        """Choose, rank and read the values (see `SearchValues`)."""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            choose = self._fitting_texts if operation.where else self._texts
            chosen, are_all = choose(connection, owner, operation)
        count = operation.offset + operation.limit
        ranked = rank(scope, operation.query, chosen, count)[operation.offset :] if chosen else []
        found = [row.item().metadata for row, _ in ranked]
        places = [(fields["namespace"], fields["key"]) for fields in found]
        entries = self._queries.read(scope, ReadValues(places=places, refresh=operation.refresh))
        # A value may be deleted while its text is ranked.
        hits = [ValueHit(entry, score) for entry, (_, score) in zip(entries, ranked, strict=True) if entry is not None]
        first, last = (max(end - len(chosen), 0) for end in (operation.offset, count))
        if first == last or are_all:
            return hits
        others = FindValues(
            under=operation.under,
            where=operation.where,
            offset=first,
            limit=last - first,
            refresh=operation.refresh,
        )
        return hits + [ValueHit(entry, None) for entry in self._queries.find(scope, others, without_text=True)]

    def _texts(self, connection: Connection, owner: owners.Owner, operation: SearchValues) -> tuple[list[int], bool]:
        """The places of all texts under the namespace. Whether there are values without one is not known."""
        # The key of a record begins with its namespace, and has an index.
        start = dump_json([operation.under])[:-2]
        begins = [start + '",', start + "/"] if operation.under else [start]
        expired = connection.execute(
            "SELECT items.seq FROM state CROSS JOIN items WHERE items.id = state.record AND items.root = ? "
            "AND state.owner = ? AND state.expires_at <= ?",
            (owner.root, owner.id, now()),
        )
        gone = {row[0] for row in expired}
        places: list[int] = []
        for begin in begins:
            rows = connection.execute(
                f"SELECT seq FROM items WHERE owner = ? AND kind = 'record' AND {self._between}",
                (owner.id, begin, begin[:-1] + chr(ord(begin[-1]) + 1)),
            )
            places += [row[0] for row in rows if row[0] not in gone]
        return places, False

    def _fitting_texts(
        self, connection: Connection, owner: owners.Owner, operation: SearchValues
    ) -> tuple[list[int], bool]:
        """The places of the texts of those values that meet the conditions, and whether these are all such values."""
        records: list[str | None] = []
        fits = value_filter(operation.where or {})
        for first, end in namespace_ranges(operation.under):
            rows = connection.execute(
                "SELECT record, value, namespace, key FROM state "
                f"WHERE owner = ? AND namespace >= ? AND namespace < ? AND {ALIVE}",
                (owner.id, first, end, now()),
            )
            records += [row[0] for row in rows if fits(read_value(*row[1:]))]
        ids = [record for record in records if record is not None]
        return self._items.places(connection, owner.root, ids), len(ids) == len(records)

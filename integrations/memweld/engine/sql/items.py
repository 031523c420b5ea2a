"""Memory items as rows: written, found, paged and removed, always by owner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import starmap
from operator import attrgetter
from typing import Any, NamedTuple

from ...models import Kind
from ...scope import Scope
from ...validation import dump_json
from . import owners
from .candidates import RowFilter
from .database import Connection, Database
from .item_rows import ItemRow
from .occurrences import merged
from .schema import earlier_text
from .selection import ALL_ROWS, Selection
from .ttl import EXPIRED_ITEM

__all__ = ["Identity", "Items"]


_NAMES = tuple(field.name for field in fields(ItemRow))[1:-1]
_COLUMNS = ", ".join(_NAMES)
_WRITTEN = len(_NAMES)
_SELECTED = ", ".join(f"items.{column}" for column in _NAMES)
_INSERT = (
    f"INSERT INTO items (owner, root, stamp, vector, terms, {_COLUMNS}) "
    f"VALUES ({', '.join('?' * (5 + _WRITTEN))}) ON CONFLICT DO NOTHING"
)
# With the vector and the terms of another row.
_INSERT_EARLIER = (
    f"INSERT INTO items (owner, root, stamp, vector, terms, {_COLUMNS}) VALUES (?, ?, ?, "
    f"{', '.join(f'(SELECT {column} FROM items WHERE id = ? AND root = ?)' for column in ('vector', 'terms'))}, "
    f"{', '.join('?' * _WRITTEN)})"
)
# The row of an owner with an id. The root takes part, because its index has no owner.
_OWN = "id = ? AND root = ? AND owner = ?"
_REWRITE = (
    "UPDATE items SET stamp = ?, vector = coalesce(?, vector), terms = ?, "
    f"{', '.join(f'{name} = ?' for name in _NAMES[1:])} WHERE {_OWN}"
)
_REWRITE_RECORD = (
    f"UPDATE items SET stamp = ?, vector = ?, terms = ?, text = ?, hash = ?, updated_at = ?, source = ? WHERE {_OWN}"
)
_DETAILS = (
    "session_id", "message_id", "occurrences", "links", "metadata", "extraction", "extraction_error", "valid_from",
    "valid_until", "superseded_by", "changed_by", "source", "expires_at", "pinned_at", "relation", "own_end",
    "own_expiry", "created_at", "updated_at",
)  # fmt: skip
_REWRITE_DETAILS = f"UPDATE items SET stamp = ?, {', '.join(f'{name} = ?' for name in _DETAILS)} WHERE {_OWN}"
_values = attrgetter(*_NAMES)
_record_values = attrgetter("text", "hash", "updated_at", "source")
# SQLite's default limit of variables in a statement was 999 before 3.32.
_CHUNK = 900


def _packed(terms: bytes | None) -> bytearray | None:
    # Postgres takes bytes for vectors.
    return None if terms is None else bytearray(terms)


def _row(values: Sequence[Any], scope: Scope) -> ItemRow:
    return ItemRow(scope, *values[: _WRITTEN + 1])


class Identity(NamedTuple):
    """The columns of a row that tell it from others."""

    seq: int
    id: str
    kind: Kind
    superseded_by: str | None


class Items:
    """The memory items of all scopes. Every method looks at nothing but the rows that the scope contains."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._between = database.dialect.key_between

    def insert(self, row: ItemRow, vector: bytes, terms: bytes | None = None) -> bool:
        """Store a row unless the owner has its key, or an equal text without a key; whether it was stored.

        Args:
            row: The new contents.
            vector: Its vector.
            terms: The terms of its text (``search.tokenizer.pack_terms``); None: they are made whenever it is read.
        """
        with self.database.writing(row.scope) as connection:
            owner, stamp = owners.bump_version(connection, row.scope)
            cursor = connection.execute(
                _INSERT,
                (owner.id, owner.root, stamp, vector, _packed(terms), *_values(row)),
            )
            return cursor.rowcount > 0

    def insert_earlier(self, row: ItemRow) -> None:
        """Store an earlier text of the row that supersedes it, with the vector and the terms which that has still."""
        with self.database.writing(row.scope) as connection:
            owner, stamp = owners.bump_version(connection, row.scope)
            current = (row.superseded_by, owner.root)
            connection.execute(_INSERT_EARLIER, (owner.id, owner.root, stamp, *current, *current, *_values(row)))

    def insert_all(self, scope: Scope, rows: Sequence[tuple[ItemRow, bytes, bytes]]) -> None:
        """Store new rows of one scope, each with its vector and terms, as one version of the memory."""
        if not rows:
            return
        with self.database.writing(scope) as connection:
            owner, stamp = owners.bump_version(connection, scope)
            connection.executemany(
                _INSERT,
                [(owner.id, owner.root, stamp, vector, _packed(terms), *_values(row)) for row, vector, terms in rows],
            )

    def rewrite_records(self, scope: Scope, rows: Sequence[tuple[ItemRow, bytes, bytes]]) -> None:
        """Replace the texts of records of one scope, each with its vector and terms; they keep when they were made."""
        if not rows:
            return
        with self.database.writing(scope) as connection:
            owner, stamp = owners.bump_version(connection, scope)
            connection.executemany(
                _REWRITE_RECORD,
                [
                    (stamp, vector, _packed(terms), *_record_values(row), row.id, owner.root, owner.id)
                    for row, vector, terms in rows
                ],
            )

    def rewrite(self, row: ItemRow, vector: bytes | None, terms: bytes | None = None) -> None:
        """Replace what the row with this id says; its owner, its id and its place in the order stay."""
        with self.database.writing(row.scope) as connection:
            owner, stamp = owners.bump_version(connection, row.scope)
            connection.execute(
                _REWRITE, (stamp, vector, _packed(terms), *_values(row)[1:], row.id, owner.root, owner.id)
            )

    def merge(self, row: ItemRow, *, is_dated: bool = False) -> ItemRow | None:
        """Add session, message, metadata, links and times of a row to the stored one with an equal text (see `merged`).

        Args:
            row: A free row, which is not stored itself.
            is_dated: Whether a caller gave its time.

        Returns:
            The stored row as it is now; None if the owner has no such text.
        """
        with self.database.writing(row.scope):
            stored = self.by_hash(row.scope, row.hash, row.kind)
            changed = None if stored is None else merged(stored, row, is_dated=is_dated)
            if changed is not None and changed is not stored:
                self.rewrite_details(changed)
                self._end_earlier(changed)
        return changed

    def _end_earlier(self, row: ItemRow) -> None:
        """End the earlier texts of a row that is over before they were changed."""
        end = row.valid_until
        for each in self.superseded_by(row.scope, [row.id]) if end is not None else ():
            if each.changed_by == "update" and end is not None and (each.valid_until or 0.0) > end:
                self.rewrite_details(replace(each, valid_until=max(end, each.valid_from or end)))

    def rewrite_details(self, row: ItemRow) -> None:
        """Replace what the row with this id has beside its text."""
        with self.database.writing(row.scope) as connection:
            owner, stamp = owners.bump_version(connection, row.scope)
            values = [getattr(row, name) for name in _DETAILS]
            connection.execute(_REWRITE_DETAILS, (stamp, *values, row.id, owner.root, owner.id))

    def supersede_by(self, scope: Scope, memory_id: str, other_id: str) -> None:
        """Have another item supersede what an item supersedes."""
        with self.database.writing(scope) as connection:
            root = owners.get_or_create(connection, scope).root
            connection.execute(
                "UPDATE items SET superseded_by = ? WHERE superseded_by = ? AND +root = ?", (other_id, memory_id, root)
            )

    def linked(self, row: ItemRow) -> list[ItemRow]:
        """The rows that go with this one: of a fact its sources, of a source the facts that come from it alone."""
        others = self.by_ids(row.scope, row.linked_ids).values()
        if row.kind == "item":
            return [each for each in others if each.kind == "source"]
        return [each for each in others if each.extraction == "extracted" and each.linked_ids == [row.id]]

    def remove(self, scope: Scope, memory_id: str) -> bool:
        """Delete the row; whether the scope contained it."""
        with self.database.writing(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return False
            visible, variable = owners.visible_to(owner)
            deleted = connection.execute(
                f"DELETE FROM items WHERE id = ? AND root = ? AND {visible}", (memory_id, owner.root, variable)
            ).rowcount
            if deleted:
                owners.note_removal(connection, owner.root)
            return deleted > 0

    def clear(self, scope: Scope) -> int:
        """Delete every row that the scope contains, but for the records of values.

        Returns:
            How many, sources and earlier texts not counted.
        """
        with self.database.writing(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return 0
            visible, variable = owners.visible_to(owner)
            others, facts = (
                connection.execute(f"DELETE FROM items WHERE {visible} AND {rows}", (variable,)).rowcount
                for rows in (f"(kind = 'source' OR {earlier_text()})", "kind <> 'record'")
            )
            if others or facts:
                owners.note_removal(connection, owner.root)
            return facts

    def get(self, scope: Scope, memory_id: str) -> ItemRow | None:
        """The row with this id, if the scope contains it."""
        return self.by_ids(scope, [memory_id]).get(memory_id)

    def by_hash(self, scope: Scope, text_hash: str, kind: Kind = "item") -> ItemRow | None:
        """The free fact (or the source) of exactly this scope whose text has this hash; none that is superseded."""
        condition = " AND kind = ? AND key IS NULL AND superseded_by IS NULL AND hash = ?"
        return self._first(scope, condition, [kind, text_hash], exact=True)

    def superseded_by(self, scope: Scope, ids: Sequence[str]) -> list[ItemRow]:
        """The rows of the scope that these items supersede, directly or over others, oldest first."""
        found: dict[str, ItemRow] = {}
        while ids:
            new = {row.id: row for row in self._chunks(scope, "superseded_by", ids) if row.id not in found}
            found |= new
            ids = list(new)
        return sorted(found.values(), key=attrgetter("seq"))

    def living(self, scope: Scope, *, after: int, limit: int) -> list[ItemRow]:
        """Free facts that are not superseded, in the order in which they were stored, from behind a place."""
        condition = " AND kind = 'item' AND superseded_by IS NULL AND seq > ? ORDER BY seq LIMIT ?"
        return self.select(scope, condition, [after, limit])

    def superseded(self, scope: Scope, *, after: int, limit: int) -> list[ItemRow]:
        """Rows that are superseded, in the order in which they were stored, from behind a place."""
        return self.select(scope, " AND superseded_by IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?", [after, limit])

    def with_metadata_key(self, scope: Scope, key: str) -> list[ItemRow]:
        """Free facts of exactly this scope that are not superseded, and whose metadata may have this key."""
        condition = " AND kind = 'item' AND superseded_by IS NULL AND instr(metadata, ?)"
        return self.select(scope, condition, [f"{dump_json(key)}:"], exact=True)

    def of_session(self, scope: Scope, session_id: str) -> list[ItemRow]:
        """The free rows of exactly this scope that this session says, perhaps among others."""
        selection = Selection(kinds=("item", "source"), session_id=session_id)
        condition, variables = selection.condition(self.database.dialect)
        return self.select(scope, f" AND key IS NULL{condition}", variables, exact=True)

    def of_message(self, scope: Scope, session_id: str, message_id: str) -> list[ItemRow]:
        """The free rows of exactly this scope that this message of the session says, perhaps among others."""
        condition = (
            " AND key IS NULL AND ((session_id = ? AND message_id = ?) OR (occurrences IS NOT NULL AND "
            "instr(occurrences, ?)))"
        )
        return self.select(scope, condition, [session_id, message_id, dump_json(message_id)], exact=True)

    def by_key(self, scope: Scope, kind: Kind, key: str) -> ItemRow | None:
        """The keyed fact of exactly this scope; no earlier value of it."""
        condition = " AND kind = ? AND key = ? AND superseded_by IS NULL"
        return self._first(scope, condition, [kind, key], exact=True)

    def page(
        self,
        scope: Scope,
        *,
        limit: int,
        after: int,
        selection: Selection = ALL_ROWS,
        newest_first: bool = False,
    ) -> list[ItemRow]:
        """Rows in the order in which they were stored, or in reverse, from behind the place ``after``; 0: all."""
        extra, variables = selection.condition(self.database.dialect)
        end = " ORDER BY seq DESC" if newest_first else " ORDER BY seq"
        behind = " AND seq < ?" if newest_first and after else " AND seq > ?"
        return self.select(scope, f"{behind}{extra}{end} LIMIT ?", [after, *variables, limit])

    def by_places(self, scope: Scope, places: Iterable[int]) -> dict[int, ItemRow]:
        """The rows at these places that the scope contains, by place."""
        return {row.seq: row for row in self._chunks(scope, "seq", list(places))}

    def by_ids(self, scope: Scope, ids: Iterable[str]) -> dict[str, ItemRow]:
        """The rows with these ids that the scope contains, by id."""
        return {row.id: row for row in self._chunks(scope, "items.id", list(ids))}

    def _chunks(self, scope: Scope, column: str, values: Sequence[Any]) -> Iterator[ItemRow]:
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            yield from self.select(scope, f" AND {column} IN ({', '.join('?' * len(chunk))})", chunk, few=True)

    def places(self, connection: Connection, root: int, ids: Sequence[str]) -> list[int]:
        """The places of the root's rows with these ids."""
        places: list[int] = []
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            rows = connection.execute(f"SELECT seq FROM items WHERE root = ? AND id IN ({marks})", [root, *chunk])
            places += [row[0] for row in rows]
        return places

    def expired(self, connection: Connection, root: int) -> list[int]:
        """The places of the root's items that have expired, or whose values have."""
        at = self.database.moment
        rows = connection.execute(
            "SELECT items.seq FROM state CROSS JOIN items "
            "WHERE items.id = state.record AND items.owner = state.owner AND state.expires_at <= ? AND items.root = ? "
            # The plus keeps SQLite from an index with all rows of the root.
            "UNION ALL SELECT seq FROM items WHERE expires_at <= ? AND +root = ?",
            (at, root, at, root),
        )
        return [row[0] for row in rows]

    def row_filter(
        self,
        owner: owners.Owner,
        selection: Selection,
        *,
        among: Sequence[int] | None = None,
        count: int = 0,
    ) -> RowFilter:
        """The conditions of a search by the database."""
        extra, variables = selection.condition(self.database.dialect)
        return RowFilter(
            owner=None if owner.id == owner.root else owner.id,
            condition=f"{extra} AND NOT {EXPIRED_ITEM}",
            variables=[*variables, self.database.moment],
            among=among,
            count=count,
        )

    def matching(self, scope: Scope, selection: Selection) -> list[int]:
        """The places of the rows that a selection has."""
        return [each.seq for each in self.identities(scope, selection)]

    def identities(self, scope: Scope, selection: Selection) -> list[Identity]:
        """What tells the rows of a selection from each other."""
        extra, variables = selection.condition(self.database.dialect)
        kinds, namespace = selection.kinds, selection.filters.get("namespace")
        with self.database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            visible, variable = owners.visible_to(owner)
            if kinds is not None and list(kinds) == ["record"] and isinstance(namespace, str):
                # A record's key begins with its namespace and has an index; the plus keeps SQLite from another one.
                first = f"[{dump_json(namespace)},"
                parts = "owner IN (SELECT id FROM owners WHERE id = ? OR root = ?)"
                visible = f"+{visible} AND {parts} AND {self._between} AND superseded_by IS NULL"
                variables = [owner.id, owner.id, first, f"{first[:-1]}-", *variables]
            columns = ", ".join(Identity._fields)
            rows = connection.execute(f"SELECT {columns} FROM items WHERE {visible}{extra}", [variable, *variables])
            return list(starmap(Identity, rows))

    def occurring(self, connection: Connection, root: int, selection: Selection) -> list[int]:
        """The places of those of the root's rows that were added several times, once of them as the selection says."""
        sql, variables = selection.occurring(self.database.dialect)
        rows = connection.execute(f"SELECT seq FROM items WHERE root = ? AND {sql}", (root, *variables))
        return [row[0] for row in rows]

    def _first(self, scope: Scope, condition: str, variables: list[Any], *, exact: bool = False) -> ItemRow | None:
        rows = self.select(scope, f"{condition} LIMIT 1", variables, exact=exact)
        return rows[0] if rows else None

    def select(
        self, scope: Scope, conditions: str, variables: Sequence[Any], *, exact: bool = False, few: bool = False
    ) -> list[ItemRow]:
        """Rows that the scope contains (or, exactly, owns), with the agent that keeps each.

        Args:
            scope: The scope.
            conditions: More SQL, beginning with AND.
            variables: Of the conditions.
            exact: Whether rows of the user's agents are left out.
            few: Whether the conditions name single rows. A plus keeps SQLite from going through all of the owner's.
        """
        with self.database.reading(scope) as connection:
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            visible, variable = ("owner = ?", owner.id) if exact else owners.visible_to(owner)
            rows = connection.execute(
                f"SELECT {_SELECTED}, seq, agent_id FROM items JOIN owners ON owners.id = items.owner "
                f"WHERE {'+' if few else ''}items.{visible} AND NOT {EXPIRED_ITEM}{conditions}",
                [variable, self.database.moment, *variables],
            ).fetchall()
        return [_row(row, Scope.stored(scope.user_id, row[-1] or None)) for row in rows]

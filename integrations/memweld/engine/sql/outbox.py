"""The outbox: changes of items that a projection has not received yet.

Triggers write a row for each projection, or *target*, in the transaction of each change of an item, whichever process
makes it. A row names an item by its ``seq``, which no other item ever has, and says nothing of it: the deliverer reads
the item when it delivers, so that rows of erased users tell nothing.

========  ==========================================  ==============================================
target    triggers write its rows                     what it is
========  ==========================================  ==============================================
graph     while ``meta`` names a graph                Neo4j (``projections/neo4j``)
mem0      while ``meta`` says that the vectors of     a vector store of mem0's, or its hosted service
          the file are in a mem0 store                (``projections/mem0_store``)
========  ==========================================  ==============================================
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ...models import GraphState
from ...scope import Scope
from . import owners
from .database import Block, Connection, Database
from .schema import earlier_text
from .ttl import EXPIRED_ITEM, now

__all__ = ["Change", "Entry", "Outbox", "Pending", "TargetName"]

TargetName: TypeAlias = Literal["graph", "mem0"]

_CHUNK = 500
_ENTRY_COLUMNS = (
    "items.seq, items.id, items.kind, items.key, items.session_id, items.text, items.hash, items.created_at, "
    "items.updated_at, owners.user_id, owners.agent_id, items.owner"
)
_ENTRY_FIELDS = [column.partition(".")[2] for column in _ENTRY_COLUMNS.split(", ")]


@dataclass(frozen=True, slots=True)
class Change:
    """An item that was changed or deleted, named by its ``seq``, at ``made_at`` (seconds since 1970)."""

    version: int
    item: int
    made_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """An item as targets receive it. ``seq`` tells it from the items of all users, ``id`` from those of its own."""

    seq: int
    id: str
    kind: str
    key: str | None
    session_id: str | None
    text: str
    hash: str
    created_at: str
    updated_at: str
    user_id: str | None
    agent_id: str | None
    owner: int

    @property
    def scope(self) -> Scope:
        """The scope that owns it."""
        return Scope.stored(self.user_id, self.agent_id)


@dataclass(frozen=True, slots=True)
class Pending:
    """How many changes wait, since when the oldest does (seconds since 1970), and the last version."""

    count: int
    oldest: float | None
    last: int


class Outbox:
    """The changes that wait for one target, of all scopes or of some owners.

    Args:
        database: The tables.
        target: The projection that receives them.

    Attributes:
        projected: The condition on the rows of ``items`` that the target receives.
    """

    def __init__(self, database: Database, target: TargetName = "graph") -> None:
        self._database = database
        self.target: TargetName = target
        # Only the tables have earlier texts, and a graph has the facts of a source.
        no_source = "kind <> 'source' AND " if target == "graph" else ""
        self.projected = f"{no_source}NOT {earlier_text()}"

    def reading(self) -> Block[Connection]:
        """A connection that reads the rows of all users."""
        return self._database.reading_all()

    def writing(self) -> Block[Connection]:
        """A connection that writes the rows of all users."""
        return self._database.writing_all()

    # whether there is a graph

    def store(self) -> str | None:
        """The name by which a graph knows this database; None while it has none."""
        with self.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'graph'").fetchone()
        return None if row is None else str(row[0])

    def name(self) -> str:
        """The name of this database in a store of mem0's, where other databases may have records, too."""
        with self.writing() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'mem0'").fetchone()
            if row is not None:
                return str(row[0])
            name = uuid.uuid4().hex[:12]
            connection.execute("INSERT INTO meta (key, value) VALUES ('mem0', ?)", (name,))
            return name

    def is_in_use(self) -> bool:
        """Whether triggers write rows for the target, as its line in the table above says."""
        condition = "key = 'graph'" if self.target == "graph" else "key = 'embedder' AND value LIKE '% in mem0 %'"
        with self.reading() as connection:
            return connection.execute(f"SELECT 1 FROM meta WHERE {condition}").fetchone() is not None

    def attach(self) -> str:
        """Name the graph in ``meta``, unless it is named already, and put all items into the outbox.

        Returns:
            The name by which the graph knows this database.
        """
        found = self.store()
        if found is not None:
            return found
        with self.writing() as connection:
            # On a server others write meanwhile that do not know of the target yet.
            self._database.exclude_writers(connection)
            row = connection.execute("SELECT value FROM meta WHERE key = 'graph'").fetchone()
            if row is not None:
                return str(row[0])
            name = uuid.uuid4().hex[:12]
            connection.execute("INSERT INTO meta (key, value) VALUES ('graph', ?)", (name,))
            self._fill(connection, None)
            return name

    def detach(self) -> int:
        """Forget the target: its name, its lease and its changes.

        Returns:
            How many changes it had not received.
        """
        with self.writing() as connection:
            self._database.exclude_writers(connection)
            if self.target == "graph":
                connection.execute("DELETE FROM meta WHERE key = 'graph'")
            connection.execute("DELETE FROM outbox_lease WHERE target = ?", (self.target,))
            return int(connection.execute("DELETE FROM outbox WHERE target = ?", (self.target,)).rowcount)

    # changes

    def fill(self, scope: Scope | None = None, *, missing: bool = False) -> int:
        """Put items into the outbox; how many.

        Args:
            scope: Those that it contains; None: all.
            missing: Only those that do not wait there already.
        """
        with self.writing() as connection:
            only = None if scope is None else list(owners.contained(connection, scope))
            return self._fill(connection, only, missing=missing)

    def put(self, items: Sequence[int]) -> None:
        """Have the target receive these items again, or that they do not exist."""
        with self.writing() as connection:
            connection.executemany(
                "INSERT INTO outbox (target, item, owner, made_at) VALUES (?, ?, 0, ?)",
                [(self.target, item, now()) for item in items],
            )

    def _fill(self, connection: Connection, only: Sequence[int] | None, *, missing: bool = False) -> int:
        condition = self.projected
        variables: list[Any] = [*(only or ())]
        if only is not None:
            condition += f" AND owner IN ({', '.join('?' * len(only)) or 'NULL'})"
        if missing:
            condition += " AND seq NOT IN (SELECT item FROM outbox WHERE target = ?)"
            variables.append(self.target)
        cursor = connection.execute(
            "INSERT INTO outbox (target, item, owner, made_at) "
            "SELECT CAST(? AS text), seq, owner, CAST(? AS double precision) FROM items "
            f"WHERE {condition} ORDER BY seq",
            (self.target, now(), *variables),
        )
        return int(cursor.rowcount)

    def owners_of(self, scope: Scope) -> list[int]:
        """The owners that a scope contains. Once the scope is erased, they still find its changes."""
        with self._database.reading(scope) as connection:
            return list(owners.contained(connection, scope))

    def owners_erased(self) -> list[int]:
        """The owners that are gone, and of whose items a change waits."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT owner FROM outbox WHERE target = ? AND owner <> 0 "
                "AND owner NOT IN (SELECT id FROM owners)",
                (self.target,),
            ).fetchall()
        return [int(row[0]) for row in rows]

    def state_after(self, scope: Scope) -> Callable[[int], GraphState]:
        """Prepare the receipt of an erasure in a process that does not deliver.

        Args:
            scope: The scope that will be erased.

        Returns:
            A function that is called after the erasure with the number of erased items. It says whether other processes
            have to tell a graph.
        """
        if self.store() is None:
            return lambda _: "none"
        if self._database.is_secured:
            return lambda _: "pending"  # this role may not see what waits
        erased = self.owners_of(scope)
        return lambda items: "pending" if items or self.pending(erased).count else "done"

    def pending(
        self,
        only: Sequence[int] | None = None,
        *,
        up_to: int | None = None,
        due: bool = False,
        deleted: bool = False,
    ) -> Pending:
        """The changes that wait.

        Args:
            only: Of these owners; None: of all.
            up_to: No newer ones than this version.
            due: Only those that are not put off to a later time.
            deleted: Only those of items that do not exist any more.
        """
        conditions: list[str] = ["target = ?"]
        variables: list[Any] = [self.target]
        if only is not None:
            conditions.append(f"owner IN ({', '.join('?' * len(only)) or 'NULL'})")
            variables += only
        if up_to is not None:
            conditions.append("version <= ?")
            variables.append(up_to)
        if due:
            conditions.append("not_before <= ?")
            variables.append(now())
        if deleted:
            conditions.append("item NOT IN (SELECT seq FROM items)")
        with self.reading() as connection:
            count, oldest, last = connection.execute(
                f"SELECT count(*), min(made_at), max(version) FROM outbox WHERE {' AND '.join(conditions)}", variables
            ).fetchone()
        return Pending(int(count), oldest, int(last or 0))

    def take(self, limit: int) -> list[Change]:
        """The oldest changes that are due."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT version, item, made_at FROM outbox WHERE target = ? AND not_before <= ? "
                "ORDER BY version LIMIT ?",
                (self.target, now(), limit),
            ).fetchall()
        return [Change(*row) for row in rows]

    def postpone(self, changes: Sequence[Change], *, seconds: float = 0) -> None:
        """Put changes behind all others, to be delivered after so many seconds at the earliest."""
        with self.writing() as connection:
            for change in changes:
                connection.execute(
                    "INSERT INTO outbox (target, item, owner, made_at, not_before) "
                    "SELECT target, item, owner, made_at, CAST(? AS double precision) FROM outbox WHERE version = ?",
                    (now() + seconds if seconds else 0, change.version),
                )
                connection.execute("DELETE FROM outbox WHERE version = ?", (change.version,))

    def bring_forward(self) -> None:
        """Have all changes due now that are put off to a later time."""
        with self.writing() as connection:
            connection.execute("UPDATE outbox SET not_before = 0 WHERE target = ?", (self.target,))

    # items

    def count(self) -> int:
        """How many items there are."""
        with self.reading() as connection:
            row = connection.execute(
                f"SELECT count(*) FROM items WHERE {self.projected} AND NOT {EXPIRED_ITEM}", (now(),)
            ).fetchone()
        return int(row[0])

    def entries(self, items: Sequence[int]) -> dict[int, Entry]:
        """These items as they are now, by ``seq``; without those that are gone, have expired or are earlier texts."""
        found: dict[int, Entry] = {}
        with self.reading() as connection:
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                rows = connection.execute(
                    f"SELECT {_ENTRY_COLUMNS} FROM items JOIN owners ON owners.id = items.owner "
                    f"WHERE NOT {EXPIRED_ITEM} AND NOT {earlier_text()} "
                    f"AND items.seq IN ({', '.join('?' * len(chunk))})",
                    (now(), *chunk),
                )
                for row in rows:
                    fields: dict[str, Any] = dict(zip(_ENTRY_FIELDS, row, strict=True))
                    fields |= {name: fields[name] or None for name in ("user_id", "agent_id")}
                    found[row[0]] = Entry(**fields)
        return found

    def page(self, *, after: int, limit: int) -> list[int]:
        """Items in their order, from behind one."""
        with self.reading() as connection:
            rows = connection.execute(
                f"SELECT seq FROM items WHERE {self.projected} AND NOT {EXPIRED_ITEM} AND seq > ? ORDER BY seq LIMIT ?",
                (now(), after, limit),
            ).fetchall()
        return [row[0] for row in rows]

    def exists(self, items: Sequence[int]) -> set[int]:
        """Which of these are items."""
        found: set[int] = set()
        with self.reading() as connection:
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                rows = connection.execute(f"SELECT seq FROM items WHERE seq IN ({', '.join('?' * len(chunk))})", chunk)
                found |= {row[0] for row in rows}
        return found

"""The outbox: what a graph has not been told yet, written by triggers in the transaction of each change of an item.

A row names an item and nothing else: what it says is read when it is told, so that the rows of somebody who was erased
keep nothing. Whatever process changes an item, with or without a graph of its own, leaves its row here, from the moment
at which `Outbox.attach` has said that there is a graph. One process at a time delivers: the lease has a number that
grows with each holder, by which the graph refuses one that was overtaken.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from ...models import GraphState
from ...scope import Scope
from . import owners
from .database import Database
from .ttl import DEAD_RECORD, now

__all__ = ["Change", "Entry", "Lease", "Outbox", "Pending"]

_CHUNK = 500
_ENTRY = (
    "items.id, items.kind, items.key, items.session_id, items.text, items.hash, items.created_at, items.updated_at, "
    "owners.user_id, owners.agent_id, items.owner"
)


_ENTRY_FIELDS = [column.partition(".")[2] for column in _ENTRY.split(", ")]


@dataclass(frozen=True, slots=True)
class Change:
    """An item that changed, or is gone, since the graph was told of it."""

    version: int
    item: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a graph is told of an item."""

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
        """Whose it is."""
        return Scope.stored(self.user_id, self.agent_id)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who delivers: its number, until when (seconds since 1970), and what went wrong last.

    Attributes:
        fence: Grows with each holder.
        expires_at: When somebody else may take over.
        problem: Why the graph cannot be told anything now; None if it can.
        failing_since: Since when.
        retry_at: When the holder tries again.
    """

    fence: int
    expires_at: float
    problem: str | None
    failing_since: float | None
    retry_at: float


@dataclass(frozen=True, slots=True)
class Pending:
    """How many changes wait, since when the oldest does, and the number of the last."""

    count: int
    oldest: float | None
    last: int


class Outbox:
    """The changes that wait, of all scopes or of some owners.

    Args:
        database: The tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.contextmanager
    def _for_all(self) -> Generator[None]:
        """On databases whose transactions are bound to a user: to nobody's."""
        acting_for = getattr(self._database, "acting_for", None)
        with contextlib.nullcontext() if acting_for is None else acting_for(Scope.stored(None, None)):
            yield

    # whether there is a graph

    def store(self) -> str | None:
        """The name by which a graph knows this database; None while it has none."""
        with self._for_all(), self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = 'graph'").fetchone()
        return None if row is None else str(row[0])

    def attach(self) -> str:
        """Say that there is a graph, if it was not said before, and put all items into the outbox; the store's name."""
        found = self.store()
        if found is not None:
            return found
        with self._for_all(), self._database.writing() as connection:
            _wait_for_writers(connection)
            row = connection.execute("SELECT value FROM meta WHERE key = 'graph'").fetchone()
            if row is not None:
                return str(row[0])
            name = uuid.uuid4().hex[:12]
            connection.execute("INSERT INTO meta (key, value) VALUES ('graph', ?)", (name,))
            connection.execute("DELETE FROM outbox_lease")
            connection.execute(
                "INSERT INTO outbox_lease (id, holder, fence, expires_at, retry_at) VALUES (1, '', 0, 0, 0)"
            )
            self._fill(connection, None)
            return name

    def detach(self) -> int:
        """Say that there is no graph any more; how many changes it was not told of."""
        with self._for_all(), self._database.writing() as connection:
            _wait_for_writers(connection)
            connection.execute("DELETE FROM meta WHERE key = 'graph'")
            connection.execute("DELETE FROM outbox_lease")
            return int(connection.execute("DELETE FROM outbox").rowcount)

    # what waits

    def fill(self, scope: Scope | None = None, *, missing: bool = False) -> int:
        """Put all items that the scope contains (None: of all) into the outbox; how many.

        Args:
            scope: Whose.
            missing: Only those that do not wait there already.
        """
        with self._for_all(), self._database.writing() as connection:
            only = None if scope is None else list(owners.contained(connection, scope))
            return self._fill(connection, only, missing=missing)

    def put(self, items: Sequence[str]) -> None:
        """Have the graph told again of these items, or that they do not exist."""
        with self._for_all(), self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO outbox (item, owner, made_at) VALUES (?, 0, ?)", [(item, now()) for item in items]
            )

    def _fill(self, connection: Any, only: Sequence[int] | None, *, missing: bool = False) -> int:
        mine = "" if only is None else f" AND owner IN ({', '.join('?' * len(only)) or 'NULL'})"
        mine += " AND id NOT IN (SELECT item FROM outbox)" if missing else ""
        cursor = connection.execute(
            "INSERT INTO outbox (item, owner, made_at) "
            f"SELECT id, owner, CAST(? AS double precision) FROM items WHERE true{mine} ORDER BY seq",
            (now(), *(only or ())),
        )
        return int(cursor.rowcount)

    def owners_of(self, scope: Scope) -> list[int]:
        """The owners that a scope contains; of a scope that is erased afterwards its changes can still be found."""
        with self._database.reading() as connection:
            return list(owners.contained(connection, scope))

    def state_after(self, scope: Scope) -> Callable[[int], GraphState]:
        """Asked before the scope is erased by one who tells no graph: whether a graph has to be told by others.

        Returns:
            What says it afterwards, given how many items were erased.
        """
        if self.store() is None:
            return lambda _: "none"
        if getattr(self._database, "is_secured", False):
            return lambda _: "pending"  # this role may not see what waits
        erased = self.owners_of(scope)
        return lambda items: "pending" if items or self.pending(erased).count else "done"

    def owners_erased(self) -> list[int]:
        """The owners that are gone, and of whose items something waits."""
        with self._for_all(), self._database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT owner FROM outbox WHERE owner <> 0 AND owner NOT IN (SELECT id FROM owners)"
            ).fetchall()
        return [int(row[0]) for row in rows]

    def count(self) -> int:
        """How many items there are."""
        with self._for_all(), self._database.reading() as connection:
            row = connection.execute(f"SELECT count(*) FROM items WHERE NOT {DEAD_RECORD}", (now(),)).fetchone()
        return int(row[0])

    def pending(self, only: Sequence[int] | None = None, *, up_to: int | None = None) -> Pending:
        """What waits, of these owners or of all, not counting what is newer than the change ``up_to``."""
        conditions, variables = ["1 = 1"], list[Any]()
        if only is not None:
            conditions.append(f"owner IN ({', '.join('?' * len(only)) or 'NULL'})")
            variables += only
        if up_to is not None:
            conditions.append("version <= ?")
            variables.append(up_to)
        with self._for_all(), self._database.reading() as connection:
            count, oldest, last = connection.execute(
                f"SELECT count(*), min(made_at), max(version) FROM outbox WHERE {' AND '.join(conditions)}", variables
            ).fetchone()
        return Pending(int(count), oldest, int(last or 0))

    def take(self, limit: int) -> list[Change]:
        """The oldest changes."""
        with self._for_all(), self._database.reading() as connection:
            rows = connection.execute("SELECT version, item FROM outbox ORDER BY version LIMIT ?", (limit,)).fetchall()
        return [Change(row[0], row[1]) for row in rows]

    def entries(self, items: Sequence[str]) -> dict[str, Entry]:
        """What these items say now; those that are gone are left out."""
        found: dict[str, Entry] = {}
        with self._for_all(), self._database.reading() as connection:
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                rows = connection.execute(
                    f"SELECT {_ENTRY} FROM items JOIN owners ON owners.id = items.owner "
                    f"WHERE NOT {DEAD_RECORD} AND items.id IN ({', '.join('?' * len(chunk))})",
                    (now(), *chunk),
                )
                for row in rows:
                    fields: dict[str, Any] = dict(zip(_ENTRY_FIELDS, row, strict=True))
                    fields |= {name: fields[name] or None for name in ("user_id", "agent_id")}
                    found[row[0]] = Entry(**fields)
        return found

    def page(self, scope: Scope | None, *, after: str, limit: int) -> list[tuple[str, str]]:
        """Id and hash of items in the order of their ids, from behind an id."""
        with self._for_all(), self._database.reading() as connection:
            only = None if scope is None else list(owners.contained(connection, scope))
            mine = "" if only is None else f" AND items.owner IN ({', '.join('?' * len(only)) or 'NULL'})"
            rows = connection.execute(
                f"SELECT id, hash FROM items WHERE NOT {DEAD_RECORD} AND id > ?{mine} ORDER BY id LIMIT ?",
                (now(), after, *(only or ()), limit),
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def exists(self, items: Sequence[str]) -> set[str]:
        """Which of these ids are items, of whomever."""
        found: set[str] = set()
        with self._for_all(), self._database.reading() as connection:
            for start in range(0, len(items), _CHUNK):
                chunk = items[start : start + _CHUNK]
                rows = connection.execute(f"SELECT id FROM items WHERE id IN ({', '.join('?' * len(chunk))})", chunk)
                found |= {row[0] for row in rows}
        return found

    # who delivers

    def lease(self) -> Lease:
        """How the delivery stands."""
        with self._for_all(), self._database.reading() as connection:
            row = connection.execute(
                "SELECT fence, expires_at, problem, failing_since, retry_at FROM outbox_lease"
            ).fetchone()
        return Lease(*row) if row is not None else Lease(0, 0.0, None, None, 0.0)

    def claim(self, holder: str, seconds: float, *, urgent: bool = False) -> int | None:
        """Become the one who delivers, or remain it; the lease's number, or None where somebody else is at it.

        Args:
            holder: Who.
            seconds: How long nobody else may.
            urgent: Take over from one who rests after a failure, too.
        """
        resting = " OR retry_at > ?" if urgent else ""
        with self._for_all(), self._database.writing() as connection:
            row = connection.execute(
                "UPDATE outbox_lease SET fence = fence + CASE WHEN holder = ? THEN 0 ELSE 1 END, holder = ?, "
                f"expires_at = ?, retry_at = 0 WHERE holder = ? OR expires_at <= ?{resting} RETURNING fence",
                (holder, holder, now() + seconds, holder, now(), *([now()] if urgent else [])),
            ).fetchone()
        return None if row is None else int(row[0])

    def overtake(self, holder: str, fence: int) -> None:
        """Give the holder's lease a number above one that the graph has seen."""
        with self._for_all(), self._database.writing() as connection:
            connection.execute("UPDATE outbox_lease SET fence = ? WHERE holder = ?", (fence + 1, holder))

    def done(self, holder: str, changes: Sequence[Change], *, seconds: float) -> bool:
        """Take out what was delivered and keep the lease for so many seconds, or give it up; False if it was lost."""
        with self._for_all(), self._database.writing() as connection:
            kept = connection.execute(
                "UPDATE outbox_lease SET expires_at = ?, problem = NULL, failing_since = NULL, retry_at = 0 "
                "WHERE holder = ?",
                (now() + seconds, holder),
            ).rowcount
            if kept:
                rows = [(change.version,) for change in changes]
                connection.executemany("DELETE FROM outbox WHERE version = ?", rows)
            return bool(kept)

    def postpone(self, changes: Sequence[Change]) -> None:
        """Put changes behind all others, because the graph does not take them."""
        with self._for_all(), self._database.writing() as connection:
            for change in changes:
                connection.execute(
                    "INSERT INTO outbox (item, owner, made_at) "
                    "SELECT item, owner, made_at FROM outbox WHERE version = ?",
                    (change.version,),
                )
                connection.execute("DELETE FROM outbox WHERE version = ?", (change.version,))

    def failed(self, holder: str, problem: str, *, retry_in: float) -> None:
        """Say what is wrong, for everybody who waits; others may try before the holder does."""
        with self._for_all(), self._database.writing() as connection:
            connection.execute(
                "UPDATE outbox_lease SET problem = ?, failing_since = coalesce(failing_since, ?), retry_at = ?, "
                "expires_at = ? WHERE holder = ?",
                (problem, now(), now() + retry_in, now() + retry_in, holder),
            )


def _wait_for_writers(connection: Any) -> None:
    """On a server others write meanwhile, who do not know yet whether there is a graph: they are waited for."""
    if not isinstance(connection, sqlite3.Connection):
        connection.execute("LOCK TABLE items IN SHARE MODE")

"""Changing the embedder of a Postgres memory, beside writers and readers of other processes.

First each row gets its new vector beside the old one, in ``next_vector``, while the old embedder works on everywhere; a
trigger drops it when the text changes meanwhile. Then the database is closed for every embedder, the vectors change
places in small transactions, and it is opened for the new one. What is interrupted is continued by the next call.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

from ...scope import Scope
from ..search.embedder_check import CHANGING
from ..search.reindex import Progress, Reindexing
from ..sql.database import Connection

if TYPE_CHECKING:
    from .transactions import PostgresDatabase

__all__ = ["PostgresReindexing"]

# Tables with vectors: their rows' place, and what of them is embedded.
_TABLES = {"items": ("seq", "text"), "entities": ("place", "payload")}
_BATCH = 64
_MOVED = 500
_OWNERS = 1_000
_MOVING = ", moving"
_LOCKED_SECONDS = 0.1


class PostgresReindexing(Reindexing):
    """Gives the vectors of a Postgres memory to another embedder."""

    _done = 0
    _total = 0

    def run(self, progress: Progress | None = None) -> int:
        """Embed everything again unless it is of this embedder already; how many vectors there are then, else 0.

        Raises:
            BackendUnavailableError: The embedder fails, or others write without end; what was done stays done.
            ConfigurationError: This role does not see all users; or somebody began to reindex for another embedder.
        """
        database = cast("PostgresDatabase", self._database)
        target = self._claim.name(len(self._embedding.embed("memory")))
        database.check_all("a change of the embedder")
        with database.acting_for(Scope.stored(None, None)):
            if not self._begin(target):
                return 0
            self._count()
            if not self._is_moving(target):
                self._make(target, progress)
                self._close(target)
                self._make(target, progress)
            self._move(target, progress)
            self._renew_owners(target)
            return self._open(target)

    # the steps

    def _begin(self, target: str) -> bool:
        """Say what is wanted, and forget what was begun for something else; False if there is nothing to do."""
        with self._database.writing() as connection:
            held, begun = self._claim.stored(connection), _begun(connection)
            if begun is not None and begun.removesuffix(_MOVING) != target:
                self._without_writers(connection)
                for table in _TABLES:
                    connection.execute(f"UPDATE {table} SET next_vector = NULL WHERE next_vector IS NOT NULL")
                connection.execute("DELETE FROM meta WHERE key = 'reindex'")
                begun = None
            if held in (None, target):
                return False
            if begun is None:
                connection.execute("INSERT INTO meta (key, value) VALUES ('reindex', ?)", (target,))
            return True

    def _make(self, target: str, progress: Progress | None) -> None:
        """Make the vectors that are missing, in the order of the rows."""
        for table, (key, column) in _TABLES.items():
            place = -1
            while True:
                with self._database.reading() as connection:
                    self._check(connection, target)
                    rows = connection.execute(
                        f"SELECT {key}, {column} FROM {table} WHERE {key} > ? AND next_vector IS NULL "
                        f"ORDER BY {key} LIMIT {_BATCH}",
                        (place,),
                    ).fetchall()
                if not rows:
                    break
                place = rows[-1][0]
                packed = self._packed([(row[0], row[1], _text(table, row[1])) for row in rows])
                with self._database.writing() as connection:
                    self._check(connection, target)
                    # Whoever is changing one of them goes first, and nobody waits for the other.
                    connection.executemany(
                        f"UPDATE {table} SET next_vector = ? WHERE {key} = (SELECT {key} FROM {table} "
                        f"WHERE {key} = ? AND {column} = ? FOR UPDATE SKIP LOCKED)",
                        [(vector, row[0], row[1]) for row, vector in zip(rows, packed, strict=True)],
                    )
                self._report(len(rows), progress)

    def _close(self, target: str) -> None:
        """From here on vectors are neither written nor searched; what is written at this moment is waited for."""
        with self._database.writing() as connection:
            self._check(connection, target)
            self._without_writers(connection)
            # A trigger drops the index, which takes no vectors of another length.
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (target + CHANGING,))

    def _move(self, target: str, progress: Progress | None) -> None:
        with self._database.writing() as connection:
            self._check(connection, target)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'reindex'", (target + _MOVING,))
        for table, (key, _) in _TABLES.items():
            narrow = ", wide = false" if table == "items" else ""
            while True:
                with self._database.writing() as connection:
                    self._check(connection, target)
                    moved = connection.execute(
                        f"UPDATE {table} SET vector = next_vector, next_vector = NULL{narrow} WHERE {key} IN (SELECT "
                        f"{key} FROM {table} WHERE next_vector IS NOT NULL LIMIT {_MOVED} FOR UPDATE SKIP LOCKED)"
                    ).rowcount
                    left = (
                        moved
                        or connection.execute(f"SELECT 1 FROM {table} WHERE next_vector IS NOT NULL LIMIT 1").fetchone()
                    )
                if not left:
                    break
                if not moved:
                    time.sleep(_LOCKED_SECONDS)
                self._report(moved, progress)

    def _renew_owners(self, target: str) -> None:
        """Every index in RAM is read anew, and the users with very many memories are put into the HNSW index again."""
        place = -1
        while True:
            with self._database.writing() as connection:
                self._check(connection, target)
                self._without_writers(connection)
                row = connection.execute(
                    "SELECT max(id) FROM (SELECT id FROM owners WHERE id = root AND id > ? ORDER BY id LIMIT ?) AS o",
                    (place, _OWNERS),
                ).fetchone()
                connection.execute(
                    "UPDATE owners SET version = version + 1, cleared = version + 1, wide = false "
                    "WHERE id = root AND id > ? AND id <= ?",
                    (place, row[0]),
                )
            if row[0] is None:
                return
            place = row[0]

    def _open(self, target: str) -> int:
        with self._database.writing() as connection:
            self._check(connection, target)
            self._without_writers(connection)
            connection.execute("DELETE FROM meta WHERE key = 'reindex'")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (target,))
            return sum(_counted(connection, table) for table in _TABLES)

    # what they need

    def _without_writers(self, connection: Connection) -> None:
        cast("PostgresDatabase", self._database).exclude_writers(connection)

    def _is_moving(self, target: str) -> bool:
        with self._database.reading() as connection:
            return _begun(connection) == target + _MOVING

    def _check(self, connection: Connection, target: str) -> None:
        begun = _begun(connection)
        if begun is None or begun.removesuffix(_MOVING) != target:
            raise self._elsewhere(begun)

    def _count(self) -> None:
        """How far it is: a row is done when its vector is made and has taken its place."""
        with self._database.reading() as connection:
            self._total = sum(_counted(connection, table) for table in _TABLES)
            waiting = sum(_counted(connection, table, "next_vector IS NOT NULL") for table in _TABLES)
            moving = (_begun(connection) or "").endswith(_MOVING)
        self._done = 2 * self._total - waiting if moving else waiting

    def _report(self, rows: int, progress: Progress | None) -> None:
        self._done += rows
        if progress is not None:
            progress(min(self._done // 2, self._total), self._total)


def _begun(connection: Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'reindex'").fetchone()
    return None if row is None else str(row[0])


def _text(table: str, content: str) -> str:
    """What of a row is embedded. mem0 2.2 keeps the text of an entity as "data"."""
    if table == "items":
        return content
    payload: Any = json.loads(content)
    return str(payload.get("data") or "")


def _counted(connection: Connection, table: str, condition: str = "true") -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])

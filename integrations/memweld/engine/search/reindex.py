"""Another embedder for all memories, while other processes read and write.

1. Each row gets its new vector beside the old one, in ``next_vector``. The old embedder goes on in all processes; a
   trigger drops the new vector when the text changes meanwhile.
2. ``meta`` closes the database for every embedder, and the vectors change places: in one transaction on SQLite, in
   small ones on a server, where writers of other users would wait too long.
3. ``meta`` opens it for the new embedder, and refuses the old one.

The next call continues an interrupted one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from ...errors import ConfigurationError
from ..protocol import Progress
from ..sql.database import Connection, Database
from ..sql.dialect import UNLIMITED
from .embedder_check import CHANGING, EmbedderCheck
from .embedders import GuardedEmbedding, as_bytes

__all__ = ["Reindexing"]

# Tables with vectors: their rows' place, and the column that is embedded.
_TABLES = {"items": ("seq", "text"), "entities": ("place", "payload")}
_BATCH = 64
# Other writers do not wait for the embedder, unless they write so often that a vector is missing after every round.
_ROUNDS = 20
_MOVED = 500
_OWNERS = 1_000
_MOVING = ", moving"
_LOCKED_SECONDS = 0.1


class Reindexing:
    """Gives all vectors of a database to another embedder.

    Args:
        database: The tables.
        embedding: The new embedder.
        embedder_check: Knows which embedder the vectors are of.
    """

    def __init__(self, database: Database, embedding: GuardedEmbedding, embedder_check: EmbedderCheck) -> None:
        self._database = database
        self._dialect = database.dialect
        self._embedding = embedding
        self._check = embedder_check
        # A vector is made and put in place. On SQLite the second step is one moment, and no progress.
        self._steps = 1 if self._dialect.swaps_at_once else 2
        self._done = 0
        self._total = 0

    def run(self, progress: Progress | None = None) -> int:
        """Embed everything again unless it is of this embedder already; how many vectors there are then, else 0.

        Raises:
            BackendUnavailableError: The embedder fails, or others write without end; the work so far stays done.
            ConfigurationError: This role does not see all users; or another process reindexes for another embedder.
        """
        target = self._check.name(len(self._embedding.embed("memory")))
        self._database.validate_sees_all("a change of the embedder")
        if not self._begin(target):
            return 0
        self._count()
        if not self._is_moving(target):
            self._embed(target, progress)
            for _ in range(_ROUNDS if self._dialect.swaps_at_once else 0):
                if not self._embed(target, progress):
                    break
        # A unit joins its blocks to one transaction.
        with self._database.unit() if self._dialect.swaps_at_once else nullcontext():
            if self._dialect.swaps_at_once:
                progress = None
            if not self._is_moving(target):
                self._close(target)
                self._embed(target, progress)
            self._move(target, progress)
            self._renew_owners(target)
            return self._open(target)

    # the steps

    def _begin(self, target: str) -> bool:
        """Note what is requested, and forget what was begun for another embedder; False if there is nothing to do."""
        with self._database.writing_all() as connection:
            current, begun = self._check.stored(connection), _begun(connection)
            if begun is not None and begun.removesuffix(_MOVING) != target:
                self._database.exclude_writers(connection)
                for table in _TABLES:
                    connection.execute(f"UPDATE {table} SET next_vector = NULL WHERE next_vector IS NOT NULL")
                connection.execute("DELETE FROM meta WHERE key = 'reindex'")
                begun = None
            if current in (None, target):
                return False
            if begun is None:
                connection.execute("INSERT INTO meta (key, value) VALUES ('reindex', ?)", (target,))
            return True

    def _embed(self, target: str, progress: Progress | None) -> int:
        """Make the missing vectors, in the order of the rows; how many."""
        made = 0
        for table, (place, column) in _TABLES.items():
            last = -1
            while True:
                with self._database.reading_all() as connection:
                    self._validate(connection, target)
                    rows = connection.execute(
                        f"SELECT {place}, {column} FROM {table} WHERE {place} > ? AND next_vector IS NULL "
                        f"ORDER BY {place} LIMIT ?",
                        (last, _BATCH),
                    ).fetchall()
                if not rows:
                    break
                last = rows[-1][0]
                vectors = self._vectors([_text(table, row[1]) for row in rows])
                with self._database.writing_all() as connection:
                    self._validate(connection, target)
                    # A writer that is changing one of them goes first, and neither waits for the other.
                    connection.executemany(
                        f"UPDATE {table} SET next_vector = ? WHERE {place} = (SELECT {place} FROM {table} "
                        f"WHERE {place} = ? AND {column} = ?{self._dialect.skip_locked})",
                        [(vector, *row) for row, vector in zip(rows, vectors, strict=True)],
                    )
                made += len(rows)
                self._report(len(rows), progress)
        return made

    def _close(self, target: str) -> None:
        """From here on no process writes or searches vectors; open transactions are waited for."""
        with self._database.writing_all() as connection:
            self._validate(connection, target)
            self._database.exclude_writers(connection)
            # On Postgres a trigger drops the index, which takes no vectors of another length.
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (target + CHANGING,))

    def _move(self, target: str, progress: Progress | None) -> None:
        with self._database.writing_all() as connection:
            self._validate(connection, target)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'reindex'", (target + _MOVING,))
        limit = UNLIMITED if self._dialect.swaps_at_once else _MOVED
        for table, (place, _) in _TABLES.items():
            leave_index = self._dialect.leave_vector_index if table == "items" else ""
            while True:
                with self._database.writing_all() as connection:
                    self._validate(connection, target)
                    waiting = f"SELECT {place} FROM {table} WHERE next_vector IS NOT NULL LIMIT ?"
                    moved = connection.execute(
                        f"UPDATE {table} SET vector = next_vector, next_vector = NULL{leave_index} "
                        f"WHERE {place} IN ({waiting}{self._dialect.skip_locked})",
                        (limit,),
                    ).rowcount
                    left = moved or connection.execute(waiting, (1,)).fetchone()
                if not left:
                    break
                if not moved:
                    time.sleep(_LOCKED_SECONDS)
                self._report(moved, progress)

    def _renew_owners(self, target: str) -> None:
        """Every index in RAM is read anew, and the vectors of large users go into the HNSW index again."""
        last = -1
        while True:
            with self._database.writing_all() as connection:
                self._validate(connection, target)
                self._database.exclude_writers(connection)
                (end,) = connection.execute(
                    "SELECT max(id) FROM (SELECT id FROM owners WHERE id = root AND id > ? ORDER BY id LIMIT ?) AS o",
                    (last, _OWNERS),
                ).fetchone()
                connection.execute(
                    "UPDATE owners SET version = version + 1, cleared = version + 1"
                    f"{self._dialect.leave_vector_index} WHERE id = root AND id > ? AND id <= ?",
                    (last, end),
                )
            if end is None:
                return
            last = end

    def _open(self, target: str) -> int:
        with self._database.writing_all() as connection:
            self._validate(connection, target)
            self._database.exclude_writers(connection)
            connection.execute("DELETE FROM meta WHERE key = 'reindex'")
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (target,))
            return sum(_counted(connection, table) for table in _TABLES)

    # what they need

    def _vectors(self, texts: Sequence[str]) -> list[bytes]:
        return [as_bytes(vector) for vector in self._embedding.embed_batch(texts)]

    def _is_moving(self, target: str) -> bool:
        with self._database.reading_all() as connection:
            return _begun(connection) == target + _MOVING

    def _validate(self, connection: Connection, target: str) -> None:
        begun = _begun(connection)
        if begun is None or begun.removesuffix(_MOVING) != target:
            state = "has finished" if begun is None else f"is at work for {begun!r}"
            raise ConfigurationError(
                f"Another process reindexes {self._database.where}, and {state}: look which embedder it has now, "
                "or try again."
            )

    def _count(self) -> None:
        """How far it is: a row is done when its vector is made and has taken its place."""
        with self._database.reading_all() as connection:
            self._total = sum(_counted(connection, table) for table in _TABLES)
            waiting = sum(_counted(connection, table, "next_vector IS NOT NULL") for table in _TABLES)
            moving = (_begun(connection) or "").endswith(_MOVING)
        self._done = self._steps * self._total - waiting if moving else waiting

    def _report(self, rows: int, progress: Progress | None) -> None:
        self._done += rows
        if progress is not None:
            progress(min(self._done // self._steps, self._total), self._total)


def _begun(connection: Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'reindex'").fetchone()
    return None if row is None else str(row[0])


def _text(table: str, content: str) -> str:
    """The embedded text of a row. mem0 2.2 keeps the text of an entity as "data"."""
    if table == "items":
        return content
    payload: Any = json.loads(content)
    return str(payload.get("data") or "")


def _counted(connection: Connection, table: str, condition: str = "true") -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0])

"""What is on its way to a place of vectors, and by whom: so that what a process does not finish is done again.

A process that dies may have changed the place last, with what an item said a moment before, after another process has
brought the newer state and nothing waits any more. So everybody says first what they are about to bring, and what is
not said to be done when its time is over waits again.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Generator, Sequence

from ...sql.database import Connection, Database
from ...sql.ttl import now

__all__ = ["Attempt", "Bringing", "attach_bringing"]

_SECONDS = 300.0
"""Longer than a batch takes anywhere."""

_TABLES = (
    "CREATE TABLE IF NOT EXISTS mem0_bringing (item TEXT NOT NULL, attempt TEXT NOT NULL, until REAL NOT NULL, "
    "PRIMARY KEY (attempt, item)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS mem0_problem (id INTEGER PRIMARY KEY CHECK (id = 1), problem TEXT NOT NULL, "
    "since REAL NOT NULL)",
)


def attach_bringing(connection: Connection) -> None:
    """Make the tables, where they are not there."""
    for table in _TABLES:
        connection.execute(table)


class Attempt:
    """Items that somebody brings."""

    def __init__(self) -> None:
        self._name = uuid.uuid4().hex
        self.has_begun = False

    def begin(self, connection: Connection, items: Sequence[str]) -> None:
        """Say in the open transaction, in which the items are read, that they are on their way."""
        self.has_begun = True
        rows = [(item, self._name, now() + _SECONDS) for item in items]
        connection.executemany("INSERT INTO mem0_bringing (item, attempt, until) VALUES (?, ?, ?)", rows)

    def end(self, connection: Connection) -> None:
        """Nothing of it is on its way any more."""
        self.has_begun = False
        connection.execute("DELETE FROM mem0_bringing WHERE attempt = ?", (self._name,))


class Bringing:
    """Who brings what, and what is wrong with the place.

    Args:
        database: The tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextlib.contextmanager
    def attempt(self) -> Generator[Attempt]:
        """Something is brought inside. Afterwards it is done, or refused and still waits; unless the process died."""
        attempt = Attempt()
        try:
            yield attempt
        finally:
            if attempt.has_begun:
                with self._database.writing() as connection:
                    attempt.end(connection)

    def retake(self, *, whole: bool = False) -> None:
        """Have what was not finished in its time brought again; ``whole``: also what somebody may still be at."""
        until = float("inf") if whole else now()
        with self._database.reading() as connection:
            if connection.execute("SELECT 1 FROM mem0_bringing WHERE until <= ? LIMIT 1", (until,)).fetchone() is None:
                return
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO mem0_pending (item, vector) SELECT DISTINCT item, x'' FROM mem0_bringing WHERE until <= ? "
                "ON CONFLICT DO NOTHING",
                (until,),
            )
            connection.execute("DELETE FROM mem0_bringing WHERE until <= ?", (until,))

    def failed(self, problem: str | None) -> None:
        """Say for everybody what is wrong with the place; None: nothing any more."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT problem FROM mem0_problem").fetchone()
        if (None if row is None else row[0]) == problem:
            return
        with self._database.writing() as connection:
            if problem is None:
                connection.execute("DELETE FROM mem0_problem")
                return
            connection.execute(
                "INSERT INTO mem0_problem (id, problem, since) VALUES (1, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET problem = excluded.problem",
                (problem, now()),
            )

"""What waits to be brought to a place of vectors beside the file (see ``facts/mirror``), looked at without mem0."""

from __future__ import annotations

from dataclasses import dataclass

from .database import Connection, Database
from .ttl import now

__all__ = ["Waiting", "anything_waits", "read_waiting"]

# What waits, and what somebody who is dead by now had begun to bring.
_WAITING = "SELECT item FROM mem0_pending UNION SELECT item FROM mem0_bringing WHERE until <= ?"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How a file stands with the place of its vectors.

    Attributes:
        count: How many memories the place was not told of, as they are now.
        problem: What was wrong when somebody tried last, if anything was.
        since: Since when nobody could bring anything, in seconds since 1970.
    """

    count: int
    problem: str | None
    since: float | None


def anything_waits(database: Database) -> bool:
    """Whether there is something to be brought."""
    with database.reading() as connection:
        return _has_place(connection) and bool(
            connection.execute(f"SELECT 1 FROM ({_WAITING}) LIMIT 1", (now(),)).fetchone()
        )


def read_waiting(database: Database) -> Waiting | None:
    """What waits; None where the vectors never were in such a place. Changes nothing."""
    with database.reading() as connection:
        if not _has_place(connection):
            return None
        count = connection.execute(f"SELECT count(*) FROM ({_WAITING})", (now(),)).fetchone()[0]
        row = connection.execute("SELECT problem, since FROM mem0_problem").fetchone() or (None, None)
    return Waiting(int(count), *row)


def _has_place(connection: Connection) -> bool:
    # The last of the tables that are made together.
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mem0_problem'").fetchone()
    return found is not None

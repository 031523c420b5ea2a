"""Values that expire: what is alive at a moment, and how what is not goes, each value together with its record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from .database import Connection

__all__ = ["ALIVE", "DEAD_RECORD", "drop_records", "moment", "now", "sweep"]

ALIVE = "(expires_at IS NULL OR expires_at > ?)"
"""Which rows of ``state`` are there for a reader; its variable is `now`."""

DEAD_RECORD = "(items.kind = 'record' AND EXISTS (SELECT 1 FROM state WHERE record = items.id AND expires_at <= ?))"
"""Which rows of ``items`` are the records of values that have expired; its variable is `now`."""


_EXPIRED = "SELECT seq, owner, record FROM state WHERE expires_at <= ? LIMIT ?"


def now() -> float:
    """The current time as the tables keep it: seconds since 1970."""
    return time.time()


def moment(seconds: float | None) -> datetime | None:
    """A time of the tables as a datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def sweep(connection: Connection, at: float, *, owners: Sequence[int] | None = None, limit: int = -1) -> int:
    """Delete values whose time has come, and their records; how many values."""
    statement, variables = _EXPIRED, list[Any]()
    if owners is not None:
        statement = _EXPIRED.replace(" LIMIT", f" AND owner IN ({', '.join('?' * len(owners))}) LIMIT")
        variables = list(owners)
    rows = connection.execute(statement, (at, *variables, limit)).fetchall()
    if not rows:
        return 0
    connection.executemany("DELETE FROM state WHERE seq = ?", [(row[0],) for row in rows])
    drop_records(connection, [(row[1], row[2]) for row in rows if row[2] is not None])
    return len(rows)


def drop_records(connection: Connection, records: Sequence[tuple[int, str]]) -> None:
    """Delete the items of values that are gone: pairs of owner and item id."""
    if not records:
        return
    connection.executemany("DELETE FROM items WHERE id = ?", [(record,) for _, record in records])
    for owner in {owner for owner, _ in records}:
        # Indexes in RAM learn from these counters that something is gone.
        connection.execute(
            "UPDATE owners SET version = version + 1, cleared = version + 1 "
            "WHERE id = (SELECT root FROM owners WHERE id = ?)",
            (owner,),
        )

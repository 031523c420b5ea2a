"""What was erased leaves the file's bytes as well: it is rewritten and its log cut, which is owed until it is done."""

from __future__ import annotations

import sqlite3
import time
import uuid
from typing import Literal, TypeAlias

from ..sql.database import Connection

__all__ = ["Owed", "owe", "owed", "settle"]

Owed: TypeAlias = Literal["rewrite", "cut"]
"""What is still to be done: all of it, or only to cut the log."""

# A row of ``meta``: what is owed, and a mark by which a later erasure's debt is not taken for this one's.
_KEY = "overwrite"
# A copy of the file is made: in RAM up to here, larger ones in SQLite's directory for temporary files.
_RAM_BYTES = 256 * 2**20
_PAUSE_SECONDS = 0.05


def owe(connection: Connection) -> None:
    """In the transaction that erases: say that the file is to be rewritten, should this process not live to do it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, f"rewrite {uuid.uuid4().hex}"))


def owed(connection: Connection) -> Owed | None:
    """What is still to be done, if anything is."""
    held = _held(connection)
    if held is None:
        return None
    return "rewrite" if held.startswith("rewrite") else "cut"


def settle(connection: sqlite3.Connection, patience: float) -> bool:
    """Do what is owed; False if somebody has been reading or writing for so long.

    Args:
        connection: Of no transaction; nobody else uses it.
        patience: Seconds to wait for readers and for other writers; they wait along.

    Raises:
        sqlite3.Error: The disk is full, or fails. It is owed as before.
    """
    before = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    try:
        held = _held(connection)
        if held is not None and held.startswith("rewrite"):
            _rewrite(connection)
            held, was = held.replace("rewrite", "cut"), held
            connection.execute("UPDATE meta SET value = ? WHERE key = ? AND value = ?", (held, _KEY, was))
        if held is not None:
            if not _cut(connection, patience):
                return False
            connection.execute("DELETE FROM meta WHERE key = ? AND value = ?", (_KEY, held))
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    return True


def _held(connection: Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return None if row is None else str(row[0])


def _rewrite(connection: sqlite3.Connection) -> None:
    # secure_delete zeroes the cells that are deleted. But when SQLite moves cells from one page to another, or makes
    # room within a page, it leaves copies in the part of the page that is not in use, and these stay when the cells go.
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA temp_store = {'MEMORY' if size <= _RAM_BYTES else 'FILE'}")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = DEFAULT")


def _cut(connection: sqlite3.Connection, patience: float) -> bool:
    """Write the log into the file and truncate it, which readers of an older state prevent."""
    deadline = time.monotonic() + patience
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True

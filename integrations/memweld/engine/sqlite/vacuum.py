"""Removal of erased rows from the file's bytes: rewrites the file, truncates its log, and survives a crash between."""

from __future__ import annotations

import sqlite3
import time
import uuid
from typing import Literal, TypeAlias

from ..sql.database import Connection

__all__ = ["Scheduled", "cut", "run", "schedule", "scheduled"]

Scheduled: TypeAlias = Literal["rewrite", "cut"]
"""The scheduled work: the whole vacuum, or only the truncation of the log."""

# A row of ``meta``: what is scheduled, and a mark that tells a later erasure's row from this one's.
_KEY = "overwrite"
# VACUUM makes a copy of the file: in RAM up to here, larger ones in SQLite's directory for temporary files.
_RAM_BYTES = 256 * 2**20
_PAUSE_SECONDS = 0.05


def schedule(connection: Connection) -> None:
    """In the transaction that erases: note that the file is to be rewritten, should this process not live to do it."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, f"rewrite {uuid.uuid4().hex}"))


def scheduled(connection: Connection) -> Scheduled | None:
    """The scheduled work; None if there is none."""
    row = _row(connection)
    if row is None:
        return None
    return "rewrite" if row.startswith("rewrite") else "cut"


def run(connection: sqlite3.Connection, patience: float) -> bool:
    """Do what is scheduled; False if another process or thread reads or writes for longer than the patience.

    Args:
        connection: Outside of a transaction, and used by no other thread.
        patience: Seconds to wait for readers and other writers. This process's writers wait meanwhile.

    Raises:
        sqlite3.Error: The disk is full, or fails. The work stays scheduled.
    """
    before = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {int(patience * 1000)}")
    try:
        row = _row(connection)
        if row is not None and row.startswith("rewrite"):
            _rewrite(connection)
            mark = row.partition(" ")[2]
            connection.execute("UPDATE meta SET value = ? WHERE key = ? AND value = ?", (f"cut {mark}", _KEY, row))
            row = f"cut {mark}"
        if row is not None:
            if not cut(connection, patience):
                return False
            connection.execute("DELETE FROM meta WHERE key = ? AND value = ?", (_KEY, row))
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {before}")
    return True


def _row(connection: Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
    return None if row is None else str(row[0])


def _rewrite(connection: sqlite3.Connection) -> None:
    # secure_delete zeroes deleted cells. But SQLite moves cells between pages, or within one, and leaves copies in the
    # unused part of a page; these copies stay when the cells go.
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    connection.execute(f"PRAGMA temp_store = {'MEMORY' if size <= _RAM_BYTES else 'FILE'}")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = DEFAULT")


def cut(connection: sqlite3.Connection, patience: float) -> bool:
    """Write the log into the file and truncate it, which readers of an older state prevent."""
    deadline = time.monotonic() + patience
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True

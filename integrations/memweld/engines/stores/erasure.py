"""Erasure: every row of a scope gone from every table, and overwritten in the file."""

from __future__ import annotations

import sqlite3

from ...scope import Scope
from . import owners
from .sqlite import SqliteDatabase

__all__ = ["erase"]

# What belongs to an owner, in an order in which nothing refers to what is gone.
_TABLES = {
    "events": "item_events WHERE item_id IN (SELECT id FROM items WHERE owner = ?)",
    "items": "items WHERE owner = ?",
    "entities": "entities WHERE owner = ?",
    "values": "state WHERE owner = ?",
    "messages": "messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
    "sessions": "sessions WHERE owner = ?",
}


def erase(database: SqliteDatabase, scope: Scope) -> dict[str, int]:
    """Remove all rows that the scope contains, in one transaction, and the scope's own name.

    Returns:
        How many rows went from each store.
    """
    counts = dict.fromkeys(_TABLES, 0)
    with database.writing() as connection:
        for owner, holder in owners.visible(connection, scope).items():
            for store, rows in _TABLES.items():
                counts[store] += connection.execute(f"DELETE FROM {rows}", (owner,)).rowcount
            if holder.user_id is not None and scope.agent_id is not None:
                # The user's other memories stay, and with them the counters by which indexes are kept fresh.
                connection.execute(
                    "UPDATE owners SET version = version + 1, cleared = version + 1 "
                    "WHERE id = (SELECT root FROM owners WHERE id = ?)",
                    (owner,),
                )
            connection.execute("DELETE FROM owners WHERE id = ?", (owner,))
    _overwrite(database)
    return counts


def _overwrite(database: SqliteDatabase) -> None:
    """Let no deleted word stand in the file.

    Deleted rows are zeroed as they go (``secure_delete``); the full-text index keeps deleted words until its parts
    are merged, and the write-ahead log keeps old pages until it is truncated.
    """
    with database.writing() as connection:
        connection.execute("INSERT INTO items_words (items_words) VALUES ('optimize')")
    database.run_alone(_truncate_log)


def _truncate_log(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

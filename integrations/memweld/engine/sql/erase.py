"""Erasure: every row of a scope gone from every table, and overwritten in the file."""

from __future__ import annotations

from typing import NamedTuple

from ...scope import Scope
from ..sqlite.functions import forget_filters
from ..sqlite.transactions import SqliteDatabase
from . import owners
from .database import Connection

__all__ = ["Removed", "erase", "remove_all"]

# What belongs to an owner, in an order in which nothing refers to what is gone.
_TABLES = {
    "items": "items WHERE owner = ?",
    "entities": "entities WHERE owner = ?",
    "values": "state WHERE owner = ?",
    "messages": "messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
    "sessions": "sessions WHERE owner = ?",
}
_PATIENCE_SECONDS = 5.0


class Removed(NamedTuple):
    """What was deleted.

    Attributes:
        counts: How many rows went from each store.
        root: The root owner whose rows they were; None if nothing was known of the scope.
    """

    counts: dict[str, int]
    root: int | None


def erase(database: SqliteDatabase, scope: Scope) -> tuple[Removed, bool]:
    """Remove all rows that the scope contains, in one transaction, and the scope's own name; then overwrite them.

    Returns:
        What was removed, and whether nothing of it is left in the file. It is left while somebody else reads an older
        state for longer than some seconds, or where there is no room to rewrite the file: then later writes try again.
    """
    with database.writing() as connection:
        removed = remove_all(connection, scope)
        if removed.root is not None:
            database.owe_overwriting(connection)
    forget_filters()
    return removed, _overwrite(database)


def remove_all(connection: Connection, scope: Scope) -> Removed:
    """Delete the rows that the scope contains and the scope's own name."""
    counts = dict.fromkeys(_TABLES, 0)
    mine = owners.find(connection, scope)
    for owner in owners.contained(connection, scope):
        for store, rows in _TABLES.items():
            counts[store] += connection.execute(f"DELETE FROM {rows}", (owner,)).rowcount
        # The user's other memories stay, and with them the counters by which indexes are kept fresh.
        connection.execute(
            "UPDATE owners SET version = version + 1, cleared = version + 1 "
            "WHERE id = (SELECT root FROM owners WHERE id = ?)",
            (owner,),
        )
        connection.execute("DELETE FROM owners WHERE id = ?", (owner,))
    return Removed(counts, None if mine is None else mine.root)


def _overwrite(database: SqliteDatabase) -> bool:
    return database.overwrite(_PATIENCE_SECONDS)

"""Erasure: every row of a scope deleted from every table, and overwritten where the database can tell."""

from __future__ import annotations

from typing import NamedTuple

from ...scope import Scope
from . import owners
from .database import Connection, Database

__all__ = ["DeletedRows", "erase"]

# The rows of an owner, in an order in which no row refers to a deleted one.
_TABLES = {
    "items": "items WHERE owner = ?",
    "entities": "entities WHERE owner = ?",
    "values": "state WHERE owner = ?",
    "messages": "messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
    "sessions": "sessions WHERE owner = ?",
}
_PATIENCE_SECONDS = 5.0


class DeletedRows(NamedTuple):
    """The report of an erasure inside the database.

    Attributes:
        counts: How many rows each store lost.
        root: The root owner of the rows; None if nothing was known of the scope.
        overwritten: Whether nothing is left of them in the file. False while a reader holds an older state for some
            seconds, and where there is no room to rewrite the file: later writes try again. A server decides by itself,
            so that there it is always False.
    """

    counts: dict[str, int]
    root: int | None
    overwritten: bool


def erase(database: Database, scope: Scope) -> DeletedRows:
    """Delete all rows that the scope contains, in one transaction, and the scope's own name; then overwrite them."""
    with database.writing(scope) as connection:
        own = owners.find(connection, scope)
        counts = _delete(connection, scope)
        if own is not None:
            database.schedule_vacuum(connection)
    return DeletedRows(counts, None if own is None else own.root, database.vacuum(_PATIENCE_SECONDS))


def _delete(connection: Connection, scope: Scope) -> dict[str, int]:
    counts = dict.fromkeys(_TABLES, 0)
    for owner in owners.contained(connection, scope):
        for store, rows in _TABLES.items():
            counts[store] += connection.execute(f"DELETE FROM {rows}", (owner,)).rowcount
        # The user's other memories stay, and with them the counters by which indexes are kept fresh.
        owners.note_removal(connection, owner)
        connection.execute("DELETE FROM owners WHERE id = ?", (owner,))
    return counts

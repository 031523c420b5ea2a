"""How much is stored of a scope, by kind."""

from __future__ import annotations

from ...scope import Scope
from . import owners
from .database import Database
from .ttl import ALIVE, EXPIRED_ITEM, now

__all__ = ["count_stored"]

_KINDS = {"item": "items", "preference": "preferences", "task": "tasks", "record": "records"}
_STORES = {
    "values": f"SELECT count(*) FROM state WHERE owner = ? AND {ALIVE}",
    "sessions": "SELECT count(*) FROM sessions WHERE owner = ? AND messages > 0",
    "messages": "SELECT count(*) FROM messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
}


def count_stored(database: Database, scope: Scope) -> dict[str, int]:
    """The number of rows of each kind that the scope contains, expired values left out."""
    counts = dict.fromkeys((*_KINDS.values(), *_STORES), 0)
    with database.reading(scope) as connection:
        for owner in owners.contained(connection, scope):
            rows = connection.execute(
                f"SELECT kind, count(*) FROM items WHERE owner = ? AND NOT {EXPIRED_ITEM} GROUP BY kind", (owner, now())
            ).fetchall()
            for kind, count in rows:
                store = _KINDS.get(kind, f"{kind}s")
                counts[store] = counts.get(store, 0) + count
            for store, statement in _STORES.items():
                variables = (owner, now()) if "expires_at" in statement else (owner,)
                counts[store] += connection.execute(statement, variables).fetchone()[0]
    return counts

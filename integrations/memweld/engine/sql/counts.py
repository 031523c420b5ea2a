"""How much is stored of a scope, by kind."""

from __future__ import annotations

from ...scope import Scope
from . import owners
from .database import Database
from .schema import earlier_text
from .ttl import ALIVE, EXPIRED_ITEM, now

__all__ = ["ROW_BYTES", "count_stored"]

# Earlier texts of items are no items.
_KIND = f"CASE WHEN {earlier_text()} THEN 'version' ELSE kind END"
_KINDS = {"item": "items", "preference": "preferences", "task": "tasks", "record": "records", "version": "versions"}
_STORES = {
    "values": f"SELECT count(*) FROM state WHERE owner = ? AND {ALIVE}",
    "sessions": "SELECT count(*) FROM sessions WHERE owner = ? AND messages > 0",
    "messages": "SELECT count(*) FROM messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
}


ROW_BYTES = 1_000
"""What a row takes beside its text: a vector, terms and indexes."""

_BYTES = (
    f"SELECT sum(length(text) + length(metadata) + {ROW_BYTES}) FROM items WHERE owner = ?",
    f"SELECT sum(length(value) + {ROW_BYTES}) FROM state WHERE owner = ?",
    f"SELECT sum(length(content) + coalesce(length(tool_calls), 0) + coalesce(length(native), 0) + {ROW_BYTES}) "
    "FROM messages WHERE session IN (SELECT id FROM sessions WHERE owner = ?)",
)


def count_stored(database: Database, scope: Scope, *, with_bytes: bool = False) -> dict[str, int]:
    """The number of rows of each kind that the scope contains, expired values left out.

    Args:
        database: The database.
        scope: The scope.
        with_bytes: Whether ``bytes`` are counted, too: of all rows, with `ROW_BYTES` for each.
    """
    counts = dict.fromkeys((*_KINDS.values(), *_STORES), 0)
    with database.reading(scope) as connection:
        for owner in owners.contained(connection, scope):
            rows = connection.execute(
                f"SELECT {_KIND}, count(*) FROM items WHERE owner = ? AND NOT {EXPIRED_ITEM} GROUP BY 1",
                (owner, now()),
            ).fetchall()
            for kind, count in rows:
                store = _KINDS.get(kind, f"{kind}s")
                counts[store] = counts.get(store, 0) + count
            for store, statement in _STORES.items():
                variables = (owner, now()) if "expires_at" in statement else (owner,)
                counts[store] += connection.execute(statement, variables).fetchone()[0]
            if with_bytes:
                found = [connection.execute(statement, (owner,)).fetchone()[0] or 0 for statement in _BYTES]
                counts["bytes"] = counts.get("bytes", 0) + int(sum(found))
    return counts if not with_bytes else {"bytes": 0, **counts}

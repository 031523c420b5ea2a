"""Entities that mem0 links to items: the links of an item that goes are taken away."""

from __future__ import annotations

import json
import sqlite3

from ...checks import dump_json
from ...scope import Scope
from . import owners

__all__ = ["unlink", "unlink_all"]


def unlink(connection: sqlite3.Connection, scope: Scope, memory_id: str) -> None:
    """Take an item out of the scope's entities; an entity that is linked to nothing else goes."""
    for owner in owners.contained(connection, scope):
        rows = connection.execute("SELECT id, payload FROM entities WHERE owner = ?", (owner,)).fetchall()
        for entity, text in rows:
            payload = json.loads(text)
            linked = payload.get("linked_memory_ids", [])
            rest = [other for other in linked if other != memory_id]
            if not rest:
                connection.execute("DELETE FROM entities WHERE id = ?", (entity,))
            elif rest != linked:
                payload["linked_memory_ids"] = rest
                connection.execute("UPDATE entities SET payload = ? WHERE id = ?", (dump_json(payload), entity))


def unlink_all(connection: sqlite3.Connection, scope: Scope) -> None:
    """Delete the scope's entities."""
    for owner in owners.contained(connection, scope):
        connection.execute("DELETE FROM entities WHERE owner = ?", (owner,))

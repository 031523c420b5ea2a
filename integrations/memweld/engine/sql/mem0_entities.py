"""Entities that mem0 links to items: a deleted or changed item loses its links."""

from __future__ import annotations

import json
from typing import Any

from ...scope import Scope
from ...validation import dump_json
from . import owners
from .database import Connection

__all__ = ["linked_names", "unlink", "unlink_all"]


def unlink(connection: Connection, scope: Scope, memory_id: str) -> None:
    """Unlink an item from the scope's entities, and delete entities that are linked to no other item."""
    for owner in owners.contained(connection, scope):
        rows = connection.execute("SELECT id, payload FROM entities WHERE owner = ?", (owner,)).fetchall()
        for entity, text in rows:
            payload = _payload(text)
            linked = payload.get("linked_memory_ids", [])
            rest = [other for other in linked if other != memory_id]
            if not rest:
                connection.execute("DELETE FROM entities WHERE id = ?", (entity,))
            elif rest != linked:
                payload["linked_memory_ids"] = rest
                connection.execute("UPDATE entities SET payload = ? WHERE id = ?", (dump_json(payload), entity))


def unlink_all(connection: Connection, scope: Scope) -> None:
    """Delete the scope's entities."""
    for owner in owners.contained(connection, scope):
        connection.execute("DELETE FROM entities WHERE owner = ?", (owner,))


def linked_names(connection: Connection, owner: int, memory_id: str) -> list[str]:
    """The names of the entities that mem0 has linked to an item of this owner."""
    rows = connection.execute("SELECT payload FROM entities WHERE owner = ? AND instr(payload, ?)", (owner, memory_id))
    payloads = [_payload(row[0]) for row in rows]
    return [
        str(each["data"]) for each in payloads if memory_id in each.get("linked_memory_ids", []) and each.get("data")
    ]


def _payload(text: str) -> dict[str, Any]:
    """What mem0 stored of an entity; nothing where the row is damaged, so that it goes with the next deletion."""
    try:
        return json.loads(text)
    except ValueError:
        return {}

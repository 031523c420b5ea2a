"""Owners: the row that stands for a scope, and which rows a scope may see."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ...scope import Scope

__all__ = ["Owner", "claim", "find", "visible"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A scope's own row, and the root whose counters change with its items."""

    id: int
    root: int


def _columns(scope: Scope) -> tuple[str, str]:
    return scope.user_id or "", scope.agent_id or ""


def find(connection: sqlite3.Connection, scope: Scope) -> Owner | None:
    """The owner of exactly this scope, or None if it never stored anything."""
    row = connection.execute(
        "SELECT id, root FROM owners WHERE user_id = ? AND agent_id = ?", _columns(scope)
    ).fetchone()
    return None if row is None else Owner(*row)


def claim(connection: sqlite3.Connection, scope: Scope) -> Owner:
    """The owner of exactly this scope, made where there is none."""
    owner = find(connection, scope)
    if owner is not None:
        return owner
    root = None
    if scope.user_id is not None and scope.agent_id is not None:
        root = claim(connection, Scope(user_id=scope.user_id)).root
    cursor = connection.execute(
        "INSERT INTO owners (user_id, agent_id, root) VALUES (?, ?, ?)", (*_columns(scope), root or 0)
    )
    made = int(cursor.lastrowid or 0)
    if root is None:
        root = made
        connection.execute("UPDATE owners SET root = id WHERE id = ?", (made,))
    return Owner(made, root)


def visible(connection: sqlite3.Connection, scope: Scope) -> dict[int, Scope]:
    """Every owner whose rows the scope contains, by its id: a user's scope contains those of its agents."""
    user_id, agent_id = _columns(scope)
    if scope.user_id is not None and scope.agent_id is None:
        rows = connection.execute("SELECT id, user_id, agent_id FROM owners WHERE user_id = ?", (user_id,))
    else:
        rows = connection.execute(
            "SELECT id, user_id, agent_id FROM owners WHERE user_id = ? AND agent_id = ?", (user_id, agent_id)
        )
    found = {row[0]: Scope(user_id=row[1] or None, agent_id=row[2] or None) for row in rows.fetchall()}
    return {owner: other for owner, other in found.items() if scope.contains(other)}

"""Owners: the row that stands for a scope, and which rows a scope may see."""

from __future__ import annotations

from dataclasses import dataclass

from ...scope import Scope
from .database import Connection

__all__ = ["OWNER", "Owner", "claim", "columns", "contained", "find", "seen_by", "stamp"]

OWNER = "(SELECT id FROM owners WHERE user_id = ? AND agent_id = ?)"
"""The owner of exactly a scope inside a statement; its variables are `columns`."""

_COUNT = "UPDATE owners SET version = version + 1 WHERE user_id = ? AND agent_id = ? RETURNING id, version"


@dataclass(frozen=True, slots=True)
class Owner:
    """A scope's own row, and the root whose counters change with its items."""

    id: int
    root: int


def columns(scope: Scope) -> tuple[str, str]:
    """A scope as the columns ``user_id`` and ``agent_id`` have it."""
    return scope.user_id or "", scope.agent_id or ""


def find(connection: Connection, scope: Scope) -> Owner | None:
    """The owner of exactly this scope, or None if nothing was ever stored for it."""
    row = connection.execute(
        "SELECT id, root FROM owners WHERE user_id = ? AND agent_id = ?", columns(scope)
    ).fetchone()
    return None if row is None else Owner(*row)


def claim(connection: Connection, scope: Scope) -> Owner:
    """The owner of exactly this scope, made where there is none."""
    owner = find(connection, scope)
    if owner is not None:
        return owner
    root = None
    if scope.user_id is not None and scope.agent_id is not None:
        root = claim(connection, Scope(user_id=scope.user_id)).root
    row = connection.execute(
        "INSERT INTO owners (user_id, agent_id, root) VALUES (?, ?, ?) RETURNING id", (*columns(scope), root or 0)
    ).fetchone()
    made = int(row[0])
    if root is None:
        root = made
        connection.execute("UPDATE owners SET root = id WHERE id = ?", (made,))
    return Owner(made, root)


def stamp(connection: Connection, scope: Scope) -> tuple[Owner, int]:
    """The owner of exactly this scope, made where there is none, and the number of its next change of items."""
    if scope.user_id is None or scope.agent_id is None:
        # Its own root, which is found and counted in one statement.
        row = connection.execute(_COUNT, columns(scope)).fetchone()
        if row is not None:
            return Owner(row[0], row[0]), int(row[1])
    owner = claim(connection, scope)
    row = connection.execute(
        "UPDATE owners SET version = version + 1 WHERE id = ? RETURNING version", (owner.root,)
    ).fetchone()
    return owner, int(row[0])


def seen_by(owner: Owner) -> tuple[str, int]:
    """Which rows of a table with ``owner`` and ``root`` the owner's scope contains, as a condition and its variable.

    A user's scope is the root of all that agents keep of the user; every other scope is its own rows alone.
    """
    return ("root = ?", owner.root) if owner.id == owner.root else ("owner = ?", owner.id)


def contained(connection: Connection, scope: Scope) -> dict[int, str | None]:
    """The owners whose rows the scope contains, by id, each with its agent."""
    owner = find(connection, scope)
    if owner is None:
        return {}
    if owner.id != owner.root:
        return {owner.id: scope.agent_id}
    rows = connection.execute("SELECT id, agent_id FROM owners WHERE root = ? ORDER BY agent_id", (owner.root,))
    return {row[0]: row[1] or None for row in rows}

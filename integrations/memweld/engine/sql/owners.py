"""Owners: the row that stands for a scope, and which rows a scope may see."""

from __future__ import annotations

from dataclasses import dataclass

from ...scope import Scope
from .database import Connection

__all__ = [
    "OWNER",
    "Owner",
    "bump_version",
    "columns",
    "contained",
    "find",
    "get_or_create",
    "note_removal",
    "visible_to",
]

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


def get_or_create(connection: Connection, scope: Scope) -> Owner:
    """The owner of exactly this scope, created where there is none."""
    owner = find(connection, scope)
    if owner is not None:
        return owner
    root = None
    if scope.user_id is not None and scope.agent_id is not None:
        root = get_or_create(connection, Scope(user_id=scope.user_id)).root
    row = connection.execute(
        "INSERT INTO owners (user_id, agent_id, root) VALUES (?, ?, ?) RETURNING id", (*columns(scope), root or 0)
    ).fetchone()
    created = int(row[0])
    if root is None:
        root = created
        connection.execute("UPDATE owners SET root = id WHERE id = ?", (created,))
    return Owner(created, root)


def bump_version(connection: Connection, scope: Scope) -> tuple[Owner, int]:
    """The owner of exactly this scope, created where there is none, and the root's next version."""
    if scope.user_id is None or scope.agent_id is None:
        # Its own root: one statement finds and counts it.
        row = connection.execute(_COUNT, columns(scope)).fetchone()
        if row is not None:
            return Owner(row[0], row[0]), int(row[1])
    owner = get_or_create(connection, scope)
    row = connection.execute(
        "UPDATE owners SET version = version + 1 WHERE id = ? RETURNING version", (owner.root,)
    ).fetchone()
    return owner, int(row[0])


def note_removal(connection: Connection, owner: int) -> None:
    """Count a removal of items in the owner's root: indexes in RAM learn from it that rows are gone."""
    connection.execute(
        "UPDATE owners SET version = version + 1, cleared = version + 1 "
        "WHERE id = (SELECT root FROM owners WHERE id = ?)",
        (owner,),
    )


def visible_to(owner: Owner) -> tuple[str, int]:
    """The rows of a table with ``owner`` and ``root`` that the owner's scope contains: a condition and its variable.

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

"""The protocol of a store of vectors: take copies of items, remove them, and say which ids are near a query."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from ....scope import Scope
from ...search.embedders import Vector
from ...sql.outbox import Entry

__all__ = ["ItemCopy", "Mem0Store", "owner_ids"]


@dataclass(frozen=True, slots=True)
class ItemCopy:
    """An item on its way to the store, with its unit vector."""

    entry: Entry
    vector: Vector


class Mem0Store(Protocol):
    """A store of vectors. Thread-safe.

    Every method raises `BackendUnavailableError` when the store does not answer, or answers an error.

    Attributes:
        where: The store in words, without secrets.
        is_exclusive: Whether no other process can have it open.
        keeps_copies: Whether something may be left there, or on the way, after `drop`.
    """

    where: str
    is_exclusive: bool
    keeps_copies: bool

    def put(self, copies: Sequence[ItemCopy]) -> Collection[str]:
        """Store items in the place of what has their ids; the ids for which it is too early."""
        ...

    def drop(self, ids: Sequence[str]) -> Collection[str]:
        """Delete items, if they are there; the ids for which it is too early."""
        ...

    def near(self, scope: Scope, query: str, vector: Vector, count: int) -> tuple[dict[str, float], bool]:
        """The ids that are nearest among what the scope contains, each with its cosine, at most about ``count``.

        The length of the vector says how well the model knows the query. The cosines are multiplied by it.

        Returns:
            The ids, and whether there may be more of them. Ids that are not ours may be among them.
        """
        ...

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Which of these the store does not have."""
        ...

    def close(self) -> None:
        """Give it up; others in this process may go on using it."""
        ...


def owner_ids(scope: Scope) -> dict[str, str]:
    """The owner of an item as ``user_id`` and ``agent_id``, the only names that all of mem0's stores filter by.

    Ids are percent-encoded, because mem0 2.2 and its stores read ``*`` as all users. An agent's own memory has a
    name that no user's encoded id can be: a search for it finds nothing that the agent keeps of users.
    """
    agent = {} if scope.agent_id is None else {"agent_id": quote(scope.agent_id, safe="")}
    if scope.user_id is None:
        return {"user_id": f"agent:{agent['agent_id']}", **agent}
    return {"user_id": quote(scope.user_id, safe=""), **agent}

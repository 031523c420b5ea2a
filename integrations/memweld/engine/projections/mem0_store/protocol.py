"""What is asked of a place that holds vectors: to take rows, to drop them, and to say which ids are near."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from ....scope import Scope
from ...search.embedders import Vector
from ...sql.items import ItemRow

__all__ = ["Mirror", "Mirrored", "place_of"]


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A row on its way: what it says, and its unit vector."""

    row: ItemRow
    vector: Vector


class Mirror(Protocol):
    """A place of vectors. Thread-safe.

    Every method raises `BackendUnavailableError` when the place does not answer, or answers an error.

    Attributes:
        where: The place in words, without secrets.
        delivering: Held by whoever brings rows, so that no two threads bring the same.
        alone: Whether only this process can have it open.
        keeps_copies: Whether something may be left there, or on the way, after `drop`.
    """

    where: str
    delivering: threading.Lock
    alone: bool
    keeps_copies: bool

    def put(self, rows: Sequence[Mirrored]) -> Collection[str]:
        """Store rows, replacing what is there under their ids; the ids for which it is too early."""
        ...

    def drop(self, ids: Sequence[str]) -> Collection[str]:
        """Delete rows, if they are there; the ids for which it is too early."""
        ...

    def near(self, scope: Scope, query: str, vector: Vector, count: int) -> tuple[dict[str, float], bool]:
        """The ids that are nearest among what the scope contains, each with its cosine, at most about ``count``.

        The vector is as long as the model knows the query, and the cosines are to be multiplied by that.

        Returns:
            The ids, and whether there may be more of them. Ids that are not ours may be among them.
        """
        ...

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Which of these the place does not have."""
        ...

    def close(self) -> None:
        """Give it up; others in this process may go on using it."""
        ...


def place_of(scope: Scope) -> dict[str, str]:
    """Whose a row is, as the place's ``user_id`` and ``agent_id``: the only names that all of mem0's stores filter by.

    Ids are percent-encoded, because mem0 2.2 and its stores read ``*`` as everybody. An agent's own memory stands under
    a name that no user's encoded id can be, so that a search for it does not find what the agent keeps of users.
    """
    agent = {} if scope.agent_id is None else {"agent_id": quote(scope.agent_id, safe="")}
    if scope.user_id is None:
        return {"user_id": f"agent:{agent['agent_id']}", **agent}
    return {"user_id": quote(scope.user_id, safe=""), **agent}

"""The protocol of a store of vectors: take copies of items, remove them, and say which ids are near a query."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from ....scope import Scope
from ...search.embedders import Vector
from ...sql.outbox import Entry

__all__ = ["ItemCopy", "Mem0Store", "Records", "owner_ids"]

_ITEM = "memweld_item"


@dataclass(frozen=True, slots=True)
class ItemCopy:
    """An item on its way to the store, with its unit vector."""

    entry: Entry
    vector: Vector


class Mem0Store(Protocol):
    """A store of vectors. Thread-safe.

    Items are named by their ``seq``. The store knows each by its `Records` id, which no other database's item has.

    Every method raises `BackendUnavailableError` when the store does not answer, or answers an error.

    Attributes:
        where: The store in words, without secrets.
        is_exclusive: Whether no other process can have it open.
        keeps_copies: Whether something may be left there, or on the way, after `drop`.
    """

    where: str
    is_exclusive: bool
    keeps_copies: bool

    def put(self, copies: Sequence[ItemCopy]) -> Collection[int]:
        """Store items in the place of what it has of them; those for which it is too early."""
        ...

    def drop(self, items: Sequence[int]) -> Collection[int]:
        """Delete items, if they are there; those for which it is too early."""
        ...

    def near(self, scope: Scope, query: str, vector: Vector, count: int) -> tuple[dict[int, float], bool]:
        """The items that are nearest among what the scope contains, each with its cosine, at most about ``count``.

        The length of the vector says how well the model knows the query. The cosines are multiplied by it.

        Returns:
            The items, and whether there may be more of them. Some may not exist any more.
        """
        ...

    def missing(self, items: Sequence[int]) -> list[int]:
        """Which of these the store does not have."""
        ...

    def close(self) -> None:
        """Give it up; others in this process may go on using it."""
        ...


class Records:
    """The names of a database's items in a store, which may hold the records of other databases.

    Args:
        database: The name of the database in the store (`Outbox.name`).
    """

    def __init__(self, database: str) -> None:
        self._database = database

    def id_of(self, item: int) -> str:
        """The id of an item's record: a UUID, because some stores take no other."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"memweld:{self._database}:{item}"))

    def fields(self, item: int) -> dict[str, str]:
        """The field of a record by which `item_of` knows it again. Some stores take nothing but texts."""
        return {_ITEM: str(item)}

    def item_of(self, record: str, fields: Mapping[str, object]) -> int | None:
        """The item of a record; None for a record of another database, or of another program."""
        named = str(fields.get(_ITEM))
        item = int(named) if named.isascii() and named.isdecimal() else None
        return item if item is not None and record == self.id_of(item) else None


def owner_ids(scope: Scope) -> dict[str, str]:
    """The owner of an item as ``user_id`` and ``agent_id``, the only names that all of mem0's stores filter by.

    Ids are percent-encoded, because mem0 2.2 and its stores read ``*`` as all users. An agent's own memory has a
    name that no user's encoded id can be: a search for it finds nothing that the agent keeps of users.
    """
    agent = {} if scope.agent_id is None else {"agent_id": quote(scope.agent_id, safe="")}
    if scope.user_id is None:
        return {"user_id": f"agent:{agent['agent_id']}", **agent}
    return {"user_id": quote(scope.user_id, safe=""), **agent}

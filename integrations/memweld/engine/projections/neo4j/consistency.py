"""Whether the memory and the graph agree, item by item, and how what is out of step is told again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ....errors import MemweldError
from ....models import JSON
from ....scope import Scope
from ...sql.outbox import Outbox
from . import cypher
from .client import GraphClient
from .edge_digest import is_as_told, tie_of
from .node_ids import memory_id
from .projection import properties_of

__all__ = ["Checkup", "Standing"]

_PAGE = 500
_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a graph stands.

    Attributes:
        where: The graph, in words.
        begun: Whether it was ever told anything.
        compared: Whether it could be compared; else nothing is known of what is missing, outdated or an orphan.
        pending: How many changes it was not told of yet.
        oldest: Since when the oldest waits (seconds since 1970).
        problem: Why it cannot be told now, as far as is known.
        items: How many items there are.
        missing: How many the graph lacks, and knows of no pending change.
        outdated: How many it knows otherwise: with another text, owner or session, or tied to other entities, or tied
            otherwise, than it was told.
        orphans: How many of its memories are no items any more.
    """

    where: str
    begun: bool = True
    compared: bool = True
    pending: int = 0
    oldest: float | None = None
    problem: str | None = None
    items: int = 0
    missing: int = 0
    outdated: int = 0
    orphans: int = 0

    @property
    def agrees(self) -> bool:
        """Whether nothing is out of step, and nothing waits."""
        return not (self.pending or self.problem or self.missing or self.outdated or self.orphans)


class Checkup:
    """Compares, and repairs.

    Args:
        outbox: The memory's side.
        client: The graph's side.
        store: Gives the name of the database of the memories.
    """

    def __init__(self, outbox: Outbox, client: GraphClient, store: Callable[[], str]) -> None:
        self._outbox = outbox
        self._client = client
        self._store = store

    def compare(self) -> tuple[int, list[str], list[str], list[str]]:
        """How many items there are; the ids of those that are missing, those that are outdated, and orphans.

        What changes meanwhile may be counted, and is told anyway.
        """
        store = self._store()
        count, missing, outdated = 0, list[str](), list[str]()
        after = ""
        while page := self._outbox.page(None, after=after, limit=_PAGE):
            after = page[-1][0]
            entries = self._outbox.entries([item for item, _ in page])
            count += len(entries)
            there = self._there([memory_id(store, item) for item in entries])
            for item, entry in entries.items():
                node = there.get(memory_id(store, item))
                if node is None:
                    missing.append(item)
                elif not is_as_told(properties_of(store, entry), *node):
                    outdated.append(item)
        orphans = list[str]()
        place, prefix = "", memory_id(store, "")
        while rows := self._client.read(cypher.NODES, seconds=_SECONDS, after=place, prefix=prefix, limit=_PAGE):
            place = rows[-1]["node"]
            held = self._outbox.exists([row["item"] for row in rows])
            orphans += [row["item"] for row in rows if row["item"] not in held]
        return count, missing, outdated, orphans

    def _there(self, ids: Sequence[str]) -> dict[str, tuple[Mapping[str, JSON], list[list[str]]]]:
        """What the nodes of memories say, and what they are tied to."""
        rows = self._client.read(cypher.NODES_OF, seconds=_SECONDS, ids=ids)
        nodes = {row["node"]: (row["properties"], [tie_of(*tie) for tie in row["ties"]]) for row in rows}
        for row in self._client.read(cypher.RELATIONS_OF, seconds=_SECONDS, ids=ids):
            if row["node"] in nodes:
                nodes[row["node"]][1].append(["RELATED_TO", *(str(row[part]) for part in ("one", "name", "other"))])
        return nodes

    def standing(self) -> Standing:
        """How the graph stands; of one that cannot be asked: what waits, since when and why."""
        if self._outbox.store() is None:
            return Standing(where=self._client.address.where, begun=False)
        pending, lease = self._outbox.pending(), self._outbox.lease()
        known = Standing(
            where=self._client.address.where,
            pending=pending.count,
            oldest=pending.oldest,
            problem=lease.problem,
            items=self._outbox.count(),
        )
        try:
            count, missing, outdated, orphans = self.compare()
        except MemweldError as error:
            return dataclasses.replace(known, compared=False, problem=str(error))
        return dataclasses.replace(
            known, items=count, missing=len(missing), outdated=len(outdated), orphans=len(orphans)
        )

    def repair(self, *, scope: Scope | None, whole: bool) -> int:
        """Put what is out of step into the outbox again; how many items.

        Args:
            scope: Tell everything of this scope again, whether it is out of step or not.
            whole: Tell everything of all again.
        """
        if whole or scope is not None:
            return self._outbox.fill(scope)
        _, missing, outdated, orphans = self.compare()
        wanted = [*missing, *outdated, *orphans]
        self._outbox.put(wanted)
        return len(wanted)

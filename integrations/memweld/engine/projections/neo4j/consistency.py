"""Whether the memory and the graph agree, item by item, and the delivery of what is out of step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from ....errors import MemweldError
from ....models import JSON
from ....scope import Scope
from ...protocol import GraphHealth
from ...sql.delivery_lease import DeliveryLease
from ...sql.outbox import Outbox
from . import cypher
from .client import GraphClient
from .projection import is_as_projected, memory_id, properties_of, tie_of

__all__ = ["Consistency"]

_PAGE = 500
_SECONDS = 30.0
_DIGITS = 19  # of the greatest ``seq``


class Consistency:
    """Compares and repairs.

    Args:
        outbox: The changes that wait for the graph.
        client: The graph.
        store: Gives the name by which the graph knows the database of the memories.
    """

    def __init__(self, outbox: Outbox, client: GraphClient, store: Callable[[], str]) -> None:
        self._outbox = outbox
        self._client = client
        self._store = store

    def health(self) -> GraphHealth:
        """Compare item by item. Of a graph that does not answer: what waits, since when and why."""
        where = self._client.address.where
        store = self._outbox.store()
        if store is None:
            return GraphHealth(where=where, begun=False)
        pending = self._outbox.pending()
        known = GraphHealth(
            where=where,
            pending=pending.count,
            oldest=pending.oldest,
            problem=DeliveryLease(self._outbox).state().problem,
            items=self._outbox.count(),
        )
        try:
            count, missing, outdated, orphans = self._compare(store)
        except MemweldError as error:
            return dataclasses.replace(known, compared=False, problem=str(error))
        return dataclasses.replace(
            known, items=count, missing=len(missing), outdated=len(outdated), orphans=len(orphans)
        )

    def repair(self, *, scope: Scope | None, whole: bool) -> int:
        """Put what is out of step into the outbox again; how many items.

        Args:
            scope: Put everything of this scope there, whether it is out of step or not.
            whole: Put everything of all scopes there.
        """
        if whole or scope is not None:
            return self._outbox.fill(scope)
        _, missing, outdated, orphans = self._compare(self._store())
        self._outbox.put([*missing, *outdated, *orphans])
        return len(missing) + len(outdated) + len(orphans)

    def _compare(self, store: str) -> tuple[int, list[int], list[int], list[int]]:
        """How many items there are; the missing items, the outdated ones, and the orphans, each by its ``seq``.

        Changes that are made meanwhile may be counted. The outbox delivers them anyway.
        """
        count, missing, outdated = 0, list[int](), list[int]()
        after = 0
        while page := self._outbox.page(after=after, limit=_PAGE):
            after = page[-1]
            entries = self._outbox.entries(page)
            count += len(entries)
            nodes = self._nodes([memory_id(store, item) for item in entries])
            for item, entry in entries.items():
                node = nodes.get(memory_id(store, item))
                if node is None:
                    missing.append(item)
                elif not is_as_projected(properties_of(store, entry), *node):
                    outdated.append(item)
        orphans = list[int]()
        place, prefix = "", f"{store}/memory:"
        while rows := self._client.read(cypher.NODES, seconds=_SECONDS, after=place, prefix=prefix, limit=_PAGE):
            place = rows[-1]["node"]
            # A node of another program's making may have any end.
            ends = (str(row["node"]).removeprefix(prefix) for row in rows)
            items = [int(end) for end in ends if end.isascii() and end.isdecimal() and len(end) < _DIGITS]
            stored = self._outbox.exists(items)
            orphans += [item for item in items if item not in stored]
        return count, missing, outdated, orphans

    def _nodes(self, ids: Sequence[str]) -> dict[str, tuple[Mapping[str, JSON], list[list[str]]]]:
        """The properties and ties of the nodes of memories."""
        rows = self._client.read(cypher.NODES_OF, seconds=_SECONDS, ids=ids)
        nodes = {row["node"]: (row["properties"], list[list[str]]()) for row in rows}
        for row in self._client.read(cypher.TIES_OF, seconds=_SECONDS, ids=ids):
            if row["node"] in nodes:
                nodes[row["node"]][1].append(tie_of(row["kind"], row["neighbour"]))
        for row in self._client.read(cypher.RELATIONS_OF, seconds=_SECONDS, ids=ids):
            if row["node"] in nodes:
                nodes[row["node"]][1].append(["RELATED_TO", *(str(row[part]) for part in ("one", "name", "other"))])
        return nodes

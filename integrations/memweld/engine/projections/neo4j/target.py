"""The graph as a target of the outbox: finds what changed items mention, and writes them in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from ...sql.outbox import Entry, Outbox
from .client import GraphClient
from .entity_extraction import EntityFinder
from .projection import Mentions, project

__all__ = ["GraphTarget"]

logger = logging.getLogger("memweld.graph")

_BATCH = 200
_SLOW_BATCH = 8  # where an LLM reads each memory first


class GraphTarget:
    """A Neo4j database that receives changes.

    Args:
        outbox: The changes.
        client: The graph.
        finder: Finds what memories mention.
    """

    knows_fences = True

    def __init__(self, outbox: Outbox, client: GraphClient, finder: EntityFinder) -> None:
        self._outbox = outbox
        self._client = client
        self._finder = finder
        self._found: dict[tuple[int, str], Mentions] = {}

    @property
    def batch(self) -> int:
        """How many changes one delivery has at most."""
        return _SLOW_BATCH if self._finder.is_slow else _BATCH

    def deliver(self, fence: int, entries: Sequence[Entry], deleted: Sequence[int]) -> Collection[int]:
        """Write entries with what they mention, and remove deleted items (see ``Target.deliver``)."""
        before = {entry.seq: (entry, self._find(entry)) for entry in entries}
        removed = list(deleted)
        if self._finder.is_slow and entries:
            # An LLM takes its time, and the graph must not receive an item that was deleted meanwhile.
            current = self._outbox.entries(list(before))
            removed += [item for item in before if item not in current]
            before = {item: (entry, self._find(entry)) for item, entry in current.items()}
        store, projected = self._outbox.store(), list(before.values())
        if store is None:
            return ()  # the graph was detached meanwhile
        self._client.write(
            lambda transaction: project(transaction, store, fence, projected, removed, when_new=self._begin_anew)
        )
        self._found.clear()
        return ()

    def _find(self, entry: Entry) -> Mentions:
        """The entities of an item, cached: after an outage of the graph the LLM is not asked again."""
        key = entry.seq, entry.hash
        if key not in self._found:
            self._found[key] = self._finder(entry)
        return self._found[key]

    def _begin_anew(self) -> None:
        """Put all items into the outbox: the server is another one, or has lost its data."""
        self._client.prepare_again()
        if self._outbox.fill(missing=True):
            logger.warning("memweld: the graph is new: it is told of all memories")

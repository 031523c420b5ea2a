"""The graph as a projection of an engine: it receives changes, and raises the hits of a search that it links.

The memory never depends on it. Changes wait in the outbox while the graph is down. A search that gets no answer from it
in time goes on without.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from ....errors import ConfigurationError, MemweldError, log_line
from ....models import EraseReceipt, Hit
from ....scope import Scope
from ...fork import call_in_child
from ...operations import Erase, Operation, RelatedItems, Search, SettleGraph
from ...protocol import EngineAdmin, GraphHealth
from ...sql.database import Database
from ...sql.item_rows import ItemRow
from ...sql.items import Items
from ...sql.outbox import Outbox
from ...sql.ttl import now
from ..delivery import Deliverer
from ..engine import Run
from .client import GraphClient, require_neo4j
from .consistency import Consistency
from .entity_extraction import AskJson, EntityFinder
from .queries import GraphQueries
from .target import GraphTarget
from .url import GraphAddress

__all__ = ["GraphProjection"]

logger = logging.getLogger("memweld.graph")

_SETTLE_SECONDS = 5.0  # so long a deletion waits for the graph
_REPAIR_SECONDS = 600.0
# To find hits that rise, a search looks at this many at least, and at this many times as many as the caller wants.
_POOL = (30, 4)
_MOST_RAISED = 400


class GraphProjection:
    """A Neo4j graph beside a SQL database.

    Args:
        database: The tables.
        address: Where the graph is.
        llm: Names entities; the argument of `memweld.connect`.
        llm_timeout: Seconds to wait for its answer.

    Raises:
        ConfigurationError: The memory is in RAM.
        MissingExtraError: The driver is not installed.
    """

    is_graph = True

    def __init__(self, database: Database, address: GraphAddress, *, llm: Any, llm_timeout: float) -> None:
        require_neo4j()
        if database.in_ram:
            raise ConfigurationError(
                "graph= does not go with a memory in RAM, whose nodes would outlive it: name a file, sqlite:///team.db."
            )
        self._database = database
        self._outbox = Outbox(database)
        self._items = Items(database)
        self.client = GraphClient(address)
        ask = None if llm is None or address.finder == "rule" else _make_ask(llm, llm_timeout)
        target = GraphTarget(self._outbox, self.client, EntityFinder(database, ask))
        self._deliverer = Deliverer(self._outbox, target)
        self._queries = GraphQueries(self.client, self._store, self._rows)
        self._consistency = Consistency(self._outbox, self.client, self._store)
        self._renew()
        call_in_child(self._renew_all)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._name: str | None = None

    def _renew_all(self) -> None:
        self._renew()
        self.client.forget()
        self._deliverer.start_anew()

    def _store(self) -> str:
        """The name by which the graph knows this database. The first call attaches the graph to the outbox."""
        with self._lock:
            if self._name is None:
                if self._database.is_secured:
                    raise ConfigurationError(
                        "A graph receives all users' memories, and row-level security lets this role see one user at "
                        "a time: give graph= to a process whose role sees all (the owner of the tables); leave it "
                        "out here."
                    )
                self._name = self._outbox.attach()
            return self._name

    def _rows(self, scope: Scope, ids: Sequence[str]) -> Mapping[str, ItemRow]:
        rows = self._items.by_ids(scope, ids)
        moment = now()
        return {row.id: row for row in rows.values() if row.is_valid(moment)}

    # operations

    @contextlib.contextmanager
    def changing(self, operation: Operation[Any] | None) -> Generator[None]:  # noqa: ARG002 - all kinds are alike
        """Attach the graph before items change: later only a comparison would find them. Deliver them afterwards."""
        self._store()
        try:
            yield
        finally:
            self._deliverer.wake()

    def search(self, scope: Scope, operation: Search, run: Run) -> list[Hit]:
        """The items that fit best, best first; those that the graph links to the query rise."""
        limit = operation.limit
        pool = max(limit, min(max(_POOL[0], _POOL[1] * limit), _MOST_RAISED))
        hits: list[Hit] = run(scope, dataclasses.replace(operation, limit=pool))
        if not hits:
            return hits
        # A killed process may have left changes behind; deliver them although no process writes now.
        self._deliverer.begin()
        try:
            near = self._raise(scope, operation, hits[:_MOST_RAISED])
        except MemweldError as error:
            logger.debug("memweld: searched without the graph: %s", log_line(error))
            return hits[:limit]
        return sorted([*near, *hits[_MOST_RAISED:]], key=lambda hit: -hit.score)[:limit]

    def _raise(self, scope: Scope, operation: Search, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with raised scores. Age reduces the raised score, not the one before."""
        if operation.recency is None:
            return self._queries.raise_hits(scope, operation.query, hits)
        half_life = operation.recency.total_seconds()
        left = {hit.id: _left_by_age(hit, half_life) for hit in hits}
        new = [hit.with_score(min(hit.score / left[hit.id], 1.0)) for hit in hits]
        new.sort(key=lambda hit: -hit.score)
        raised = self._queries.raise_hits(scope, operation.query, new)
        return [hit.with_score(hit.score * left[hit.id]) for hit in raised]

    def answer(self, scope: Scope, operation: RelatedItems | SettleGraph) -> Any:
        """The items that the graph links, or whether it has received all changes of the scope."""
        if isinstance(operation, RelatedItems):
            self._store()
            self._deliverer.wake()
            return self._queries.related(scope, operation.about, limit=operation.limit)
        return self._settle(self._outbox.owners_of(scope), operation.timeout)

    def _settle(self, owners: Sequence[int], timeout: float | None) -> bool:
        if timeout is not None:
            return self._deliverer.settle(owners=owners, timeout=timeout, urge=True, give_up=lambda: False)
        # Where the graph is known to be down, no deletion waits for it.
        return self._deliverer.settle(owners=owners, timeout=_SETTLE_SECONDS)

    def erase(self, scope: Scope, operation: Erase, run: Run) -> EraseReceipt:
        """Remove all that the scope contains, here and in the graph."""
        self._store()
        owners, before = self._outbox.owners_of(scope), self._count(scope)
        receipt: EraseReceipt = run(scope, operation)
        # An agent that began to store something between the two was erased, too.
        owners = sorted({*owners, *self._outbox.owners_erased()})
        self._deliverer.wake()
        is_settled = self._settle(owners, None)
        after = self._count(scope) if is_settled else None
        deleted = max(before - after, 0) if before is not None and after is not None else 0
        return dataclasses.replace(
            receipt, counts={**receipt.counts, "graph": deleted}, graph="done" if is_settled else "pending"
        )

    def _count(self, scope: Scope) -> int | None:
        try:
            return self._queries.count(scope)
        except MemweldError:
            return None

    # for the operator

    def sync(self) -> int:
        """Nothing: the deliverer's thread does it."""
        return 0

    def health(self) -> GraphHealth:
        """The state of the graph, item by item where it answers. Nothing is written."""
        return self._consistency.health()

    def repair(self, scope: Scope | None, *, whole: bool) -> int:
        """Deliver again what is out of step, or all of a scope, or all; how many items.

        Raises:
            BackendUnavailableError: The graph does not answer, or has not received all in ten minutes; the rest
                follows.
        """
        self._store()
        count = self._consistency.repair(scope=scope, whole=whole)
        self._deliverer.settle_or_fail(_REPAIR_SECONDS)
        return count

    def detach(self, inner: EngineAdmin) -> int:
        """Drop the changes that wait. The next change of an item by this process attaches the graph again."""
        with self._lock:
            self._name = None
            return inner.detach_graph()

    def close(self) -> None:
        """Deliver what waits, within some seconds, and close the connections."""
        try:
            if self._deliverer.is_started and not self.client.is_closed:
                self._deliverer.settle(timeout=_SETTLE_SECONDS)
        except MemweldError as error:
            logger.debug("memweld: the rest is delivered later: %s", log_line(error))
        finally:
            self._deliverer.stop(_SETTLE_SECONDS)
            self.client.close()


def _make_ask(llm: Any, timeout: float) -> AskJson:
    """A function that asks the LLM. Its first call makes the LLM, which may load mem0."""

    @functools.cache
    def guarded() -> Any:
        from ...extraction.llm import GuardedLLM, load_llm

        return GuardedLLM(load_llm(llm), timeout=timeout)

    return lambda messages: guarded().ask_json(messages)


def _left_by_age(hit: Hit, half_life: float) -> float:
    """The part of a score that age leaves, never 0. The age of a value under a key is that of its last change."""
    made = hit.created_at if hit.key is None else hit.updated_at
    return max(0.5 ** (max(time.time() - made.timestamp(), 0.0) / half_life), 1e-300)

"""An engine with a graph: the engine as it is, whose changes also reach Neo4j, and whose search knows of it.

Nothing here is in the way of the memory: changes wait in the outbox while the graph is down, and a search that gets no
answer from it in time answers without.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ....errors import ConfigurationError, MemweldError
from ....models import EraseReceipt, Hit, Related
from ....scope import Scope
from ...fork import call_in_child
from ...operations import Erase, Operation, RelatedItems, Search, SettleGraph
from ...protocol import Engine, EngineAdmin, GraphHealth, HealthCheck, Migration, Progress
from ...sql.items import ItemRow, Items
from ...sql.outbox import Outbox
from ..delivery import Deliverer
from .client import GraphClient, require_neo4j
from .consistency import Consistency
from .entity_extraction import AskJson, EntityFinder
from .queries import GraphQueries
from .target import GraphTarget
from .url import GraphAddress

if TYPE_CHECKING:
    from ...sql_engine import SqlEngine

__all__ = ["GraphEngine", "with_graph"]

T = TypeVar("T")

logger = logging.getLogger("memweld.graph")

SETTLE_SECONDS = 5.0
"""How long a deletion waits for the graph."""

_POOL = (30, 4)  # a search looks at so many hits at least, or so many times as many as are wanted, to find what rises
_MOST_RAISED = 400


class GraphEngine:
    """An engine over tables, and a graph.

    Args:
        engine: What keeps the memory.
        address: Where the graph is.
        ask: How to ask an LLM; None where there is none.
    """

    def __init__(self, engine: SqlEngine, address: GraphAddress, ask: AskJson | None) -> None:
        self._engine = engine
        self._database = engine.database
        self._outbox = Outbox(self._database)
        self._items = Items(self._database)
        self._client = GraphClient(address)
        finder = EntityFinder(self._database, None if address.finder == "rule" else ask)
        self._delivery = Deliverer(self._outbox, GraphTarget(self._outbox, self._store, self._client, finder))
        self._reading = GraphQueries(self._client, self._store, self._rows)
        self._consistency = Consistency(self._outbox, self._client, self._store)
        self._reset()
        call_in_child(self._forget)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._name: str | None = None

    def _forget(self) -> None:
        self._reset()
        self._client.forget()
        self._delivery.start_anew()

    def _store(self) -> str:
        """The name by which the graph knows this database; asked for first, it says that there is a graph."""
        with self._lock:
            if self._name is None:
                if self._database.is_secured:
                    raise ConfigurationError(
                        "A graph is told of all users' memories, and row-level security lets this role see one user at "
                        "a time: give graph= to a process whose role sees all (the owner of the tables); leave it "
                        "out here."
                    )
                self._name = self._outbox.attach()
            return self._name

    def _rows(self, scope: Scope, ids: Sequence[str]) -> Mapping[str, ItemRow]:
        rows = (self._items.get(scope, each) for each in ids)
        return {row.id: row for row in rows if row is not None}

    @property
    def has_graph(self) -> bool:
        """There is one."""
        return True

    @property
    def can_extract(self) -> bool:
        """Whether an LLM was given."""
        return self._engine.can_extract

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the store and its graph."""
        return GraphAdmin(self, self._engine.admin)

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope; the graph learns of the changes."""
        if isinstance(operation, Search):
            return cast("T", self._search(scope, operation))
        if isinstance(operation, RelatedItems):
            return cast("T", self._related(scope, operation))
        if isinstance(operation, SettleGraph):
            return cast("T", self._settle(self._outbox.owners_of(scope), operation.timeout))
        if isinstance(operation, Erase):
            return cast("T", self._erase(scope, operation))
        if operation.changes_items:
            with self.changing():
                return self._engine.run(scope, operation)
        return self._engine.run(scope, operation)

    @contextlib.contextmanager
    def changing(self) -> Generator[None]:
        """Deliver what changes inside."""
        # First of all: only a comparison finds a change that was made before the outbox had a graph.
        self._store()
        try:
            yield
        finally:
            self._delivery.wake()

    def _search(self, scope: Scope, operation: Search) -> list[Hit]:
        """The items that fit best, best first; those that the graph links to the question rise."""
        limit = operation.limit
        pool = max(limit, min(max(_POOL[0], _POOL[1] * limit), _MOST_RAISED))
        hits = self._engine.run(scope, dataclasses.replace(operation, limit=pool))
        if not hits:
            return hits
        # A killed process may have left changes behind; deliver them although no process writes now.
        self._delivery.begin()
        try:
            near = self._raised(scope, operation, hits[:_MOST_RAISED])
        except MemweldError as error:
            logger.debug("memweld: searched without the graph: %s", error)
            return hits[:limit]
        return sorted([*near, *hits[_MOST_RAISED:]], key=lambda hit: -hit.score)[:limit]

    def _raised(self, scope: Scope, operation: Search, hits: Sequence[Hit]) -> list[Hit]:
        """The hits as the graph raises them; what age takes is taken of the raised score."""
        if operation.recency is None:
            return self._reading.raise_hits(scope, operation.query, hits)
        half_life = operation.recency.total_seconds()
        left = {hit.id: _left_by_age(hit, half_life) for hit in hits}
        new = [dataclasses.replace(hit, score=min(hit.score / left[hit.id], 1.0)) for hit in hits]
        new.sort(key=lambda hit: -hit.score)
        raised = self._reading.raise_hits(scope, operation.query, new)
        return [dataclasses.replace(hit, score=hit.score * left[hit.id]) for hit in raised]

    def _related(self, scope: Scope, operation: RelatedItems) -> list[Related]:
        """What the graph links to an entity or to an item."""
        self._store()
        self._delivery.wake()
        return self._reading.related(scope, operation.about, limit=operation.limit)

    def _settle(self, owners: Sequence[int], timeout: float | None) -> bool:
        if timeout is not None:
            return self._delivery.settle(owners=owners, timeout=timeout, urge=True, give_up=lambda: False)
        # Whichever process delivers: where the graph is known to be down, no deletion waits for it.
        return self._delivery.settle(owners=owners, timeout=SETTLE_SECONDS)

    def _erase(self, scope: Scope, operation: Erase) -> EraseReceipt:
        """Remove all that the scope contains, here and in the graph."""
        self._store()
        owners, before = self._outbox.owners_of(scope), self._count(scope)
        receipt = self._engine.run(scope, operation)
        # What an agent began to keep between the two was erased, too.
        owners = sorted({*owners, *self._outbox.owners_erased()})
        self._delivery.wake()
        told = self._settle(owners, None)
        after = self._count(scope) if told else None
        gone = max(before - after, 0) if before is not None and after is not None else 0
        return dataclasses.replace(
            receipt, counts={**receipt.counts, "graph": gone}, graph="done" if told else "pending"
        )

    def _count(self, scope: Scope) -> int | None:
        try:
            return self._reading.count(scope)
        except MemweldError:
            return None

    # for the operator

    def health(self) -> GraphHealth:
        """The state of the graph, item by item where it can be asked. Nothing is written."""
        return self._consistency.health()

    def repair(self, scope: Scope | None, *, whole: bool, timeout: float = 600.0) -> int:
        """Deliver again what is out of step, or all of a scope, or all; how many items.

        Raises:
            BackendUnavailableError: The graph does not answer, or has not received all in this time; the rest follows.
        """
        self._store()
        count = self._consistency.repair(scope=scope, whole=whole)
        self._delivery.settle_or_fail(timeout)
        return count

    def detach(self) -> int:
        """Keep no changes for the graph; the next change of an item that is made here begins it anew."""
        with self._lock:
            self._name = None
            return self._engine.admin.detach_graph()

    def close(self) -> None:
        """Tell the graph what waits, within some seconds, and close everything."""
        try:
            if self._delivery.is_started and not self._client.is_closed:
                self._tell_the_rest()
        finally:
            self._delivery.stop(SETTLE_SECONDS)
            self._client.close()
            self._engine.close()

    def _tell_the_rest(self) -> None:
        try:
            self._delivery.settle(timeout=SETTLE_SECONDS)
        except MemweldError:
            logger.debug("memweld: what waits for the graph is told later", exc_info=True)


class GraphAdmin(EngineAdmin):
    """The operator's view of a store with a graph.

    Args:
        engine: The engine with the graph.
        inner: The view of the store alone.
    """

    def __init__(self, engine: GraphEngine, inner: EngineAdmin) -> None:
        self._engine = engine
        self._inner = inner

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored."""
        return self._inner.list_scopes(after=after, limit=limit)

    def purge_expired(self) -> int:
        """Delete the expired values of all users, and their records in the graph."""
        with self._engine.changing():
            return self._inner.purge_expired()

    def reindex(self, progress: Progress | None = None) -> int:
        """Embed all memories again."""
        return self._inner.reindex(progress)

    def sync_projections(self) -> int:
        """Bring waiting changes to the mem0 store."""
        return self._inner.sync_projections()

    def graph_health(self) -> GraphHealth:
        """The state of the graph, item by item where it answers. Nothing is written."""
        return self._engine.health()

    def graph_backlog(self) -> int | None:
        """How many changes wait for the graph."""
        return self._inner.graph_backlog()

    def repair_graph(self, scope: Scope | None = None, *, whole: bool = False) -> int:
        """Write again to the graph what is out of step, or all of a scope, or all."""
        return self._engine.repair(scope, whole=whole)

    def detach_graph(self) -> int:
        """Drop the changes that wait for the graph."""
        return self._engine.detach()

    def migrate(self, *, role: str | None = None, signed: bool = False) -> Migration | None:
        """Bring the tables forward."""
        return self._inner.migrate(role=role, signed=signed)

    def health(self) -> list[HealthCheck]:
        """What there is to say about the database server."""
        return self._inner.health()


def with_graph(engine: SqlEngine, address: GraphAddress, *, llm: Any, llm_timeout: float) -> Engine:
    """The engine with a graph beside it.

    Args:
        engine: An engine over tables in a file or on a server.
        address: Where the graph is.
        llm: What names entities, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.

    Raises:
        ConfigurationError: The memory is in RAM.
        MissingExtraError: The driver is not installed.
    """
    require_neo4j()
    if engine.in_ram:
        raise ConfigurationError(
            "graph= does not go with a memory in RAM, whose nodes nobody would take away: name a file, sqlite:///team.db."
        )
    return GraphEngine(engine, address, None if llm is None else _asking(llm, llm_timeout))


def _asking(llm: Any, timeout: float) -> AskJson:
    """How to ask the LLM; made when it is first asked, because it loads mem0."""

    @functools.cache
    def guarded() -> Any:
        from ...extraction.llm import GuardedLLM, load_llm

        return GuardedLLM(load_llm(llm), timeout=timeout)

    return lambda messages: guarded().ask_json(messages)


def _left_by_age(hit: Hit, half_life: float) -> float:
    """What age leaves of a score, never nothing; what stands under a key is as old as what it was set to."""
    made = hit.created_at if hit.kind == "item" else hit.updated_at
    return max(0.5 ** (max(time.time() - made.timestamp(), 0.0) / half_life), 1e-300)

"""An engine with a graph: the engine as it is, whose changes also reach Neo4j, and whose search knows of it.

Nothing here is in the way of the memory: changes wait in the outbox while the graph is down, and a search that gets no
answer from it in time answers without.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ....errors import ConfigurationError, MemweldError
from ....models import JSON, EraseReceipt, Hit, Kind, Related
from ....scope import Scope
from ...protocol import Engine
from ...sql.items import ItemRow, Items
from ...sql.outbox import Outbox
from ..delivery import Deliverer
from .client import GraphClient, require_neo4j
from .consistency import Consistency, GraphHealth
from .entity_extraction import AskJson, EntityFinder
from .queries import GraphReading
from .target import GraphTarget
from .url import Address

if TYPE_CHECKING:
    from ...sql_engine import SqlEngine

__all__ = ["GraphEngine", "with_graph"]

logger = logging.getLogger("memweld.graph")

SETTLE_SECONDS = 5.0
"""How long a deletion waits for the graph."""

# What changes items; everything else that is not defined below goes to the engine as it is.
_CHANGES = {
    *("add_items", "put_keyed", "update_item", "delete_item", "clear_items", "restore"),
    *("put_value", "write_values", "delete_value", "sweep_values"),
}
_POOL = (30, 4)  # a search looks at so many hits at least, or so many times as many as are wanted, to find what rises
_MOST_RAISED = 400


class GraphEngine:
    """An engine over tables, and a graph.

    Args:
        engine: What keeps the memory.
        address: Where the graph is.
        ask: How to ask an LLM; None where there is none.
    """

    def __init__(self, engine: SqlEngine, address: Address, ask: AskJson | None) -> None:
        self._engine = engine
        self._database = engine.database
        self._outbox = Outbox(self._database)
        self._items = Items(self._database)
        self._client = GraphClient(address)
        finder = EntityFinder(self._database, None if address.finder == "rule" else ask)
        self._delivery = Deliverer(self._outbox, GraphTarget(self._outbox, self._store, self._client, finder))
        self._reading = GraphReading(self._client, self._store, self._rows)
        self._consistency = Consistency(self._outbox, self._client, self._store)
        self._reset()
        self._database.after_fork.append(self._forget)

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
                if getattr(self._database, "is_secured", False):
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

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self._engine, name)
        return functools.partial(self._change, found) if name in _CHANGES else found

    def _change(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # First of all: what is changed before the outbox knows of a graph would only be found by a comparison.
        self._store()
        try:
            return method(*args, **kwargs)
        finally:
            self._delivery.wake()

    @property
    def has_graph(self) -> bool:
        """There is one."""
        return True

    @property
    def can_extract(self) -> bool:
        """Whether an LLM was given."""
        return self._engine.can_extract

    def search_items(
        self,
        scope: Scope,
        query: str,
        *,
        limit: int,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
        half_life: float | None = None,
    ) -> list[Hit]:
        """The items that fit best, best first; those that the graph links to the question rise."""
        pool = max(limit, min(max(_POOL[0], _POOL[1] * limit), _MOST_RAISED))
        hits = self._engine.search_items(scope, query, limit=pool, kinds=kinds, filters=filters, half_life=half_life)
        if not hits:
            return hits
        # What a process that was killed has left behind is told, too, where nobody writes any more.
        self._delivery.begin()
        try:
            near = self._raised(scope, query, hits[:_MOST_RAISED], half_life)
        except MemweldError as error:
            logger.debug("memweld: searched without the graph: %s", error)
            return hits[:limit]
        return sorted([*near, *hits[_MOST_RAISED:]], key=lambda hit: -hit.score)[:limit]

    def _raised(self, scope: Scope, query: str, hits: Sequence[Hit], half_life: float | None) -> list[Hit]:
        """The hits as the graph raises them; what age takes is taken of the raised score."""
        if half_life is None:
            return self._reading.raise_hits(scope, query, hits)
        left = {hit.id: _left_by_age(hit, half_life) for hit in hits}
        new = [dataclasses.replace(hit, score=min(hit.score / left[hit.id], 1.0)) for hit in hits]
        new.sort(key=lambda hit: -hit.score)
        raised = self._reading.raise_hits(scope, query, new)
        return [dataclasses.replace(hit, score=hit.score * left[hit.id]) for hit in raised]

    def related_items(self, scope: Scope, about: str, *, limit: int) -> list[Related]:
        """What the graph links to an entity or to an item."""
        self._store()
        self._delivery.wake()
        return self._reading.related(scope, about, limit=limit)

    def settle_graph(self, scope: Scope, *, timeout: float | None) -> bool:
        """Wait until the graph was told of all changes of the scope; with a time, also where it is known to be down."""
        return self._settle(self._outbox.owners_of(scope), timeout)

    def _settle(self, owners: Sequence[int], timeout: float | None) -> bool:
        if timeout is not None:
            return self._delivery.settle(owners=owners, timeout=timeout, urge=True, give_up=lambda: False)
        # Whichever process delivers: where the graph is known to be down, no deletion waits for it.
        return self._delivery.settle(owners=owners, timeout=SETTLE_SECONDS)

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, here and in the graph."""
        self._store()
        owners, before = self._outbox.owners_of(scope), self._count(scope)
        receipt = self._engine.erase(scope)
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

    # for those who run it

    def graph_standing(self) -> GraphHealth:
        """The state of the graph, item by item where it can be asked. Nothing is written."""
        return self._consistency.health()

    def repair_graph(self, scope: Scope | None = None, *, whole: bool = False, timeout: float = 600.0) -> int:
        """Deliver again what is out of step, or all of a scope, or all; how many items.

        Raises:
            BackendUnavailableError: The graph does not answer, or has not received all in this time; the rest follows.
        """
        self._store()
        count = self._consistency.repair(scope=scope, whole=whole)
        self._delivery.settle_or_fail(timeout)
        return count

    def forget_graph(self) -> int:
        """Keep no changes for the graph; the next change of an item that is made here begins it anew."""
        with self._lock:
            self._name = None
            return self._engine.forget_graph()

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


def with_graph(engine: SqlEngine, address: Address, *, llm: Any, llm_timeout: float) -> Engine:
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
    return cast("Engine", GraphEngine(engine, address, None if llm is None else _asking(llm, llm_timeout)))


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

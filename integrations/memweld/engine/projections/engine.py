"""An engine with a projection: runs operations on the inner engine, and lets the projection take part in each.

Projections nest: a file whose vectors are in a mem0 store can have a graph, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from ...models import EraseReceipt, Hit
from ...scope import Scope
from ..delegate import DelegatingEngine
from ..operations import AppendMessages, Erase, Operation, RelatedItems, Search, SettleGraph
from ..protocol import Engine, EngineAdmin, GraphHealth

__all__ = ["ProjectedEngine", "Projection", "Run"]

T = TypeVar("T")
Method = TypeVar("Method", bound=Callable[..., Any])

Run: TypeAlias = Callable[[Scope, Operation[Any]], Any]
"""Runs an operation on the inner engine."""


class Projection(Protocol):
    """The part that a projection takes in an engine's operations. Thread-safe."""

    @property
    def is_graph(self) -> bool:
        """Whether it answers `RelatedItems` and `SettleGraph`."""
        ...

    def changing(self, operation: Operation[Any] | None) -> AbstractContextManager[object]:
        """Entered around each operation that changes items, and around an operator's (None)."""
        ...

    def search(self, scope: Scope, operation: Search, run: Run) -> list[Hit]:
        """Search on the inner engine, with the help of the projection."""
        ...

    def erase(self, scope: Scope, operation: Erase, run: Run) -> EraseReceipt:
        """Erase the scope on the inner engine and in the projection."""
        ...

    def answer(self, scope: Scope, operation: RelatedItems | SettleGraph) -> Any:
        """Answer a question that only a graph can answer."""
        ...

    def sync(self) -> int:
        """Deliver all changes that wait; how many. 0 where a thread does it anyway."""
        ...

    def health(self) -> GraphHealth | None:
        """The state of a graph; None for other projections."""
        ...

    def repair(self, scope: Scope | None, *, whole: bool) -> int:
        """Deliver again to a graph what is out of step."""
        ...

    def detach(self, inner: EngineAdmin) -> int:
        """Drop the changes that wait for a graph."""
        ...

    def close(self) -> None:
        """End the delivery, and close the store."""
        ...


class ProjectedEngine(DelegatingEngine):
    """An engine whose changes also reach a projection.

    Args:
        engine: The inner engine.
        projection: The projection.
    """

    def __init__(self, engine: Engine, projection: Projection) -> None:
        super().__init__(engine)
        self.projection = projection

    @property
    def has_graph(self) -> bool:
        """Whether the projection is a graph, or the inner engine has one."""
        return self.projection.is_graph or self.inner.has_graph

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the store and its projection."""
        return ProjectedAdmin(self.inner.admin, self.projection)

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope; the projection learns of the changes."""
        projection = self.projection
        if isinstance(operation, Search):
            return cast("T", projection.search(scope, operation, self.inner.run))
        if isinstance(operation, Erase):
            return cast("T", projection.erase(scope, operation, self.inner.run))
        if projection.is_graph and isinstance(operation, (RelatedItems, SettleGraph)):
            return cast("T", projection.answer(scope, operation))
        if isinstance(operation, AppendMessages):
            edited = self.inner.run(scope, operation)
            if edited:
                # The items of these messages are gone.
                with projection.changing(operation):
                    pass
            return cast("T", edited)
        if not operation.changes_items:
            return self.inner.run(scope, operation)
        with projection.changing(operation):
            return self.inner.run(scope, operation)

    def close(self) -> None:
        """End the delivery, and close everything."""
        try:
            self.projection.close()
        finally:
            self.inner.close()


def _forwarded(method: Method) -> Method:
    """A method of `ProjectedAdmin` that asks the inner engine alone."""

    @functools.wraps(method)
    def call(self: ProjectedAdmin, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.inner, method.__name__)(*args, **kwargs)

    return cast("Method", call)


class ProjectedAdmin(EngineAdmin):
    """The operator's view of a store with a projection."""

    ping = _forwarded(EngineAdmin.ping)
    usage = _forwarded(EngineAdmin.usage)
    list_scopes = _forwarded(EngineAdmin.list_scopes)
    reindex = _forwarded(EngineAdmin.reindex)
    graph_backlog = _forwarded(EngineAdmin.graph_backlog)
    migrate = _forwarded(EngineAdmin.migrate)
    health = _forwarded(EngineAdmin.health)

    def __init__(self, inner: EngineAdmin, projection: Projection) -> None:
        self.inner = inner
        self._projection = projection

    def purge_expired(self) -> int:
        """Delete the expired values of all users, also in the projection."""
        with self._projection.changing(None):
            return self.inner.purge_expired()

    def sync_projections(self) -> int:
        """Deliver all changes that wait, by the inner engine's projections first; how many."""
        return self.inner.sync_projections() + self._projection.sync()

    def graph_health(self) -> GraphHealth | None:
        """The state of the graph, item by item where it answers. Nothing is written."""
        return self._projection.health() or self.inner.graph_health()

    def repair_graph(self, scope: Scope | None = None, *, whole: bool = False) -> int:
        """Deliver again to the graph what is out of step, or all of a scope, or all."""
        graph = self._projection.repair if self._projection.is_graph else self.inner.repair_graph
        return graph(scope, whole=whole)

    def detach_graph(self) -> int:
        """Drop the changes that wait for the graph."""
        return self._projection.detach(self.inner)

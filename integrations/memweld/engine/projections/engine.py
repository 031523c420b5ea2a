"""An engine with a projection: runs operations on the inner engine, and lets the projection take part in each.

Projections nest: a file whose vectors are in a mem0 store can have a graph, too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from ...models import EraseReceipt, Hit
from ...scope import Scope
from ..operations import Erase, Operation, RelatedItems, Search, SettleGraph
from ..protocol import Engine, EngineAdmin, GraphHealth, HealthCheck, Migration, Progress

__all__ = ["ProjectedEngine", "Projection", "Run"]

T = TypeVar("T")

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


class ProjectedEngine:
    """An engine whose changes also reach a projection.

    Args:
        engine: The inner engine.
        projection: The projection.
    """

    def __init__(self, engine: Engine, projection: Projection) -> None:
        self.inner = engine
        self.projection = projection

    @property
    def has_graph(self) -> bool:
        """Whether the projection is a graph, or the inner engine has one."""
        return self.projection.is_graph or self.inner.has_graph

    @property
    def can_extract(self) -> bool:
        """Whether an LLM was given."""
        return self.inner.can_extract

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


class ProjectedAdmin(EngineAdmin):
    """The operator's view of a store with a projection."""

    def __init__(self, inner: EngineAdmin, projection: Projection) -> None:
        self._inner = inner
        self._projection = projection

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored."""
        return self._inner.list_scopes(after=after, limit=limit)

    def purge_expired(self) -> int:
        """Delete the expired values of all users, also in the projection."""
        with self._projection.changing(None):
            return self._inner.purge_expired()

    def reindex(self, progress: Progress | None = None) -> int:
        """Embed all memories again."""
        return self._inner.reindex(progress)

    def sync_projections(self) -> int:
        """Deliver all changes that wait for a mem0 store; how many."""
        return self._inner.sync_projections() + self._projection.sync()

    def graph_health(self) -> GraphHealth | None:
        """The state of the graph, item by item where it answers. Nothing is written."""
        return self._projection.health() or self._inner.graph_health()

    def graph_backlog(self) -> int | None:
        """How many changes wait for the graph."""
        return self._inner.graph_backlog()

    def repair_graph(self, scope: Scope | None = None, *, whole: bool = False) -> int:
        """Deliver again to the graph what is out of step, or all of a scope, or all."""
        if not self._projection.is_graph:
            return self._inner.repair_graph(scope, whole=whole)
        return self._projection.repair(scope, whole=whole)

    def detach_graph(self) -> int:
        """Drop the changes that wait for the graph."""
        return self._projection.detach(self._inner)

    def migrate(self, *, role: str | None = None, signed: bool = False) -> Migration | None:
        """Bring the tables forward."""
        return self._inner.migrate(role=role, signed=signed)

    def health(self) -> list[HealthCheck]:
        """What there is to say about the database server."""
        return self._inner.health()

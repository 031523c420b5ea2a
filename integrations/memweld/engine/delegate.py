"""The base of engines that stand before another one and change some of its answers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

from ..scope import Scope
from .operations import Operation
from .protocol import Engine, EngineAdmin

__all__ = ["DelegatingEngine", "deferred", "innermost"]

T = TypeVar("T")


class DelegatingEngine:
    """An engine that passes everything on, for subclasses to override. It leaves the inner engine open.

    Args:
        engine: The inner engine.
    """

    def __init__(self, engine: Engine) -> None:
        self.inner = engine

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope."""
        return self.inner.run(scope, operation)

    def deferred(self, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
        """The operation to be done later; see `deferred`."""
        return functools.partial(self.run, scope, operation)

    @property
    def has_graph(self) -> bool:
        """As the inner engine says."""
        return self.inner.has_graph

    @property
    def can_extract(self) -> bool:
        """As the inner engine says."""
        return self.inner.can_extract

    @property
    def closed(self) -> bool:
        """As the inner engine says."""
        return self.inner.closed

    @property
    def admin(self) -> EngineAdmin:
        """As the inner engine says."""
        return self.inner.admin

    def close(self) -> None:
        """Leave the inner engine open: it is others'."""


def deferred(engine: Engine, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
    """The operation to be done later: what may wait in memory holds no text that must not be stored."""
    if isinstance(engine, DelegatingEngine):
        return engine.deferred(scope, operation)
    return functools.partial(engine.run, scope, operation)


def innermost(engine: Engine) -> Engine:
    """The engine behind all that only pass on to it."""
    while isinstance(engine, DelegatingEngine):
        engine = engine.inner
    return engine

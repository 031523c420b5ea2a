"""An engine that says of all that its caller stores where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..models import Source
from ..scope import Scope
from .delegate import DelegatingEngine, deferred
from .operations import AddItems, Operation
from .protocol import Engine

__all__ = ["SourcedEngine"]

T = TypeVar("T")


class SourcedEngine(DelegatingEngine):
    """Gives a source to what is stored on purpose, where the operation has none; a captured turn has its speakers.

    Args:
        engine: The inner engine.
        source: The source.
    """

    def __init__(self, engine: Engine, source: Source) -> None:
        super().__init__(engine)
        self._source = source

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope."""
        return self.inner.run(scope, self._sourced(operation))

    def deferred(self, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
        """The operation to be done later."""
        return deferred(self.inner, scope, self._sourced(operation))

    def _sourced(self, operation: Operation[T]) -> Operation[T]:
        given: Any = operation
        is_captured = isinstance(given, AddItems) and not given.is_explicit
        if is_captured or getattr(given, "source", self._source) is not None:
            return operation
        return cast("Operation[T]", dataclasses.replace(given, source=self._source))

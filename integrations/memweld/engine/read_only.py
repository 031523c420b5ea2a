"""An engine for callers that may read and not write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import AccessDeniedError
from ..scope import Scope
from .delegate import DelegatingEngine, deferred
from .operations import Operation
from .protocol import Engine, EngineAdmin

__all__ = ["ReadOnlyEngine", "is_read_only"]

T = TypeVar("T")


class ReadOnlyEngine(DelegatingEngine):
    """An engine that refuses operations which change what users have stored.

    Args:
        engine: The inner engine.
        reason: Why the caller may not write, and the remedy.
    """

    def __init__(self, engine: Engine, reason: str) -> None:
        super().__init__(engine)
        self._reason = reason

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope.

        Raises:
            AccessDeniedError: It changes something.
        """
        self._check(operation)
        return self.inner.run(scope, operation)

    def deferred(self, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
        """The operation to be done later.

        Raises:
            AccessDeniedError: It changes something.
        """
        self._check(operation)
        return deferred(self.inner, scope, operation)

    def _check(self, operation: Operation[Any]) -> None:
        if not operation.read_only:
            raise AccessDeniedError(self._reason)

    @property
    def admin(self) -> EngineAdmin:
        """No more than what every store has."""
        return EngineAdmin()


def is_read_only(engine: Engine) -> bool:
    """Whether the engine, or one behind it, refuses changes."""
    while isinstance(engine, DelegatingEngine):
        if isinstance(engine, ReadOnlyEngine):
            return True
        engine = engine.inner
    return False

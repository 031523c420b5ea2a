"""An engine for callers that may read and not write."""

from __future__ import annotations

from typing import TypeVar

from ..errors import AccessDeniedError
from ..scope import Scope
from .operations import Operation
from .protocol import Engine, EngineAdmin

__all__ = ["ReadOnlyEngine"]

T = TypeVar("T")


class ReadOnlyEngine:
    """An engine that refuses operations which change what users have stored.

    Args:
        engine: The inner engine.
        reason: Why the caller may not write, and the remedy.
    """

    def __init__(self, engine: Engine, reason: str) -> None:
        self._inner = engine
        self._reason = reason

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope.

        Raises:
            AccessDeniedError: It changes something.
        """
        if not operation.read_only:
            raise AccessDeniedError(f"{operation.name} changes the memory: {self._reason}")
        return self._inner.run(scope, operation)

    @property
    def has_graph(self) -> bool:
        """As the inner engine says."""
        return self._inner.has_graph

    @property
    def can_extract(self) -> bool:
        """As the inner engine says."""
        return self._inner.can_extract

    @property
    def closed(self) -> bool:
        """As the inner engine says."""
        return self._inner.closed

    @property
    def admin(self) -> EngineAdmin:
        """No more than what every store has."""
        return EngineAdmin()

    def close(self) -> None:
        """Leave the inner engine open: it is others'."""

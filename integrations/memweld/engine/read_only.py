"""An engine for callers that may read and not write."""

from __future__ import annotations

from typing import TypeVar

from ..errors import AccessDeniedError
from ..scope import Scope
from .delegate import DelegatingEngine
from .operations import Operation
from .protocol import Engine, EngineAdmin

__all__ = ["ReadOnlyEngine"]

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
        if not operation.read_only:
            raise AccessDeniedError(self._reason)
        return super().run(scope, operation)

    @property
    def admin(self) -> EngineAdmin:
        """No more than what every store has."""
        return EngineAdmin()

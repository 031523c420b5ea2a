"""An engine whose operations are redacted before it, or a span, sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...scope import Scope
from ..delegate import DelegatingEngine, deferred
from ..operations import Operation
from ..protocol import Engine
from ..traced import traced
from .texts import Redaction

__all__ = ["RedactingEngine", "redacting"]

T = TypeVar("T")


class RedactingEngine(DelegatingEngine):
    """Takes out of every operation what must not be stored: out of what it writes, and out of queries.

    Args:
        engine: Runs the operations.
        redaction: Takes it out.
    """

    def __init__(self, engine: Engine, redaction: Redaction) -> None:
        super().__init__(engine)
        self._redaction = redaction

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope.

        Raises:
            ConfigurationError: The caller's function raises, or returns no text; nothing is stored.
            InvalidInputError: A text that it returns breaks a rule.
        """
        return self.inner.run(scope, self._redaction.operation(operation))

    def deferred(self, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
        """The operation to be done later, redacted now."""
        return deferred(self.inner, scope, self._redaction.operation(operation))

    def close(self) -> None:
        """Close the engine."""
        self.inner.close()


def redacting(engine: Engine, redaction: Redaction, url: str) -> RedactingEngine:
    """The engine with a redaction, which stands before its spans."""
    return RedactingEngine(traced(engine, url), redaction)

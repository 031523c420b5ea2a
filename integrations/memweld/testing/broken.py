"""A memory with a failing store, to test how an agent reacts."""

from __future__ import annotations

from typing import Any

from ..errors import BackendUnavailableError
from ..memory.memory import Memory

__all__ = ["BrokenMemory", "StrangeError"]


class StrangeError(BaseException):
    """An exception of a class that ``except Exception`` misses, as libraries in Rust raise it."""


class BrokenMemory(Memory):
    """A copy of a memory in which some methods fail.

    Args:
        memory: The memory that answers everything else.
        methods: Those of ``search``, ``profile``, ``capture``, ``history`` and ``get`` that raise
            `BackendUnavailableError`. With ``wrong`` all of them raise a ``ZeroDivisionError`` instead, like a bug.
        error: What the methods raise in place of a `BackendUnavailableError`.
    """

    def __init__(self, memory: Memory, *methods: str, error: BaseException | None = None) -> None:
        super().__init__(memory._engine, memory.scope)  # noqa: SLF001
        self.broken = methods
        self.error = error or BackendUnavailableError("The store is gone")

    def search(self, *args: Any, **options: Any) -> Any:
        """Search, or fail."""
        return self._or_fail("search", *args, **options)

    def profile(self, *args: Any, **options: Any) -> Any:
        """Read the profile, or fail."""
        return self._or_fail("profile", *args, **options)

    def capture(self, *args: Any, **options: Any) -> Any:
        """Capture, or fail."""
        return self._or_fail("capture", *args, **options)

    def history(self, session_id: str) -> Any:
        """Return a session's history, or fail."""
        return self._or_fail("history", session_id)

    def get(self, memory_id: str) -> Any:
        """Get an item, or fail."""
        return self._or_fail("get", memory_id)

    def _or_fail(self, method: str, *args: Any, **options: Any) -> Any:
        if method in self.broken:
            raise self.error
        if "wrong" in self.broken:
            raise ZeroDivisionError("secret detail")
        return getattr(super(), method)(*args, **options)

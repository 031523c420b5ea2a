"""Whose memory a CrewAI object works on: the one it was given, or the current user's on a backend."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Generator

from ..memory import Memory
from ..source import MemorySource, check_source, memory_now

__all__ = ["Whose"]

_PINNED: contextvars.ContextVar[tuple[Whose, Memory] | None] = contextvars.ContextVar("memweld_pinned", default=None)


class Whose:
    """Finds the memory at each call, so that one crew can serve many users.

    Args:
        memory: A `Memory` (always that one), or a `Backend` (then the user that ``memweld.user_scope`` names).

    Raises:
        InvalidInputError: It is neither.
    """

    def __init__(self, memory: MemorySource) -> None:
        self._given = check_source(memory)

    def memory(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named.
        """
        pinned = _PINNED.get()
        return pinned[1] if pinned is not None and pinned[0] is self else memory_now(self._given)

    @contextlib.contextmanager
    def pinned(self, memory: Memory) -> Generator[None]:
        """Work on this memory inside the block, which was found before the work was handed to another thread."""
        token = _PINNED.set((self, memory))
        try:
            yield
        finally:
            _PINNED.reset(token)

    def __repr__(self) -> str:
        return repr(self._given)

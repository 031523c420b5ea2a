"""Whose memory a CrewAI object works on: the one it was given, or the current user's on a backend."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Generator
from typing import Any

from ..adapters.binding import MemorySource, resolve_memory, validate_source
from ..adapters.saved_config import SavedMemory, loading_backend
from ..errors import ConfigurationError
from ..memory.backend import Backend
from ..memory.memory import Memory

__all__ = ["Whose"]

_PINNED: contextvars.ContextVar[tuple[Whose, Memory] | None] = contextvars.ContextVar("memweld_pinned", default=None)


class Whose:
    """Finds the memory at each call, so that one crew can serve many users.

    Copies are the same object, which all copies of a crew share; pickled, it is its reference.

    Args:
        memory: A `Memory` (always that one), or a `Backend` (then the user that ``memweld.user_scope`` names).

    Raises:
        InvalidInputError: It is neither.
    """

    _reference: SavedMemory | None = None
    _backend: Backend | None = None

    def __init__(self, memory: MemorySource) -> None:
        self._given: MemorySource | None = validate_source(memory)

    @classmethod
    def referred(cls, reference: SavedMemory) -> Whose:
        """The one that a checkpoint names. It is looked for at the first use."""
        whose = cls.__new__(cls)
        whose.__dict__.update(_given=None, _reference=reference, _backend=loading_backend())
        return whose

    def reference(self) -> SavedMemory:
        """What a checkpoint says of it."""
        return (
            self._reference if self._given is None and self._reference is not None else SavedMemory.of(self._source())
        )

    def memory(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named, or a checkpoint leads to no store.
        """
        pinned = _PINNED.get()
        return pinned[1] if pinned is not None and pinned[0] is self else resolve_memory(self._source())

    def _source(self) -> MemorySource:
        if self._given is None:
            if self._reference is None:
                raise ConfigurationError("This object knows no memory: make a new one with a memory or a backend.")
            self._given = self._reference.load(self._backend)
        return self._given

    @contextlib.contextmanager
    def pinned(self, memory: Memory) -> Generator[None]:
        """Work on this memory inside the block, which was found before the work was handed to another thread."""
        token = _PINNED.set((self, memory))
        try:
            yield
        finally:
            _PINNED.reset(token)

    def __copy__(self) -> Whose:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Whose:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _referred, (self.reference().model_dump(),)

    def __repr__(self) -> str:
        return repr(self._given or self._reference)


def _referred(reference: dict[str, Any]) -> Whose:
    return Whose.referred(SavedMemory.model_validate(reference))

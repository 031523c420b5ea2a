"""The memory that a CrewAI object works on: the one it was given, or the current user's on a backend."""

from __future__ import annotations

from typing import Any

from ..adapters.binding import MemorySource, resolve_memory, validate_source
from ..adapters.saved_config import SavedMemory, loading_backend
from ..memory.memory import Memory

__all__ = ["MemoryBinding"]


class MemoryBinding:
    """Finds the memory at each call, so that one crew can serve many users.

    A copy is the same object, so that all copies of a crew share it. A pickle holds its `SavedMemory`.

    Args:
        memory: A `Memory` (always that one), or a `Backend` (then the user that ``memweld.user_scope`` names). Or the
            `SavedMemory` of a checkpoint, which the first use opens.

    Raises:
        InvalidInputError: ``memory`` is none of these.
    """

    def __init__(self, memory: MemorySource | SavedMemory) -> None:
        self._given = memory if isinstance(memory, SavedMemory) else validate_source(memory)
        self._loaded: MemorySource | None = None
        self._backend = loading_backend()

    @property
    def source(self) -> MemorySource:
        """The memory or backend.

        Raises:
            ConfigurationError: A checkpoint leads to no store.
        """
        if not isinstance(self._given, SavedMemory):
            return self._given
        loaded = self._loaded
        if loaded is None or loaded.closed:
            # Threads that load at the same time get the same store.
            loaded = self._loaded = self._given.load(self._backend)
        return loaded

    @property
    def saved(self) -> SavedMemory:
        """The form in which a checkpoint saves it."""
        source = self._loaded or self._given
        return source if isinstance(source, SavedMemory) else SavedMemory.of(source)

    def resolve(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named, or a checkpoint leads to no store.
        """
        return resolve_memory(self.source)

    def __copy__(self) -> MemoryBinding:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> MemoryBinding:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return MemoryBinding, (self.saved,)

    def __repr__(self) -> str:
        return repr(self._loaded or self._given)

"""What a server is given: a backend, which has every memory, or one memory, which is then the only one."""

from __future__ import annotations

from collections.abc import Callable

from ..adapters.binding import MemorySource, validate_source
from ..errors import AccessDeniedError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..scope import Scope

__all__ = ["opener"]


def opener(source: MemorySource) -> Callable[[Scope], Memory]:
    """The function that gives the memory of a scope.

    For a `Memory` it gives this one and raises `AccessDeniedError` for any other scope.

    Raises:
        InvalidInputError: ``source`` is neither a backend nor a memory.
    """
    source = validate_source(source)
    if isinstance(source, Backend):
        return source.scoped

    def open_bound(scope: Scope) -> Memory:
        if scope != source.scope:
            raise AccessDeniedError(f"This server serves the memory of {source.scope} only, not of {scope}.")
        return source

    return open_bound

"""What a server is given: a backend, which has every memory, or one memory, which is then the only one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..backend import Backend
from ..errors import AccessDeniedError, invalid
from ..memory import Memory
from ..scope import Scope

__all__ = ["MemorySource", "opener"]

MemorySource: TypeAlias = "Backend | Memory"


def opener(source: MemorySource) -> Callable[[Scope], Memory]:
    """The function that gives the memory of a scope.

    For a `Memory` it gives this one and raises `AccessDeniedError` for any other scope.

    Raises:
        InvalidInputError: ``source`` is neither a backend nor a memory.
    """
    if isinstance(source, Backend):
        return source.scoped
    if not isinstance(source, Memory):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise invalid("backend", source, "it is neither a Backend nor a Memory", "Pass memweld.connect().")

    def open_bound(scope: Scope) -> Memory:
        if scope != source.scope:
            raise AccessDeniedError(f"This server serves the memory of {source.scope} only, not of {scope}.")
        return source

    return open_bound

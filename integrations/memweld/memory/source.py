"""The two things that users hand to an adapter or a server: a memory, or a backend whose user each call names."""

from __future__ import annotations

from typing import TypeAlias

from ..errors import invalid
from .backend import Backend
from .memory import Memory

__all__ = ["MemorySource", "validate_source"]

MemorySource: TypeAlias = "Memory | Backend"
"""A memory that is bound to its scope, or a backend whose user each call names."""


def validate_source(source: object) -> MemorySource:
    """Return ``source`` if it is a memory or a backend.

    Raises:
        InvalidInputError: It is neither.
    """
    if isinstance(source, (Memory, Backend)):
        return source
    rule = f"it must be a memweld Memory or Backend, not {type(source).__name__}"
    raise invalid("memory", source, rule, "Pass backend.user(user_id), or the backend itself.")

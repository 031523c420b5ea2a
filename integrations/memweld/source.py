"""What adapters are given: the memory of one user, or a backend and the user of the moment."""

from __future__ import annotations

from typing import Literal, TypeAlias

from .backend import Backend
from .errors import BackendUnavailableError, InvalidInputError, invalid
from .memory import Memory
from .scope import current_user

__all__ = ["TOLERATED", "MemorySource", "OnError", "check_source", "memory_now"]

OnError: TypeAlias = Literal["warn", "raise"]
"""What a failing memory does to a run of an agent: it is logged and the run goes on without memory, or it ends."""

TOLERATED = (BackendUnavailableError, InvalidInputError)
"""The failures that a run may outlive: a store that cannot be reached, and a text that it refuses. What is a mistake in
the program, or touches on whose memory it is, ends a run always."""

MemorySource: TypeAlias = "Memory | Backend"
"""A memory that is bound to its scope, or a backend whose user each call names."""


def check_source(source: object) -> MemorySource:
    """Return ``source`` if it is a memory or a backend.

    Raises:
        InvalidInputError: It is neither.
    """
    if isinstance(source, (Memory, Backend)):
        return source
    rule = f"it must be a memweld Memory or Backend, not {type(source).__name__}"
    raise invalid("memory", source, rule, "Pass backend.user(user_id), or the backend itself.")


def memory_now(source: MemorySource) -> Memory:
    """The bound memory; of a backend, the memory of the user whom `memweld.user_scope` names.

    Raises:
        ConfigurationError: A backend was given and no user is named. There is no default user.
    """
    return source if isinstance(source, Memory) else source.scoped(current_user())

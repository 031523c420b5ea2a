"""What adapters are given: the memory of one user, or a backend and the user of the moment."""

from __future__ import annotations

import logging
from typing import Literal, TypeAlias

from .backend import Backend
from .errors import BackendUnavailableError, ConfigurationError, InvalidInputError, MemweldError, invalid
from .memory import Memory
from .scope import Scope, current_user

__all__ = [
    "TOLERATED",
    "MemorySource",
    "OnError",
    "check_on_error",
    "check_source",
    "memory_now",
    "surrounding_scope",
    "tolerate",
]

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


def surrounding_scope() -> Scope | None:
    """Whom `memweld.user_scope` names at this moment; None outside of it."""
    try:
        return current_user()
    except ConfigurationError:
        return None


def check_on_error(on_error: OnError) -> OnError:
    """Return the word if it is one.

    Raises:
        InvalidInputError: It is neither ``warn`` nor ``raise``.
    """
    if on_error not in ("warn", "raise"):
        raise invalid("on_error", on_error, "it must be 'warn' or 'raise'", "Leave it out for 'warn'.")
    return on_error


def tolerate(error: MemweldError, what: str, on_error: OnError, logger: logging.Logger) -> None:
    """Log a failure of the store that need not end a run; raise it if so asked.

    Raises:
        MemweldError: ``on_error`` is ``raise``, or it is no failure of the store but a mistake in the program.
    """
    if on_error == "raise" or not isinstance(error, TOLERATED):
        raise error
    logger.warning("%s: %s", what, error)

"""What adapters are given: the memory of one user, or a backend and the user of the moment."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from ..errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemweldError,
    invalid,
)
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..scope import Scope, current_user, user_scope, validate_identity

__all__ = [
    "TOLERATED",
    "MemorySource",
    "OnError",
    "check_on_error",
    "check_source",
    "claimed_scope",
    "memory_now",
    "named_for",
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


def claimed_scope(claims: Mapping[str, object], agents: Iterable[Any] = (), *, unit: str = "run", remedy: str) -> Scope:
    """The scope that the channels of a run name, `memweld.user_scope` among them.

    All that name a user must name the same one: some channels are filled in by clients, and a client must not choose
    another user than the one who was authenticated.

    Args:
        claims: What each channel says of the user; None where it says nothing. Named as errors shall name it.
        agents: What each channel says of the agent; the first that is not None narrows the scope.
        unit: What the framework calls it: a run, a turn.
        remedy: How a user is named, for the error.

    Raises:
        ConfigurationError: Nothing names a user. There is never a default user.
        AccessDeniedError: The channels name different users.
        InvalidInputError: An id breaks a rule of `memweld.scope.validate_identity`.
    """
    surrounding = surrounding_scope()
    all_claims = {**claims, "memweld.user_scope": surrounding and surrounding.user_id}
    named = {place: validate_identity("user_id", user) for place, user in all_claims.items() if user is not None}
    if not named:
        if surrounding is not None:
            return surrounding
        raise ConfigurationError(f"No user is known in this {unit}, and there is no default user: {remedy}")
    if len(set(named.values())) > 1:
        # Not who they are: a model reads this.
        raise AccessDeniedError(f"Different users are named by {' and '.join(named)}; a {unit} acts for one user only.")
    agent = next((agent for agent in (*agents, surrounding and surrounding.agent_id) if agent is not None), None)
    return Scope(
        user_id=next(iter(named.values())), agent_id=None if agent is None else validate_identity("agent_id", agent)
    )


@contextlib.contextmanager
def named_for(source: MemorySource, memory: Memory) -> Generator[None]:
    """Name the user of a backend's memory for all that is called in the block and does not see the run's channels."""
    if isinstance(source, Memory) or memory.user_id is None:
        yield
        return
    with user_scope(memory.user_id, agent_id=memory.agent_id):
        yield


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

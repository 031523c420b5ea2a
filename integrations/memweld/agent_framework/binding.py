"""Whose memory a run may touch: the user as the session's state and the surrounding scope name them."""

from __future__ import annotations

from agent_framework import AgentSession

from ..adapters.binding import Channels, MemorySource, resolve_memory
from ..memory.memory import Memory

__all__ = ["USER_KEY", "memory_of_session"]

USER_KEY = "user_id"
"""The key of the session's state that names the user: ``session.state["user_id"] = "ana"``."""


def memory_of_session(source: MemorySource, session: AgentSession | None, key: str | None = USER_KEY) -> Memory:
    """The memory of the user of this run. A memory that is bound already stays the one it is.

    The user is named by the session's state, by `memweld.user_scope`, or by both alike. The key ``agent_id`` beside
    the user narrows the scope.

    Args:
        source: A memory, or a backend.
        session: The run's session, if it has one.
        key: The key in the session's state; None where the state is not to be believed.

    Raises:
        ConfigurationError: Nothing names a user. There is never a default user.
        AccessDeniedError: State and scope name different users.
        InvalidInputError: The id breaks a rule of `memweld.scope.validate_identity`.
    """
    channels = Channels.of(
        None if session is None else session.state,
        key,
        channel="the session's state",
        example=f'session.state["{key}"]',
    )
    return resolve_memory(source, channels)

"""The channel that names a run's user: the state of the session."""

from __future__ import annotations

from agent_framework import AgentSession

from ..adapters.binding import Channels, MemorySource, resolve_memory
from ..memory.memory import Memory

__all__ = ["USER_KEY", "memory_of_session"]

USER_KEY = "user_id"
"""The key of the session's state that names the user: ``session.state["user_id"] = "ana"``."""


def memory_of_session(source: MemorySource, session: AgentSession | None, key: str | None) -> Memory:
    """The memory of a run's user, by the session's state and `memweld.user_scope` (see `resolve_memory`).

    Args:
        source: A memory, or a backend.
        session: The session of the run, if it has one.
        key: The key in the session's state; None where the state is not to be believed.
    """
    state = None if session is None else session.state
    example = f'session.state["{key}"]'
    return resolve_memory(source, Channels.of(state, key, channel="the session's state", example=example))

"""Whose memory a run may touch: the user as the session's state and the surrounding scope name them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from agent_framework import AgentSession

from ..errors import AccessDeniedError, ConfigurationError
from ..memory import Memory
from ..scope import Scope, user_scope, validate_identity
from ..source import MemorySource, surrounding_scope

__all__ = ["USER_KEY", "memory_of_session", "named_for"]

USER_KEY = "user_id"
"""The key of the session's state that names the user: ``session.state["user_id"] = "ana"``."""

_AGENT_KEY = "agent_id"


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
    if isinstance(source, Memory):
        return source
    surrounding = surrounding_scope()
    state = {} if session is None or key is None else session.state
    named = state.get(key or "")
    if named is None:
        if surrounding is None:
            channel = "" if key is None else f'session.state["{key}"] or '
            raise ConfigurationError(
                f"No user is known in this run, and there is no default user: name one in {channel}with "
                "memweld.user_scope(user_id), or give a Memory that is bound to one, backend.user(user_id)."
            )
        return source.scoped(surrounding)
    user_id = validate_identity("user_id", named)
    agent_id = state.get(_AGENT_KEY)
    if surrounding is not None:
        if surrounding.user_id != user_id:
            # Not who they are: a model reads this.
            raise AccessDeniedError(
                "Different users are named by the session's state and memweld.user_scope; a run acts for one user only."
            )
        agent_id = surrounding.agent_id if agent_id is None else agent_id
    return source.scoped(Scope(user_id=user_id, agent_id=agent_id))


@contextlib.contextmanager
def named_for(source: MemorySource, memory: Memory) -> Generator[None]:
    """Name the user of a backend's memory for what is called in the block and does not see the session."""
    if isinstance(source, Memory) or memory.user_id is None:
        yield
        return
    with user_scope(memory.user_id, agent_id=memory.agent_id):
        yield

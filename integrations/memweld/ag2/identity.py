"""Whose memory a turn may touch: the user as AG2's variables and the surrounding scope name them."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from ag2.context import ConversationContext

from ..errors import AccessDeniedError, ConfigurationError
from ..memory import Memory
from ..scope import Scope, user_scope, validate_identity
from ..source import MemorySource, surrounding_scope

__all__ = ["USER_VARIABLE", "memory_of_turn", "named_for"]

USER_VARIABLE = "user_id"
"""The variable that names the user: ``agent.ask(…, variables={"user_id": "ana"})``."""

_AGENT_VARIABLE = "agent_id"


def memory_of_turn(source: MemorySource, context: ConversationContext, variable: str | None = USER_VARIABLE) -> Memory:
    """The memory of the user of this turn. A memory that is bound already stays the one it is.

    The user is named by the variable, by `memweld.user_scope`, or by both alike. The variable ``agent_id`` beside the
    user narrows the scope.

    Args:
        source: A memory, or a backend.
        context: The turn's context.
        variable: The key of the variable; None where variables are not to be believed.

    Raises:
        ConfigurationError: Nothing names a user. There is never a default user.
        AccessDeniedError: Variable and scope name different users.
        InvalidInputError: The id breaks a rule of `memweld.scope.validate_identity`.
    """
    if isinstance(source, Memory):
        return source
    surrounding = surrounding_scope()
    named = None if variable is None else context.variables.get(variable)
    if named is None:
        if surrounding is None:
            channel = "" if variable is None else f'variables={{"{variable}": …}} or '
            raise ConfigurationError(
                f"No user is known in this turn, and there is no default user: name one with {channel}"
                "memweld.user_scope(user_id), or give a Memory that is bound to one, backend.user(user_id)."
            )
        return source.scoped(surrounding)
    user_id = validate_identity("user_id", named)
    agent_id = context.variables.get(_AGENT_VARIABLE)
    if surrounding is not None:
        if surrounding.user_id != user_id:
            # Not who they are: a model reads this.
            raise AccessDeniedError(
                f"Different users are named by the variable {variable} and memweld.user_scope; a turn acts for one "
                "user only."
            )
        agent_id = surrounding.agent_id if agent_id is None else agent_id
    return source.scoped(Scope(user_id=user_id, agent_id=agent_id))


@contextlib.contextmanager
def named_for(source: MemorySource, memory: Memory) -> Generator[None]:
    """Name the user of a backend's memory for all that is called in the block and cannot see the turn's variables."""
    if isinstance(source, Memory) or memory.user_id is None:
        yield
        return
    with user_scope(memory.user_id, agent_id=memory.agent_id):
        yield

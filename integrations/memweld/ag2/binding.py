"""Whose memory a turn may touch: the user as AG2's variables and the surrounding scope name them."""

from __future__ import annotations

from ag2.context import ConversationContext

from ..adapters.binding import Channels, MemorySource, resolve_memory
from ..memory.memory import Memory

__all__ = ["USER_VARIABLE", "memory_of_turn"]

USER_VARIABLE = "user_id"
"""The variable that names the user: ``agent.ask(…, variables={"user_id": "ana"})``."""


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
    channels = Channels.of(
        context.variables,
        variable,
        channel=f"the variable {variable}",
        example=f'variables={{"{variable}": …}}',
        unit="turn",
    )
    return resolve_memory(source, channels)

"""The channel that names a turn's user: AG2's variables."""

from __future__ import annotations

from ag2.context import ConversationContext

from ..adapters.binding import Channels, MemorySource, resolve_memory
from ..memory.memory import Memory

__all__ = ["USER_VARIABLE", "memory_of_turn"]

USER_VARIABLE = "user_id"
"""The variable that names the user: ``agent.ask(…, variables={"user_id": "ana"})``."""


def memory_of_turn(source: MemorySource, context: ConversationContext, variable: str | None) -> Memory:
    """The memory of a turn's user, by the turn's variables and `memweld.user_scope` (see `resolve_memory`).

    Args:
        source: A memory, or a backend.
        context: The context of the turn.
        variable: The name of the variable; None where variables are not to be believed.
    """
    channel, example = f"the variable {variable}", f'variables={{"{variable}": …}}'
    return resolve_memory(
        source, Channels.of(context.variables, variable, channel=channel, example=example, unit="turn")
    )

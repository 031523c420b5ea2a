"""Whose memory a CrewAI object works on: the one it was given, or the current user's on a backend."""

from __future__ import annotations

from ..backend import Backend
from ..errors import invalid
from ..memory import Memory
from ..scope import current_user

__all__ = ["Whose"]


class Whose:
    """Finds the memory at each call, so that one crew can serve many users.

    Args:
        memory: A `Memory` (always that one), or a `Backend` (then the user that ``memweld.user_scope`` names).

    Raises:
        InvalidInputError: It is neither.
    """

    def __init__(self, memory: Memory | Backend) -> None:
        if not isinstance(memory, (Memory, Backend)):  # pyright: ignore[reportUnnecessaryIsInstance] - untyped callers
            rule = f"it must be a memweld Memory or Backend, not {type(memory).__name__}"
            raise invalid("memory", memory, rule, "Pass backend.user(user_id), or the backend itself.")
        self._given = memory

    def memory(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named.
        """
        return self._given if isinstance(self._given, Memory) else self._given.scoped(current_user())

    def __repr__(self) -> str:
        return repr(self._given)

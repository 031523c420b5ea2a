"""What mem0 writes beside its vectors, and why we do not: past texts of items and raw messages.

mem0 2.2 keeps them in a SQLite file of its own that outlives the memories. Nothing reads the past texts, and messages
are kept once, in the session's history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .scope_guard import Guard

__all__ = ["Journal"]


class Journal:
    """In the place of mem0's ``SQLiteManager``: it keeps nothing."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def add_history(self, *_: Any, **__: Any) -> None:
        """Nothing: what a memory said before is gone when it is changed or deleted."""

    def batch_add_history(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Nothing."""

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        """Nothing was kept."""
        return []

    def save_messages(self, messages: Sequence[Mapping[str, Any]], session_scope: str) -> None:
        """Nothing."""

    def get_last_messages(self, session_scope: str, limit: int = 10) -> list[dict[str, str]]:
        """What was said in the session before the turn of this call."""
        return list(self._guard.earlier)[-limit:]

    def reset(self) -> None:
        """Refused, as for the vectors: it would be for every user at once."""
        raise PermissionError("memweld erases memories by scope, never everything")

    def close(self) -> None:
        """Nothing is open."""

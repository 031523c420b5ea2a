"""What mem0 writes beside its vectors: past texts of items, in our tables, so that they are erased with the item.

mem0 2.2 keeps them, and raw messages, in a SQLite file of its own that outlives the memories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...checks import utc_now
from ..stores.sqlite import SqliteDatabase
from .guard import Guard

__all__ = ["Journal"]


class Journal:
    """In the place of mem0's ``SQLiteManager``."""

    def __init__(self, database: SqliteDatabase, guard: Guard) -> None:
        self._database = database
        self._guard = guard

    def add_history(self, memory_id: str, old_memory: str | None, new_memory: str | None, event: str, **_: Any) -> None:
        """Record a change of an item. A deletion leaves no record: its text was meant to go."""
        with self._database.writing() as connection:
            connection.execute(
                "INSERT INTO item_events (item_id, event, old_text, new_text, at) "
                "SELECT id, ?, ?, ?, ? FROM items WHERE id = ?",
                (event, old_memory, None if event == "ADD" else new_memory, utc_now().isoformat(), memory_id),
            )

    def batch_add_history(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Record several changes."""
        for record in records:
            self.add_history(record["memory_id"], record["old_memory"], record["new_memory"], record["event"])

    def get_history(self, memory_id: str) -> list[dict[str, Any]]:
        """The changes of an item of the scope of the call, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT event, old_text, new_text, at FROM item_events WHERE item_id = ? ORDER BY seq", (memory_id,)
            ).fetchall()
        return [{"event": event, "old_memory": old, "new_memory": new, "at": at} for event, old, new, at in rows]

    def save_messages(self, messages: Sequence[Mapping[str, Any]], session_scope: str) -> None:
        """Nothing: messages are kept once, in the session's history."""

    def get_last_messages(self, session_scope: str, limit: int = 10) -> list[dict[str, str]]:
        """What was said in the session before the turn of this call."""
        return list(self._guard.earlier)[-limit:]

    def reset(self) -> None:
        """Refused: it would remove every user's history at once."""
        raise PermissionError("memweld erases memories by scope, never a whole history")

    def close(self) -> None:
        """Nothing: the database is closed by the engine."""

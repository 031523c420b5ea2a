"""SessionWindow: an assembly policy that shows a model the latest messages of a kept session."""

from __future__ import annotations

from ag2.context import ConversationContext
from ag2.events import BaseEvent

from ..memory.transcript import model_window
from .messages import to_neutral
from .storage import MemweldStorage

__all__ = ["SessionWindow"]


class SessionWindow:
    """An ``AssemblyPolicy`` for a `memweld.ag2.session_stream`; other streams are left to AG2's own policies.

    Args:
        limit: How many messages at most; all if None.
        characters: How many characters of them at most; any number if None.
    """

    name = "memweld_window"

    def __init__(self, limit: int | None, characters: int | None = None) -> None:
        self._limit, self._characters = limit, characters

    async def apply(
        self, prompts: list[str], events: list[BaseEvent], context: ConversationContext
    ) -> tuple[list[str], list[BaseEvent]]:
        """Leave out the events of messages beyond the limits."""
        if not isinstance(context.stream.history.storage, MemweldStorage):
            return prompts, events
        messages = [(event, to_neutral(event, dump=False)) for event in events]
        parts = [part for _, parts in messages for part in parts]
        window = model_window(parts, limit=self._limit, characters=self._characters, open_end=True)
        ids = {message.id for message in window}
        return prompts, [event for event, parts in messages if not parts or any(part.id in ids for part in parts)]

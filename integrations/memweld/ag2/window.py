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
        limit: How many messages at most.
    """

    name = "memweld_window"

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def apply(
        self, prompts: list[str], events: list[BaseEvent], context: ConversationContext
    ) -> tuple[list[str], list[BaseEvent]]:
        """Leave out the events of messages beyond the limit."""
        if not isinstance(context.stream.history.storage, MemweldStorage) or len(events) <= self._limit:
            return prompts, events
        messages = [(event, to_neutral(event, dump=False)) for event in events]
        window = model_window([part for _, parts in messages for part in parts], limit=self._limit, open_end=True)
        ids = {message.id for message in window}
        return prompts, [event for event, parts in messages if not parts or any(part.id in ids for part in parts)]

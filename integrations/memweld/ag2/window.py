"""SessionWindow: an assembly policy that shows a model the latest messages of a kept session."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ag2.context import ConversationContext
from ag2.events import BaseEvent, ToolResultsEvent

from ..memory.transcript import model_window
from ..models import ChatMessage
from .messages import to_events, to_neutral
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
        """Leave out or cut what exceeds the limits, so that every provider takes the rest."""
        if not isinstance(context.stream.history.storage, MemweldStorage):
            return prompts, events
        messages = [(event, to_neutral(event, dump=False)) for event in events]
        parts = [part for _, parts in messages for part in parts]
        window = model_window(parts, limit=self._limit, characters=self._characters, open_end=True)
        if list(map(id, window)) == list(map(id, parts)):
            return prompts, events
        return prompts, _chosen(messages, window)


def _chosen(messages: Sequence[tuple[BaseEvent, list[ChatMessage]]], window: list[ChatMessage]) -> list[BaseEvent]:
    """The events of the messages in the window: AG2's own where nothing of them changed, else made of the message.

    Events that are no messages, such as calls of a provider's own tools, go with the message before them.
    """
    shown = set(map(id, window))
    whole: dict[int, BaseEvent] = {}
    beside: defaultdict[int | None, list[BaseEvent]] = defaultdict(list)
    latest: BaseEvent | None = None
    for event, parts in messages:
        if not parts:
            beside[latest and id(latest)].append(event)
            continue
        latest = event
        if all(id(part) in shown for part in parts):
            whole |= {id(part): event for part in parts}
    chosen, emitted = [*beside[None]], set[int]()
    for message in window:
        event = whole.get(id(message))
        if event is None:
            for made in to_events([message]):
                _add(chosen, made)
        elif id(event) not in emitted:
            emitted.add(id(event))
            _add(chosen, event)
            chosen += beside[id(event)]
    return chosen


def _add(events: list[BaseEvent], event: BaseEvent) -> None:
    """Append an event. All results of a message stand in one event: Gemini takes no second one."""
    last = events[-1] if events else None
    if isinstance(event, ToolResultsEvent) and isinstance(last, ToolResultsEvent):
        events[-1] = ToolResultsEvent([*last.results, *event.results], created_at=last.created_at)
    else:
        events.append(event)

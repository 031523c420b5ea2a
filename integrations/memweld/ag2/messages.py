"""Between AG2's events and neutral messages: its own read back exactly, others natively."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, cast

from ag2.compact import CompactionSummary
from ag2.events import (
    BaseEvent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallEvent,
    ToolCallsEvent,
    ToolResult,
    ToolResultEvent,
    ToolResultsEvent,
    UnknownEvent,
)

from ..adapters.messages import arguments_text, native_dump, neutral_call, neutral_key, read_native, tells_changes
from ..memory.content import attempt, storable
from ..memory.messages import new_id
from ..models import JSON, ChatMessage, Role
from .content import content_of, inputs_of, text_of
from .serialization import dump_event, load_event

__all__ = ["FRAMEWORK", "to_events", "to_messages", "to_neutral", "with_events"]

FRAMEWORK = "ag2"

_BEFORE, _AFTER = "before", "after"
# AG2's events have no id. Its dumps leave out what begins with an underscore.
_ID, _SOURCE = "_memweld_id", "_memweld_source"


@tells_changes
def to_neutral(event: BaseEvent, *, dump: bool = True) -> list[ChatMessage]:
    """One event as neutral messages: one, or for tool results one each; none for an event that is no message.

    The same event gives the same ids each time. An event that `to_events` made of another framework's messages gives
    those messages.

    Args:
        event: The event.
        dump: Whether the messages carry AG2's own dump, from which it reads the event back.
    """
    if source := vars(event).get(_SOURCE):
        return list(cast("list[ChatMessage]", source))
    match event:
        case ModelRequest():
            return [_message(event, "user", lambda: content_of(event.parts), dump=dump)]
        case ModelResponse():
            calls = tuple(neutral_call(call.id, call.name, call.arguments) for call in event.tool_calls.calls)
            return [_message(event, "assistant", lambda: event.content or "", dump=dump, tool_calls=calls)]
        case CompactionSummary():
            return [_message(event, "system", lambda: event.summary, dump=dump)]
        case ToolResultsEvent():
            return [_result(event, result, part, dump=dump) for part, result in enumerate(event.results)]
        case _:
            return []


def to_messages(events: Iterable[BaseEvent]) -> list[ChatMessage]:
    """A whole history as neutral messages; the neighbours carry events that are no messages."""
    messages: list[ChatMessage] = []
    leading: list[BaseEvent] = []
    for event in events:
        parts = to_neutral(event)
        if parts and leading and not messages:
            parts[0] = with_events(parts[0], leading, _BEFORE)
        messages += parts
        if not parts and messages:
            messages[-1] = with_events(messages[-1], [event])
        elif not parts:
            leading.append(event)
    return messages


def with_events(message: ChatMessage, events: Sequence[BaseEvent], place: str = _AFTER) -> ChatMessage:
    """The message with events beside it for which other frameworks have no word: usage, single tool results, tasks."""
    native = dict(message.native or {})
    native[place] = [*cast("list[JSON]", native.get(place, [])), *map(dump_event, events)]
    return dataclasses.replace(message, native=native)


def to_events(messages: Sequence[ChatMessage]) -> list[BaseEvent]:
    """Neutral messages as AG2's events: its own exactly, others from their neutral fields.

    Prompts of other frameworks are left out: AG2 keeps prompts with the agent. The results of one event come back as
    one event; neighbouring results of other frameworks join it.
    """
    events: list[BaseEvent] = []
    sources: list[ChatMessage] = []  # of the latest event that is a message
    for message in messages:
        events += _beside(message, _BEFORE)
        own, last = _own(message), events[-1] if events else None
        event = own or _foreign(message)
        if (
            isinstance(event, ToolResultsEvent)
            and isinstance(last, ToolResultsEvent)
            and (own is None or vars(own)[_ID] == vars(last).get(_ID))
        ):
            last.results.extend(event.results)
            sources, event = [*sources, message], last
        elif event is not None:
            events.append(event)
            sources = [message]
        if event is not None and (own is None or not _has_ids_of(event, sources)):
            vars(event)[_SOURCE] = [_without_events(source) for source in sources]
        events += _beside(message, _AFTER)
    return events


def _message(event: BaseEvent, role: Role, content: Callable[[], Any], *, dump: bool, **fields: Any) -> ChatMessage:
    return ChatMessage(
        role=role,
        content=cast("str", storable(attempt(content, "", what="the content"))),
        id=_event_id(event),
        created_at=_time(event),
        native=native_dump(FRAMEWORK, lambda: dump_event(event)) if dump else None,
        **fields,
    )


def _result(event: ToolResultsEvent, result: ToolResultEvent, part: int, *, dump: bool) -> ChatMessage:
    alone = ToolResultsEvent([result], created_at=event.created_at)
    return ChatMessage(
        role="tool",
        content=cast("str", storable(attempt(lambda: text_of(result.result.parts), "", what="the result"))),
        id=f"{_event_id(event)}/{part}",
        name=neutral_key(result.name),
        tool_call_id=neutral_key(result.parent_id),
        created_at=_time(event),
        native=native_dump(FRAMEWORK, lambda: dump_event(alone), part=part) if dump else None,
    )


def _event_id(event: BaseEvent) -> str:
    return vars(event).setdefault(_ID, new_id())


def _time(event: BaseEvent) -> datetime:
    return datetime.fromtimestamp(event.created_at, timezone.utc)


def _has_ids_of(event: BaseEvent, sources: Sequence[ChatMessage]) -> bool:
    """Whether `to_neutral` gives the event the ids that these messages have."""
    event_id = vars(event).get(_ID)
    if not isinstance(event, ToolResultsEvent):
        return [source.id for source in sources] == [event_id]
    return all(source.id == f"{event_id}/{part}" for part, source in enumerate(sources))


def _own(message: ChatMessage) -> BaseEvent | None:
    dump = read_native(message, FRAMEWORK)
    if dump is None:
        return None
    try:
        event = load_event(dump)
    except (LookupError, TypeError, ValueError):
        # Another version wrote it in a form that this one does not read: the neutral fields still do.
        return None
    vars(event)[_ID] = str(message.id).removesuffix(f"/{(message.native or {}).get('part')}")
    return event


def _foreign(message: ChatMessage) -> BaseEvent | None:
    event: BaseEvent
    match message.role:
        case "user":
            event = ModelRequest(inputs_of(message))
        case "assistant":
            calls = [
                ToolCallEvent(call.name, id=call.id, arguments=arguments_text(call)) for call in message.tool_calls
            ]
            text = ModelMessage(message.text) if message.text or not calls else None
            event = ModelResponse(text, tool_calls=ToolCallsEvent(calls))
        case "tool":
            result = ToolResult(message.text)
            event = ToolResultsEvent(
                [ToolResultEvent(parent_id=message.tool_call_id or "", name=message.name, result=result)]
            )
        case "system":
            return None
    if message.created_at is not None:
        event.created_at = message.created_at.timestamp()
    return event


def _without_events(message: ChatMessage) -> ChatMessage:
    native = {key: value for key, value in (message.native or {}).items() if key not in (_BEFORE, _AFTER)}
    return dataclasses.replace(message, native=native or None)


def _beside(message: ChatMessage, place: str) -> list[BaseEvent]:
    return [_loaded(dump) for dump in cast("list[Mapping[str, JSON]]", (message.native or {}).get(place, []))]


def _loaded(dump: Mapping[str, JSON]) -> BaseEvent:
    try:
        return load_event(dump)
    except (LookupError, TypeError, ValueError):
        return UnknownEvent(type_name=str(dump.get("type")), data=cast("dict[str, Any]", dump.get("data") or {}))

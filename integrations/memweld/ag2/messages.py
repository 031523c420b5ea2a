"""Between AG2's events and the messages of a session: AG2 reads back what it wrote, others read what was said."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
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

from ..memory.messages import new_id, storable, to_message
from ..models import JSON, ChatMessage
from ..validation import MAX_KEY_CHARACTERS
from .content import content_of, inputs_of, text_of
from .serialization import dump_event, load_event

__all__ = ["FRAMEWORK", "answered", "to_events", "to_messages", "to_neutral", "with_events"]

FRAMEWORK = "ag2"

_BEFORE, _AFTER = "before", "after"
# AG2's events have no id. Its dumps leave out what begins with an underscore.
_ID, _SOURCE = "_memweld_id", "_memweld_source"
_INTERRUPTED = "The call was interrupted; whether it took effect is not known."


def to_neutral(event: BaseEvent) -> list[ChatMessage]:
    """One event as messages of a session: one, or for tool results one for each; none for what nobody said.

    An event keeps its ids: the same event again replaces its messages. One that was made of another framework's
    messages is those messages still.
    """
    if source := vars(event).get(_SOURCE):
        return list(cast("list[ChatMessage]", source))
    match event:
        case ModelRequest():
            return [_message(event, role="user", content=content_of(event.parts))]
        case ModelResponse():
            calls = [_call(call) for call in event.tool_calls.calls]
            return [_message(event, role="assistant", content=event.content or "", tool_calls=calls)]
        case CompactionSummary():
            return [_message(event, role="system", content=event.summary)]
        case ToolResultsEvent():
            # The first part carries `part: 0`, so that two such events in a row do not read back as one.
            results = event.results or [None]
            return [_tool_message(event, result, part) for part, result in enumerate(results)]
        case _:
            return []


def to_messages(events: Iterable[BaseEvent]) -> list[ChatMessage]:
    """A whole history as the messages of a session; what nobody said is kept with its neighbours."""
    messages: list[ChatMessage] = []
    leading: list[BaseEvent] = []
    for event in events:
        spoken = to_neutral(event)
        if spoken and leading and not messages:
            spoken[0] = with_events(spoken[0], leading, _BEFORE)
        messages += spoken
        if not spoken and messages:
            messages[-1] = with_events(messages[-1], [event])
        elif not spoken:
            leading.append(event)
    return messages


def with_events(message: ChatMessage, events: Sequence[BaseEvent], place: str = _AFTER) -> ChatMessage:
    """The message with events beside it that only AG2 has a word for: usage, single tool results, tasks."""
    native = dict(message.native or {})
    native[place] = [*cast("list[JSON]", native.get(place, [])), *map(dump_event, events)]
    return dataclasses.replace(message, native=native)


def to_events(messages: Sequence[ChatMessage]) -> list[BaseEvent]:
    """A session as AG2's events: its own exactly, those of other frameworks from their neutral fields.

    Prompts of other frameworks are left out: AG2 keeps prompts with the agent.
    """
    events: list[BaseEvent] = []
    for message in messages:
        events += _beside(message, _BEFORE)
        event = _own(message) or _foreign(message)
        last = events[-1] if events else None
        if isinstance(event, ToolResultsEvent) and isinstance(last, ToolResultsEvent) and not _is_first(message):
            last.results.extend(event.results)
            vars(last).setdefault(_SOURCE, []).extend(vars(event).get(_SOURCE, []))
        elif event is not None:
            events.append(event)
        events += _beside(message, _AFTER)
    return events


def answered(events: Sequence[BaseEvent]) -> list[BaseEvent]:
    """The events with an answer to every tool call that has none; calls at the very end may still get theirs.

    A turn that died between a call and its result leaves the call behind, and providers refuse such a conversation.
    """
    complete: list[BaseEvent] = []
    open_calls: dict[str, ToolCallEvent] = {}
    for event in events:
        if isinstance(event, ToolResultsEvent):
            for result in event.results:
                open_calls.pop(result.parent_id, None)
        elif isinstance(event, (ModelRequest, ModelResponse)):
            if open_calls:
                complete.append(ToolResultsEvent([_interrupted(call) for call in open_calls.values()]))
            calls = event.tool_calls.calls if isinstance(event, ModelResponse) else []
            # With `response_force` a tool gave the turn's last word, and nobody is to answer.
            forced = isinstance(event, ModelResponse) and event.response_force
            open_calls = {} if forced else {call.id: call for call in calls}
        complete.append(event)
    return complete


def _interrupted(call: ToolCallEvent) -> ToolResultEvent:
    return ToolResultEvent(parent_id=call.id, name=call.name, result=ToolResult(_INTERRUPTED))


def _event_id(event: BaseEvent) -> str:
    return vars(event).setdefault(_ID, new_id())


def _message(event: BaseEvent, **fields: Any) -> ChatMessage:
    native = {"framework": FRAMEWORK, "message": dump_event(event)}
    fields["content"] = storable(fields["content"])
    return to_message({"id": _event_id(event), "created_at": _time(event), "native": native, **fields})


def _tool_message(event: ToolResultsEvent, result: ToolResultEvent | None, part: int) -> ChatMessage:
    alone = ToolResultsEvent([] if result is None else [result], created_at=event.created_at)
    fields: dict[str, Any] = {
        "role": "tool",
        "content": storable("" if result is None else text_of(result.result.parts)),
        "name": None if result is None else _key(result.name),
        "tool_call_id": None if result is None else _key(result.parent_id),
        "native": {"framework": FRAMEWORK, "message": dump_event(alone), "part": part},
    }
    return to_message({"id": f"{_event_id(event)}/{part}", "created_at": _time(event), **fields})


def _call(call: ToolCallEvent) -> dict[str, JSON]:
    return {"id": _key(call.id), "name": _key(call.name) or "unknown", "arguments": storable(call.arguments)}


def _key(value: str | None) -> str | None:
    """What a model wrote as a name or id, in a form that can be kept."""
    return cast("str", storable(value or ""))[:MAX_KEY_CHARACTERS].strip() or None


def _time(event: BaseEvent) -> datetime:
    return datetime.fromtimestamp(event.created_at, timezone.utc)


def _is_first(message: ChatMessage) -> bool:
    return (message.native or {}).get("part") == 0


def _own(message: ChatMessage) -> BaseEvent | None:
    native = message.native or {}
    if native.get("framework") != FRAMEWORK:
        return None
    try:
        event = load_event(cast("Mapping[str, JSON]", native["message"]))
    except (LookupError, TypeError, ValueError):
        # Another version wrote it in a form that this one does not read: the neutral fields still do.
        return None
    vars(event)[_ID] = str(message.id).removesuffix(f"/{native.get('part')}")
    return event


def _foreign(message: ChatMessage) -> BaseEvent | None:
    event = _event(message)
    if event is not None:
        if message.created_at is not None:
            event.created_at = message.created_at.timestamp()
        native = {key: value for key, value in (message.native or {}).items() if key not in (_BEFORE, _AFTER)}
        vars(event)[_SOURCE] = [dataclasses.replace(message, native=native or None)]
    return event


def _event(message: ChatMessage) -> BaseEvent | None:
    match message.role:
        case "user":
            return ModelRequest(inputs_of(message))
        case "assistant":
            calls = [
                ToolCallEvent(call.name, id=call.id, arguments=_arguments(call.arguments))
                for call in message.tool_calls
            ]
            spoken = ModelMessage(message.text) if message.text or not calls else None
            return ModelResponse(spoken, tool_calls=ToolCallsEvent(calls))
        case "tool":
            result = ToolResult(message.text)
            return ToolResultsEvent(
                [ToolResultEvent(parent_id=message.tool_call_id or "", name=message.name, result=result)]
            )
        case "system":
            return None


def _beside(message: ChatMessage, place: str) -> list[BaseEvent]:
    return [_loaded(dump) for dump in cast("list[dict[str, JSON]]", (message.native or {}).get(place, []))]


def _loaded(dump: dict[str, JSON]) -> BaseEvent:
    try:
        return load_event(dump)
    except (LookupError, TypeError, ValueError):
        return UnknownEvent(type_name=str(dump.get("type")), data=cast("dict[str, Any]", dump.get("data") or {}))


def _arguments(arguments: Mapping[str, JSON]) -> str:
    raw = arguments.get("__raw__") if len(arguments) == 1 else None
    return raw if isinstance(raw, str) else json.dumps(dict(arguments), ensure_ascii=False)

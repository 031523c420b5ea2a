"""AG2's events as JSON and back. A dump that a stranger wrote makes events, and nothing more."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from ag2.events import BaseEvent

from ..memory.content import storable
from ..models import JSON

__all__ = ["dump_event", "load_event"]

# AG2's own reader (1.2) imports and calls any class that a dump names. Every client that may write for a user can write
# dumps into a session, over a server too. So a dump may name these classes only, beside events.
_DATACLASSES = {"ag2.events.tool_events.ToolResult", "ag2.events.types.Usage", "ag2.events.types.BinaryResult"}
_ENUMS = {"ag2.events.input_events.BinaryType", "ag2.events.alert.Severity"}
_OWN_MODULES = "ag2."
# In the order in which AG2 looks for them.
_MARKERS = ("__event__", "__bytes__", "__uuid__", "__enum__", "__exception__", "__dataclass__", "__pydantic__")

_events: dict[str, type[BaseEvent]] = {}


def dump_event(event: BaseEvent) -> dict[str, JSON]:
    """The event as ``{"type": qualified name, "data": …}``, in JSON that every database keeps."""
    return {"type": _name(type(event)), "data": storable(event.to_dict())}


def load_event(dump: Mapping[str, JSON]) -> BaseEvent:
    """The event of a dump. Parts that are no event, enum or dataclass of AG2's own come back as plain JSON.

    Raises:
        ValueError: The dump names no known event, or does not fit it.
    """
    event = _event_class(dump["type"])
    try:
        return event.from_dict(cast("dict[str, Any]", _harmless(dump["data"])))
    except Exception as error:
        raise ValueError(f"The dump is no {event.__name__}: {error}") from error


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _event_class(name: object) -> type[BaseEvent]:
    known = _find_event(name)
    if known is None and isinstance(name, str) and name.startswith(_OWN_MODULES):
        # It may belong to a module of AG2 that this process has not used yet, a provider's for instance.
        try:
            importlib.import_module(name.rpartition(".")[0])
        except Exception as error:
            raise ValueError(f"The event {name} is not known here") from error
        known = _find_event(name)
    if known is None:
        raise ValueError(f"The event {name} is not known here")
    return known


def _find_event(name: object) -> type[BaseEvent] | None:
    """The event class of that name among those that the process has loaded."""
    if name not in _events:
        found: list[type[BaseEvent]] = [BaseEvent]
        while found:
            cls = found.pop()
            _events[_name(cls)] = cls
            found += cls.__subclasses__()
    return _events.get(cast("str", name))


def _harmless(value: JSON) -> JSON:
    """The value without markers that would make AG2 import or call a class that it may not."""
    if isinstance(value, list):
        return [_harmless(element) for element in cast("list[JSON]", value)]
    if not isinstance(value, Mapping):
        return value
    fields = cast("Mapping[str, JSON]", value)
    marker = next((marker for marker in _MARKERS if marker in fields), None)
    named = fields.get(marker) if marker is not None else None
    if marker == "__event__":
        _event_class(named)
    elif marker == "__enum__" and named not in _ENUMS:
        return _harmless(fields.get("value"))
    elif marker == "__pydantic__" or (marker == "__dataclass__" and named not in _DATACLASSES):
        return _harmless(fields.get("data"))
    # Only one marker stays: where AG2 cannot use the first, it goes on to the next.
    return {key: _harmless(element) for key, element in fields.items() if key == marker or key not in _MARKERS}

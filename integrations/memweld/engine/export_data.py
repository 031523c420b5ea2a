"""The contents of an export as dataclasses, and the rules for data that an engine restores."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from ..errors import InvalidInputError, invalid
from ..models import JSON, Change, ChatMessage, MemoryItem, Source
from ..scope import Scope
from ..validation import (
    MAX_VALUE_CHARACTERS,
    dump_json,
    validate_json,
    validate_key,
    validate_metadata,
    validate_text,
    validate_time,
    validate_ttl,
)
from .message_rules import validate_message

__all__ = [
    "ExportData",
    "ExportPage",
    "ExportedItem",
    "ExportedSession",
    "ExportedValue",
    "naming_place",
    "owner_scope",
    "record_place",
    "validate_export_data",
    "validate_item",
]

_OCCURRENCE = frozenset({"session_id", "message_id", "metadata", "created_at"})
_REMEDY = "Pass what Memory.export() returned, or the file that `memweld export` wrote."


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExportedItem(MemoryItem):
    """An item. A superseded one has the ``valid_until`` and ``expires_at`` that it gets back as its own ends."""

    own_valid_until: datetime | None = None
    own_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedValue:
    """A state value. Its record, if it has one, is among the items."""

    namespace: str
    key: str
    value: JSON
    created_at: datetime
    updated_at: datetime
    agent_id: str | None = None
    ttl: float | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSession:
    """A session; its messages have ids and times."""

    session_id: str
    started_at: datetime
    updated_at: datetime
    messages: tuple[ChatMessage, ...]
    agent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportData:
    """The content of an export. Within the scope of the export, ``agent_id`` alone says whose each part is."""

    items: tuple[ExportedItem, ...] = ()
    values: tuple[ExportedValue, ...] = ()
    sessions: tuple[ExportedSession, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Part of an export, in the form in which an engine restores it; ``next`` is None on the last page."""

    data: ExportData
    next: str | None = None


def owner_scope(scope: Scope, agent_id: str | None) -> Scope:
    """The scope that owns a part of an export for ``scope``.

    Raises:
        InvalidInputError: The scope does not contain it.
    """
    user_id = scope.user_id
    owner = None if user_id is None and agent_id is None else Scope(user_id=user_id, agent_id=agent_id)
    if owner is None or not scope.contains(owner):
        rule = f"the memory of {scope} does not contain what is kept by this agent"
        raise invalid("agent_id", agent_id, rule, "Restore it for the whole user.")
    return owner


def record_place(value: ExportedValue) -> tuple[str | None, str]:
    """The agent and the key of the item that holds the value's text."""
    return value.agent_id, dump_json([value.namespace, value.key])


def validate_export_data(_name: str, data: ExportData) -> ExportData:
    """Apply the rules for input to data that an engine restores.

    Raises:
        InvalidInputError: A part breaks one.
    """
    for number, item in enumerate(data.items):
        with naming_place(f"items[{number}] of the export"):
            validate_item(item)
            for name in ("own_valid_until", "own_expires_at"):
                validate_time(name, getattr(item, name))
    for number, value in enumerate(data.values):
        with naming_place(f"state[{number}] of the export"):
            validate_key("namespace", value.namespace)
            validate_key("key", value.key)
            validate_json("value", value.value)
            validate_ttl(value.ttl)
    for number, session in enumerate(data.sessions):
        with naming_place(f"sessions[{number}] of the export"):
            validate_key("session_id", session.session_id)
            for message in session.messages:
                if message.id is None or message.created_at is None:
                    raise invalid("message", message.id, "a restored message has an id and a time", _REMEDY)
                validate_message(message)
    return data


@contextlib.contextmanager
def naming_place(place: str) -> Generator[None]:
    """Say in an error about input where that input stands."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(f"In {place}: {error}") from error


def validate_item(item: MemoryItem) -> None:
    """Apply the rules for input to an item that an engine restores.

    Raises:
        InvalidInputError: A field breaks one.
    """
    validate_key("memory_id", item.id)
    validate_text("text", item.text)
    if item.kind not in ("item", "source", "preference", "task", "record"):
        raise invalid("kind", item.kind, "there is no such kind", _REMEDY)
    if item.extraction not in ("verbatim", "extracted", "failed"):
        raise invalid("extraction", item.extraction, "it is verbatim, extracted or failed", _REMEDY)
    if (item.key is None) != (item.kind in ("item", "source")):
        raise invalid("key", item.key, "every kind but item and source has a key, and these have none", _REMEDY)
    _validate_occurrences(item)
    _validate_validity(item)
    for name in ("key", "session_id", "name", "message_id", "superseded_by"):
        value = getattr(item, name)
        if value is not None:
            # The key of a record holds a namespace and a key.
            validate_text(name, value, maximum=8_192) if item.kind == "record" else validate_key(name, value)
    if item.extraction_error is not None:
        validate_text("extraction_error", item.extraction_error)
    if not isinstance(item.metadata, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise invalid("metadata", item.metadata, "it must be a JSON object", _REMEDY)
    if item.source not in get_args(Source):
        raise invalid("source", item.source, f"it is one of {', '.join(get_args(Source))}", _REMEDY)
    if item.role not in (None, "user", "assistant"):
        raise invalid("role", item.role, "facts come from the user or the assistant", _REMEDY)
    if item.kind in ("item", "source"):
        validate_metadata(item.metadata)
    else:
        validate_json("metadata", item.metadata, maximum=MAX_VALUE_CHARACTERS)


def _validate_validity(item: MemoryItem) -> None:
    for name in ("valid_from", "valid_until", "expires_at", "pinned_at"):
        validate_time(name, getattr(item, name))
    if item.changed_by not in (None, *get_args(Change)):
        raise invalid("changed_by", item.changed_by, f"it is one of {', '.join(get_args(Change))}", _REMEDY)
    if item.kind == "record" and (item.valid_from or item.valid_until or item.superseded_by):
        raise invalid("kind", item.kind, "a record has no validity", _REMEDY)


def _validate_occurrences(item: MemoryItem) -> None:
    lists = {"occurrences": item.occurrences, "links": item.links}
    for name, value in lists.items():
        if not isinstance(value, (list, tuple)) or (value and item.key is not None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid(name, value, "it must be a list, and items and sources alone have any", _REMEDY)
    for link in item.links:
        validate_key("links", link)
    for occurrence in item.occurrences:
        if not isinstance(occurrence, Mapping) or set(occurrence) - _OCCURRENCE:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("occurrences", occurrence, f"each is an object of {', '.join(sorted(_OCCURRENCE))}", _REMEDY)
        for name in ("session_id", "message_id"):
            if occurrence.get(name) is not None:
                validate_key(name, occurrence[name])
        validate_metadata(occurrence.get("metadata"))
        validate_time("created_at", occurrence.get("created_at"))

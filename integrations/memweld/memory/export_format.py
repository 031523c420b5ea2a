"""An export read back: from the JSON of `Memory.export` to what an engine restores, every part of it checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from ..engine.protocol import ExportData, ExportedSession, ExportedValue
from ..errors import InvalidInputError, invalid
from ..models import JSON, MemoryItem
from ..scope import Scope, validate_identity
from ..validation import (
    MAX_VALUE_CHARACTERS,
    validate_json,
    validate_key,
    validate_metadata,
    validate_text,
    validate_time,
    validate_ttl,
)
from .messages import to_message

__all__ = ["read_export", "validate_export_data"]

T = TypeVar("T")

_FORMAT, _VERSION = "memweld-export", 1
_REMEDY = "Pass what Memory.export() returned, or the file that `memweld export` wrote."
_MESSAGE = ("id", "role", "content", "name", "tool_calls", "tool_call_id", "native", "created_at")


def read_export(scope: Scope, data: object) -> ExportData:
    """The parts of an export that is to be restored for this scope.

    Raises:
        InvalidInputError: It is no export, it is somebody else's, or a part of it breaks a rule (its place is named).
    """
    if not isinstance(data, Mapping):
        raise invalid("export", data, f"it must be a JSON object, not {type(data).__name__}", _REMEDY)
    export = cast("Mapping[str, JSON]", data)
    if export.get("format") != _FORMAT:
        raise invalid("export", export.get("format"), f"its format is not {_FORMAT}", _REMEDY)
    if export.get("version") != _VERSION:
        raise invalid("export", export.get("version"), f"this memweld reads version {_VERSION}", "Upgrade memweld.")
    if export.get("user_id") != scope.user_id:
        remedy = "Restore it for that user; if the user has another id now, write that id into the export's user_id."
        raise invalid("export", export.get("user_id"), f"it is of another user than the memory of {scope}", remedy)
    kept = ExportData(
        items=tuple(_each(export, "items", _item)),
        values=tuple(_each(export, "state", _value)),
        sessions=tuple(_sessions(export)),
    )
    validate_export_data(kept)
    return kept


def validate_export_data(kept: ExportData) -> None:
    """Apply the rules for input to what is to be restored.

    Raises:
        InvalidInputError: A part breaks one.
    """
    for item in kept.items:
        _check_item(item)
    for value in kept.values:
        validate_key("namespace", value.namespace)
        validate_key("key", value.key)
        validate_json("value", value.value)
        validate_ttl(value.ttl)
    for session in kept.sessions:
        validate_key("session_id", session.session_id)
        for message in session.messages:
            if message.id is None or message.created_at is None:
                raise invalid("message", message.id, "a message that is restored has an id and a time", _REMEDY)
            to_message(message)


def _check_item(item: MemoryItem) -> None:
    validate_key("memory_id", item.id)
    if validate_text("text", item.text) != item.text:
        raise invalid("text", item.text, "it is not in the form in which texts are kept", _REMEDY)
    if item.kind not in ("item", "preference", "task", "record"):
        raise invalid("kind", item.kind, "there is no such kind", _REMEDY)
    if item.extraction not in ("verbatim", "extracted", "failed"):
        raise invalid("extraction", item.extraction, "it is verbatim, extracted or failed", _REMEDY)
    if (item.key is None) != (item.kind == "item"):
        raise invalid("key", item.key, f"of all kinds {item.kind} alone has none or needs one", _REMEDY)
    for name in ("key", "session_id", "name"):
        given = getattr(item, name)
        if given is not None:
            # The key of a record holds a namespace and a key.
            validate_text(name, given, maximum=8_192) if item.kind == "record" else validate_key(name, given)
    if item.extraction_error is not None:
        validate_text("extraction_error", item.extraction_error)
    if not isinstance(item.metadata, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise invalid("metadata", item.metadata, "it must be a JSON object", _REMEDY)
    if item.role not in (None, "user", "assistant"):
        raise invalid("role", item.role, "facts come from the user or the assistant", _REMEDY)
    if item.kind == "item":
        validate_metadata(item.metadata)
    else:
        validate_json("metadata", item.metadata, maximum=MAX_VALUE_CHARACTERS)


def _each(export: Mapping[str, JSON], part: str, read: Callable[[Mapping[str, Any]], T]) -> Iterator[T]:
    rows = export.get(part, [])
    if not isinstance(rows, list):
        raise invalid(part, rows, "it must be a list", _REMEDY)
    for place, row in enumerate(cast("list[object]", rows)):
        if not isinstance(row, Mapping):
            raise invalid(f"{part}[{place}]", row, "it must be an object", _REMEDY)
        try:
            yield read(cast("Mapping[str, Any]", row))
        except InvalidInputError as error:
            raise InvalidInputError(f"In {part}[{place}] of the export: {error}") from error


def _time(row: Mapping[str, Any], name: str) -> datetime:
    moment = validate_time(name, row.get(name))
    if moment is None:
        raise invalid(name, None, "it is missing", _REMEDY)
    return moment


def _agent(row: Mapping[str, Any]) -> str | None:
    agent_id = row.get("agent_id")
    return None if agent_id is None else validate_identity("agent_id", agent_id)


def _item(row: Mapping[str, Any]) -> MemoryItem:
    return MemoryItem(
        id=validate_key("id", row.get("id")),
        text=validate_text("text", row.get("text")),
        created_at=_time(row, "created_at"),
        updated_at=_time(row, "updated_at"),
        agent_id=_agent(row),
        kind=row.get("kind", "item"),
        key=row.get("key"),
        session_id=row.get("session_id"),
        role=row.get("role"),
        name=row.get("name"),
        metadata=row.get("metadata", {}),
        extraction=row.get("extraction", "verbatim"),
        extraction_error=row.get("extraction_error"),
    )


def _value(row: Mapping[str, Any]) -> ExportedValue:
    return ExportedValue(
        namespace=validate_key("namespace", row.get("namespace")),
        key=validate_key("key", row.get("key")),
        value=row.get("value"),
        created_at=_time(row, "created_at"),
        updated_at=_time(row, "updated_at"),
        agent_id=_agent(row),
        ttl=row.get("ttl"),
        expires_at=validate_time("expires_at", row.get("expires_at")),
    )


def _sessions(export: Mapping[str, JSON]) -> Iterator[ExportedSession]:
    """The messages by session, in the order of the export."""

    def place_of(row: Mapping[str, Any]) -> tuple[str | None, str]:
        return _agent(row), validate_key("session_id", row.get("session_id"))

    spoken: dict[tuple[str | None, str], list[Any]] = {}
    read = _each(export, "messages", lambda row: (place_of(row), to_message({k: row[k] for k in _MESSAGE if k in row})))
    for place, message in read:
        spoken.setdefault(place, []).append(message)
    times = dict(
        _each(export, "sessions", lambda row: (place_of(row), (_time(row, "started_at"), _time(row, "updated_at"))))
    )
    for (agent_id, session_id), messages in spoken.items():
        # Exports of the first version have no sessions.
        said = (messages[0].created_at, messages[-1].created_at)
        started_at, updated_at = times.get((agent_id, session_id), said)
        yield ExportedSession(
            session_id=session_id,
            started_at=started_at,
            updated_at=updated_at,
            messages=tuple(messages),
            agent_id=agent_id,
        )

"""The JSON form of an export: written by `Memory.export`, read by `Memory.restore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from ..engine.export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, naming_place
from ..errors import invalid
from ..models import JSON, ChatMessage
from ..scope import Scope, validate_identity
from ..validation import utc_now, validate_key, validate_time
from .messages import to_message

__all__ = ["read_export", "write_export"]

T = TypeVar("T")

_FORMAT, _VERSION = "memweld-export", 1
_REMEDY = "Pass what Memory.export() returned, or the file that `memweld export` wrote."
_TIMES = (
    "created_at", "updated_at", "started_at", "expires_at", "valid_from", "valid_until", "pinned_at", "own_valid_until",
    "own_expires_at",
)  # fmt: skip


def write_export(scope: Scope, data: ExportData) -> dict[str, JSON]:
    """The JSON object for all that a scope contains. Fields without a value are left out."""
    sessions = data.sessions
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "user_id": scope.user_id,
        "agent_id": scope.agent_id,
        "exported_at": utc_now().isoformat(),
        "items": [_written(item) for item in data.items],
        "state": [{**_written(value), "value": value.value} for value in data.values],
        "sessions": [_written(session, without="messages") for session in sessions],
        "messages": [{**_place(session), **_written(message)} for session in sessions for message in session.messages],
    }


def _written(row: Any, *, without: str | None = None) -> dict[str, JSON]:
    """The fields of a row, those of its tool calls included."""
    written: dict[str, JSON] = {}
    for name in (field.name for field in fields(row)):
        value = getattr(row, name)
        if value is None or value == () or name == without:
            continue
        if isinstance(value, datetime):
            value = value.isoformat()
        elif name == "tool_calls":
            value = [_written(call) for call in value]
        elif isinstance(value, tuple):
            value = list(cast("tuple[JSON, ...]", value))
        written[name] = value
    return written


def _place(session: ExportedSession) -> dict[str, JSON]:
    place = {"agent_id": session.agent_id, "session_id": session.session_id}
    return {name: value for name, value in place.items() if value is not None}


def read_export(scope: Scope, data: object) -> ExportData:
    """The content of an export that is to be restored for this scope; `Restore` applies the rules to its fields.

    Raises:
        InvalidInputError: It is no export, it is another user's, or a part of it is not of its type (the error names
            the place).
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
    return ExportData(
        items=tuple(_read(export, "items", ExportedItem)),
        values=tuple(_read(export, "state", ExportedValue)),
        sessions=tuple(_sessions(export)),
    )


def _rows(export: Mapping[str, JSON], part: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of one part, each with its place for errors."""
    rows = export.get(part, [])
    if not isinstance(rows, list):
        raise invalid(part, rows, "it must be a list", _REMEDY)
    for number, row in enumerate(cast("list[object]", rows)):
        place = f"{part}[{number}] of the export"
        if not isinstance(row, Mapping):
            raise invalid(place, row, "it must be an object", _REMEDY)
        yield place, cast("Mapping[str, Any]", row)


def _row(kind: type[T], row: Mapping[str, Any], **given: Any) -> T:
    """The row as a dataclass: every field that has no default is there, times are times, the agent's id is valid."""
    values: dict[str, Any] = {}
    for field in fields(cast("Any", kind)):
        name = field.name
        if name in given:
            values[name] = given[name]
        elif name in _TIMES and row.get(name) is not None:
            values[name] = validate_time(name, row[name])
        elif name == "agent_id":
            values[name] = _agent(row)
        elif name in row and name != "user_id":
            values[name] = row[name]
        if field.default is MISSING and field.default_factory is MISSING and values.get(name) is None:
            # A value may be null.
            if name != "value":
                raise invalid(name, None, "it is missing", _REMEDY)
            values[name] = None
    return kind(**values)


def _agent(row: Mapping[str, Any]) -> str | None:
    agent_id = row.get("agent_id")
    return None if agent_id is None else validate_identity("agent_id", agent_id)


def _read(export: Mapping[str, JSON], part: str, kind: type[T]) -> Iterator[T]:
    for place, row in _rows(export, part):
        with naming_place(place):
            yield _row(kind, row)


def _sessions(export: Mapping[str, JSON]) -> Iterator[ExportedSession]:
    """The messages by session, in the order of the export, with the times of their sessions."""
    messages: dict[tuple[str | None, str], list[ChatMessage]] = {}
    for place, row in _rows(export, "messages"):
        with naming_place(place):
            session = _agent(row), validate_key("session_id", row.get("session_id"))
            foreign = {"agent_id", "session_id"}
            message = to_message({name: value for name, value in row.items() if name not in foreign})
            messages.setdefault(session, []).append(message)
    for place, row in _rows(export, "sessions"):
        with naming_place(place):
            session = _row(ExportedSession, row, messages=())
            spoken = messages.pop((session.agent_id, validate_key("session_id", session.session_id)), [])
            if spoken:
                yield replace(session, messages=tuple(spoken))
    for (agent_id, session_id), spoken in messages.items():
        started_at, updated_at = (cast("datetime", spoken[place].created_at) for place in (0, -1))
        yield ExportedSession(
            session_id=session_id,
            started_at=started_at,
            updated_at=updated_at,
            messages=tuple(spoken),
            agent_id=agent_id,
        )

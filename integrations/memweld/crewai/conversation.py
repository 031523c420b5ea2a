"""The conversation in a flow's state, kept as the history of a session: each message once."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from ..adapters.messages import (
    append_fitting,
    arguments_text,
    fit_message,
    native_dump,
    read_native,
    tells_changes,
)
from ..errors import InvalidInputError
from ..memory.content import attempt, note_change, noting_changes, storable
from ..memory.history import History
from ..memory.messages import new_id, read_message
from ..memory.transcript import INTERRUPTED, is_cut_of, model_window
from ..models import JSON, ChatMessage, Role
from ..validation import dump_json

__all__ = ["Limits", "View", "is_chat", "read_messages", "save_messages", "to_json"]

FRAMEWORK = "crewai"

_ROLES = frozenset(get_args(Role))
_NEUTRAL = ("role", "content", "name", "tool_call_id", "tool_calls")
# A conversation message has no id. It has metadata, which CrewAI shows to no model: a mark there holds the id.
_MARK = "memweld"
_TAIL = 50


class View(BaseModel):
    """The messages of a session that a flow had in its state: it may have dropped some, which others still read.

    Attributes:
        ids: Their ids, in the flow's order.
        seen: The last message of the session when the state was saved; later ones are new to the flow.
        marked: Whether its messages carry ids; plain dicts do not.
    """

    ids: list[str] = []
    seen: str | None = None
    marked: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How many messages of a session a flow is given at most, and how many characters of them; None for all."""

    messages: int | None
    characters: int | None

    def window(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The latest messages within the limits."""
        return model_window(messages, limit=self.messages, characters=self.characters)


@dataclasses.dataclass(slots=True)
class _Entry:
    """A message of a live state."""

    live: object
    fields: dict[str, JSON]
    id: str | None = None
    is_new: bool = False
    is_changed: bool = False
    changes: Mapping[str, None] = dataclasses.field(default_factory=dict[str, None])

    @property
    def content(self) -> list[JSON]:
        """The message without the fields that only CrewAI reads."""
        return _content(self.fields)


def is_chat(messages: object) -> bool:
    """Whether the ``messages`` of a flow's state are a conversation: each has a role and a content."""
    return isinstance(messages, list) and all(map(_is_message, cast("list[object]", messages)))


def _is_message(message: object) -> bool:
    if isinstance(message, Mapping):
        fields = cast("Mapping[str, object]", message)
        return fields.get("role") in _ROLES and ("content" in fields or bool(fields.get("tool_calls")))
    return isinstance(message, BaseModel) and getattr(message, "role", None) in _ROLES and hasattr(message, "content")


def to_json(what: str, value: object) -> JSON:
    """The value as JSON: models, times, sets and the like in the form that pydantic gives them.

    Raises:
        InvalidInputError: JSON cannot hold it; the message names the part.
    """
    try:
        return to_jsonable_python(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{what} cannot be kept{_unfit_part(value)}: JSON cannot hold it ({error}). Keep plain data in the state "
            "of a flow; live objects belong into attributes of the flow."
        ) from error


def _unfit_part(value: object) -> str:
    fields = dict(cast("Mapping[Any, Any]", value)) if isinstance(value, Mapping) else {}
    for name, part in fields.items():
        try:
            to_jsonable_python(part)
        except (ValueError, RecursionError):
            return f" because of {name!r}"
    return ""


def save_messages(history: History, messages: Sequence[object]) -> View:
    """Append to the session what it does not have yet, replace what was edited, and say what the flow has.

    Messages of a live state get marks with their ids, so that the next call knows them. A part that JSON cannot hold
    is replaced.
    """
    entries = [entry for entry in (_entry(message, history.session_id) for message in messages) if _was_said(entry)]
    unknown = [entry for entry in entries if entry.id is None]
    last_known = next((entry.id for entry in reversed(entries) if entry.id is not None), None)
    tail = _after(history, last_known) if unknown or not entries else []
    _recognise(unknown, tail)
    added = [entry for entry in unknown if entry.id is None]
    for entry in added:
        entry.id, entry.is_new = new_id(), True
    append_fitting(history, [_to_neutral(entry) for entry in entries if entry.is_new or entry.is_changed])
    for entry in entries:
        metadata = _metadata(entry.live)
        if metadata is not None and isinstance(entry.live, BaseModel):
            metadata[_MARK] = _mark(history.session_id, entry.id, entry.fields)
    seen = added[-1].id if added else tail[-1].id if tail else last_known
    marked = any(_metadata(entry.live) is not None for entry in entries)
    return View(ids=_view(entries, added, tail), seen=seen, marked=marked)


def read_messages(history: History, view: View | None, limits: Limits) -> list[dict[str, JSON]]:
    """The messages of a flow's state: those that it had, and those that others have written since."""
    stored = history.messages()
    if view is not None:
        known = {message.id: message for message in stored}
        had = [known[message_id] for message_id in view.ids if message_id in known]
        place = next((place for place, message in enumerate(stored, 1) if message.id == view.seen), 0)
        stored = [*had, *(message for message in stored[place:] if message.id not in set(view.ids))]
    window = limits.window(stored)
    read = [_to_crewai(message) for message in window]
    if view is not None and view.marked:
        for message, fields in zip(window, read, strict=True):
            metadata = cast("dict[str, JSON]", fields.get("metadata") or {})
            fields["metadata"] = {**metadata, _MARK: _mark(history.session_id, message.id, fields)}
    return read


def _entry(message: object, session_id: str) -> _Entry:
    # Not a dump of the model: its code would fail on a value of which `storable` keeps the rest.
    given = _fields_of(message)
    with noting_changes() as changes:
        dump = cast(
            "dict[str, JSON]", attempt(lambda: to_jsonable_python(given), None, what="a part") or storable(given)
        )
    metadata = _mapping(dump.pop("metadata", None))
    mark = _mapping(metadata.pop(_MARK, None))
    # CrewAI reads a message back only with a content, be it null.
    fields = {"content": None} | {name: value for name, value in dump.items() if value is not None}
    if metadata:
        fields["metadata"] = metadata
    entry = _Entry(message, fields, changes=changes)
    # A flow that was forked from this session has its marks, and a session of its own.
    if mark.get("session") == session_id:
        entry.id = cast("str", mark["id"])
        entry.is_changed = mark != _mark(session_id, entry.id, fields)
    return entry


def _mapping(value: JSON) -> dict[str, JSON]:
    return dict(cast("Mapping[str, JSON]", value)) if isinstance(value, Mapping) else {}


def _fields_of(message: object) -> dict[str, Any]:
    if isinstance(message, BaseModel):
        return {**vars(message), **(message.model_extra or {})}
    return dict(cast("Mapping[str, Any]", message))


def _was_said(entry: _Entry) -> bool:
    """Whether the session is to have it; each reading adds the results of interrupted calls anew."""
    return entry.fields.get("role") != "tool" or entry.fields["content"] != INTERRUPTED


def _mark(session_id: str, message_id: str | None, fields: Mapping[str, JSON]) -> dict[str, JSON]:
    content = sorted((name, value) for name, value in fields.items() if name != "metadata")
    digest = hashlib.sha256(dump_json(content).encode(errors="replace")).hexdigest()[:16]
    return {"session": session_id, "id": message_id, "content": digest}


def _metadata(message: object) -> dict[str, JSON] | None:
    if isinstance(message, Mapping):
        found = cast("Mapping[str, object]", message).get("metadata")
    else:
        found = getattr(message, "metadata", None)
    is_dict = attempt(lambda: isinstance(found, dict), False, what="the metadata")
    return cast("dict[str, JSON]", found) if is_dict else None


def _after(history: History, message_id: str | None) -> list[ChatMessage]:
    """The messages of the session behind this one: all of them without an id, none if it is gone."""
    if message_id is None:
        return history.messages()
    for limit in (_TAIL, None):
        stored = history.messages(limit)
        place = next((place for place, message in enumerate(stored, 1) if message.id == message_id), None)
        if place is not None:
            return stored[place:]
    return []


def _recognise(unknown: Sequence[_Entry], tail: Sequence[ChatMessage]) -> None:
    """Find messages without an id among those that the session has: plain dicts cannot carry one.

    The flow has them as it made them, or as `read_messages` showed them.
    """
    window = model_window(tail)
    as_made, as_shown = ({message.id: message for message in messages} for messages in (tail, window))
    rest = [(message, as_shown.get(message.id, message)) for message in tail]
    orders = [rest, [(as_made[message.id], message) for message in window if message.id in as_made]]
    length, stored = max(((_overlap(unknown, order), order) for order in orders), key=lambda match: match[0])
    if length:
        for entry, (message, _) in zip(unknown, stored[-length:], strict=False):
            entry.id = message.id
        return
    # Others have written meanwhile: the flow's messages stand before theirs, in the same order.
    for entry in unknown:
        place = next((at for at, forms in enumerate(rest) if _is_one_of(entry, forms, unknown[0])), None)
        if place is not None:
            entry.id = rest[place][0].id
            rest = rest[place + 1 :]


def _overlap(unknown: Sequence[_Entry], stored: Sequence[Sequence[ChatMessage]]) -> int:
    """How many messages at the end of the session are the first of these."""
    for length in range(min(len(unknown), len(stored)), 0, -1):
        pairs = zip(unknown, stored[-length:], strict=False)
        if all(_is_one_of(entry, forms, unknown[0]) for entry, forms in pairs):
            return length
    return 0


def _is_one_of(entry: _Entry, forms: Sequence[ChatMessage], first: _Entry) -> bool:
    return any(_shows(entry, message, first) for message in forms)


def _shows(entry: _Entry, message: ChatMessage, first: _Entry) -> bool:
    """Whether the entry is this message, or the part of it that fitted: the first one may be a cut question."""
    (role, own, *fields), (stored_role, stored, *stored_fields) = entry.content, _content(_to_crewai(message))
    if (role, fields) != (stored_role, stored_fields):
        return False
    return own == stored or (isinstance(own, str) and (role != "user" or entry is first) and is_cut_of(own, message))


def _content(fields: Mapping[str, JSON]) -> list[JSON]:
    return [fields.get(name) or None for name in _NEUTRAL]


def _view(entries: Sequence[_Entry], added: Sequence[_Entry], tail: Sequence[ChatMessage]) -> list[str]:
    ids = [entry.id for entry in entries if entry.id is not None]
    # The flow has not seen what others wrote during the turn; it reads that when it is loaded again.
    others = [message.id for message in tail if message.id is not None and message.id not in ids] if added else []
    place = ids.index(added[0].id) if added and added[0].id is not None else len(ids)
    return [*ids[:place], *others, *ids[place:]]


@tells_changes
def _to_neutral(entry: _Entry) -> ChatMessage:
    """A message of a flow as every framework reads it, with its own dump for CrewAI."""
    neutral = {name: entry.fields[name] for name in _NEUTRAL if entry.fields.get(name) is not None}
    for change in entry.changes:
        note_change(change)
    return fit_message(
        read_message({"content": "", **neutral, "id": entry.id, "native": native_dump(FRAMEWORK, entry.fields)})
    )


def _to_crewai(message: ChatMessage) -> dict[str, JSON]:
    """The fields of a `ConversationMessage`: exactly as they were if CrewAI wrote it, else from the neutral fields."""
    own = read_native(message, FRAMEWORK)
    if own is not None and _is_message(own):
        return dict(own)
    fields: dict[str, JSON] = {"role": message.role, "content": message.content}
    if message.name:
        fields["name"] = message.name
    if message.tool_calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        fields["tool_call_id"] = message.tool_call_id
    return fields

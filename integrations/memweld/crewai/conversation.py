"""The conversation in a flow's state, kept as the history of a session: each message once, whoever wrote it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel

from ..memory.facets import History
from ..memory.messages import new_id
from ..models import JSON, ChatMessage
from ..validation import dump_json
from .messages import fields_of, readable, said_the_same, to_neutral

__all__ = ["View", "keep_messages", "read_messages"]

# A conversation message has no id. It has metadata, which CrewAI shows to no model: the id is noted there.
_MARK = "memweld"
_TAIL = 50


class View(BaseModel):
    """Which messages of a session a flow had in its state: it may have dropped some, which others still read.

    Attributes:
        ids: Those that it had, in its order.
        seen: The last message of the session when the state was saved; what came later is new to the flow.
        marked: Whether its messages carry ids; plain dicts do not.
    """

    ids: list[str] = []
    seen: str | None = None
    marked: bool = False


@dataclass(slots=True)
class _Spoken:
    live: object
    fields: dict[str, JSON]
    id: str | None = None
    is_new: bool = False
    is_changed: bool = False


def keep_messages(history: History, messages: Sequence[object]) -> View:
    """Append to the session what it has not yet, replace what was edited, and say what the flow has.

    Messages of a live state are marked with their ids, so that the next call knows them.

    Raises:
        InvalidInputError: JSON cannot hold a message.
    """
    spoken = [_spoken(message, history.session_id) for message in messages]
    unknown = [each for each in spoken if each.id is None]
    last_known = next((each.id for each in reversed(spoken) if each.id is not None), None)
    tail = _after(history, last_known) if unknown or not spoken else []
    _recognise(unknown, tail)
    added = [each for each in unknown if each.id is None]
    for each in added:
        each.id, each.is_new = new_id(), True
    writing = [to_neutral(each.fields, each.id) for each in spoken if each.is_new or each.is_changed]
    if writing:
        history.append(writing)
    for each in spoken:
        _mark(each, history.session_id)
    seen = added[-1].id if added else tail[-1].id if tail else last_known
    marked = any(_metadata(each.live) is not None for each in spoken)
    return View(ids=_view(spoken, added, tail), seen=seen, marked=marked)


def read_messages(history: History, view: View | None) -> list[dict[str, JSON]]:
    """The messages of a flow's state: those that it had, and those that others have written since."""
    stored = history.messages()
    if view is None:
        return [fields for _, fields in readable(stored)]
    known = {message.id: message for message in stored if message.id is not None}
    had = [known[message_id] for message_id in view.ids if message_id in known]
    place = next((place for place, message in enumerate(stored, 1) if message.id == view.seen), 0)
    since = [message for message in stored[place:] if message.id not in set(view.ids)]
    read = readable([*had, *since])
    if view.marked:
        for message_id, fields in read:
            fields["metadata"] = {
                **(fields.get("metadata") or {}),
                _MARK: _note(history.session_id, message_id, fields),
            }
    return [fields for _, fields in read]


def _spoken(message: object, session_id: str) -> _Spoken:
    fields = fields_of(message)
    metadata = dict(cast("Mapping[str, JSON]", fields.pop("metadata", None) or {}))
    note = cast("Mapping[str, JSON]", metadata.pop(_MARK, None) or {})
    if metadata:
        fields["metadata"] = metadata
    each = _Spoken(message, fields)
    # A flow that was forked from this session has its marks, and a session of its own.
    if note.get("session") == session_id:
        each.id = note["id"]
        each.is_changed = note != _note(session_id, each.id, fields)
    return each


def _note(session_id: str, message_id: str | None, fields: Mapping[str, JSON]) -> dict[str, JSON]:
    content = sorted((name, value) for name, value in fields.items() if name != "metadata")
    digest = hashlib.sha256(dump_json(content).encode()).hexdigest()[:16]
    return {"session": session_id, "id": message_id, "content": digest}


def _metadata(message: object) -> dict[str, JSON] | None:
    if isinstance(message, Mapping):
        found = cast("Mapping[str, object]", message).get("metadata")
    else:
        found = getattr(message, "metadata", None)
    return cast("dict[str, JSON]", found) if isinstance(found, dict) else None


def _mark(each: _Spoken, session_id: str) -> None:
    metadata = _metadata(each.live)
    if metadata is not None and isinstance(each.live, BaseModel):
        metadata[_MARK] = _note(session_id, each.id, each.fields)


def _after(history: History, message_id: str | None) -> list[ChatMessage]:
    """What stands in the session behind a message: all of it without one, nothing if the message is gone."""
    if message_id is None:
        return history.messages()
    for limit in (_TAIL, None):
        stored = history.messages(limit)
        place = next((place for place, message in enumerate(stored, 1) if message.id == message_id), None)
        if place is not None:
            return stored[place:]
    return []


def _recognise(unknown: Sequence[_Spoken], tail: Sequence[ChatMessage]) -> None:
    """Find messages without an id among those that the session has: plain dicts cannot carry one."""
    stored = readable(tail)
    for length in range(min(len(unknown), len(stored)), 0, -1):
        pairs = list(zip(unknown, stored[-length:], strict=False))
        if all(said_the_same(each.fields, fields) for each, (_, fields) in pairs):
            for each, (message_id, _) in pairs:
                each.id = message_id
            return
    # Somebody else has written meanwhile: what the flow had stands before that, in the same order.
    rest = iter(stored)
    for each in unknown:
        remaining = list(rest)
        place = next((at for at, (_, fields) in enumerate(remaining) if said_the_same(each.fields, fields)), None)
        if place is not None:
            each.id = remaining[place][0]
        rest = iter(remaining if place is None else remaining[place + 1 :])


def _view(spoken: Sequence[_Spoken], added: Sequence[_Spoken], tail: Sequence[ChatMessage]) -> list[str]:
    ids = [each.id for each in spoken if each.id is not None]
    # What others wrote during the turn: the flow has not seen it, and reads it when it is loaded again.
    others = [message.id for message in tail if message.id is not None and message.id not in ids] if added else []
    place = ids.index(added[0].id) if added and added[0].id is not None else len(ids)
    return [*ids[:place], *others, *ids[place:]]

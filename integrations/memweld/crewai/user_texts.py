"""The user's part of the texts that CrewAI hands to a memory: without its planner's words, and without other roles'."""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from cachetools import LRUCache
from crewai import Agent, Crew
from crewai.utilities.message_utils import message_content_text

from ..memory.content import attempt
from .runs import Note, current_run, wrap_method

__all__ = ["load_notes", "note_texts", "saved_notes", "user_text"]

_MAX_NOTES = 256
_MAX_SAVED_NOTES = 32
_BEHIND = "\nAgent: "
# CrewAI 1.15 hands a memory these words in place of messages without text.
_NO_TEXT = "User request"
# The notes of plans, by the digest of the text; those of a kickoff are its run's. No text stays here.
_notes: LRUCache[str, Note] = LRUCache(_MAX_NOTES)
# The same by the storage of a crew that has these plans: its checkpoints hold no other crew's.
_plans: weakref.WeakKeyDictionary[object, LRUCache[str, Note]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def user_text(text: str) -> str:
    """A text of CrewAI's, or a finished task that begins with one, with the user's part alone in place of it."""
    run = current_run()
    with _lock:
        known = [*(run.notes.items() if run else ()), *_notes.items()]
    # The longest first: a crew that is kicked off again appends a plan to a plan.
    notes = sorted(known, key=lambda note: -note[1][0])
    digests: dict[int, str] = {}
    for digest, (length, start, end) in notes:
        is_whole = length == len(text) or text.startswith(_BEHIND, length)
        if is_whole and digests.setdefault(length, _digest(text[:length])) == digest:
            return text[start:end] + text[length:]
    return text


def saved_notes(storage: object) -> list[list[Any]]:
    """The latest notes of the plans of the crews on a storage, for a checkpoint.

    Another process has not seen the planner append them. They hold digests and lengths, and no text.
    """
    with _lock:
        plans = _plans.get(storage)
        return [] if plans is None else [[digest, *note] for digest, note in plans.items()]


def load_notes(storage: object, saved: Sequence[Sequence[Any]]) -> None:
    """Take the notes of a checkpoint of this storage."""
    for digest, length, start, end in saved:
        _note([storage], digest, (length, start, end))


def _note(storages: Iterable[object], digest: str, note: Note) -> None:
    with _lock:
        _notes[digest] = note
        for storage in storages:
            _plans.setdefault(storage, LRUCache(_MAX_SAVED_NOTES))[digest] = note


def _storages_of(crew: Crew) -> list[object]:
    """The storages of the memories of a crew and its agents; of a scope or slice that of the whole memory."""
    memories = [getattr(each, name, None) for each in (crew, *crew.agents) for name in ("memory", "_memory")]
    storages = [getattr(getattr(each, "_memory", None) or each, "storage", None) for each in memories]
    return [each for each in storages if each is not None and not isinstance(each, str)]


def note_texts() -> None:
    """Let crews and agents note which part of a text the user wrote. Later calls change nothing.

    CrewAI 1.15 appends the plan to ``Task.description``, joins the messages of a kickoff, and hands a memory that text.
    """
    wrap_method(Crew, "_handle_crew_planning", _noting_plans)
    wrap_method(Agent, "_prepare_kickoff", _noting_messages)


def _noting_plans(original: Any) -> Any:
    def handle_crew_planning(self: Crew) -> Any:
        before = [task.description for task in self.tasks]
        result = original(self)
        for description, task in zip(before, self.tasks, strict=True):
            if task.description != description and task.description.startswith(description):
                # A crew that is kicked off again may have a plan in its description already.
                note = len(task.description), 0, len(user_text(description))
                _note(_storages_of(self), _digest(task.description), note)
        return result

    return handle_crew_planning


def _noting_messages(original: Any) -> Any:
    def prepare_kickoff(self: Agent, messages: Any, *args: Any, **options: Any) -> Any:
        run = current_run()
        if run is not None and isinstance(messages, Sequence) and not isinstance(messages, str):
            run.notes.update(attempt(lambda: _request_in(cast("Sequence[Any]", messages)), {}, what="the messages"))
        return original(self, messages, *args, **options)

    return prepare_kickoff


def _request_in(messages: Sequence[Mapping[str, Any]]) -> dict[str, Note]:
    """The span of the request in the joined messages: the user's last message; an empty span if there is none."""
    texts = [message_content_text(cast("Any", message)) for message in messages if message.get("content")]
    roles = [message.get("role") for message in messages if message.get("content")]
    place = max((place for place, role in enumerate(roles) if role == "user"), default=None)
    start = 0 if place is None else sum(len(text) + 1 for text in texts[:place])
    text = "\n".join(texts) or _NO_TEXT
    return {_digest(text): (len(text), start, start if place is None else start + len(texts[place]))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()

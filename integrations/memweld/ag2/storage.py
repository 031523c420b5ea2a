"""Streams whose history is a session of the user's memory: kept at once, resumed by its id, read by every framework."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Iterable

from ag2 import MemoryStream
from ag2.annotations import Context
from ag2.context import StreamId
from ag2.events import BaseEvent
from ag2.history import Storage
from cachetools import LRUCache

from ..adapters.binding import MemorySource, resolve_memory, validate_source
from ..adapters.messages import append_fitting
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..memory.transcript import model_window
from ..models import ChatMessage
from ..validation import dump_json, validate_key
from .binding import USER_VARIABLE, memory_of_turn
from .messages import FRAMEWORK, to_events, to_messages, to_neutral, with_events

__all__ = ["MemweldStorage", "session_stream"]

_MOST_SESSIONS = 1_024
_STREAMS = uuid.UUID("6f0f3f0e-5b0b-4f0e-9d0a-6d656d77656c")


class MemweldStorage(Storage):
    """AG2's ``Storage`` over ``memory.history``.

    AG2's own events read back exactly; messages of other frameworks read as its events. A store that fails ends the
    run: a conversation is never forgotten silently. Each method raises `ConfigurationError` where no user is known, and
    `BackendUnavailableError` where the history cannot be read or written.

    Args:
        memory: A memory. Or a backend: each turn names the user for whom an event is saved, and `memweld.user_scope`
            the user whose session is read; a `MemweldPlugin` sets that for the length of a turn.
        session_id: The session of every stream; if None each stream's id.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self, memory: MemorySource, session_id: str | None = None, *, user_variable: str | None = USER_VARIABLE
    ) -> None:
        self._source = validate_source(memory)
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        self._variable = user_variable
        # Tools run side by side, and each result is added to the same message.
        self._lock = threading.Lock()
        self._given: LRUCache[tuple[Memory, str], frozenset[str]] = LRUCache(_MOST_SESSIONS)

    @property
    def user_id(self) -> str | None:
        """The user to whom it is bound; None of a backend, whose user each turn names."""
        return self._source.user_id if isinstance(self._source, Memory) else None

    def session_of(self, stream_id: StreamId) -> str:
        """The session in which a stream is kept."""
        return self._session_id or str(stream_id)

    async def save_event(self, event: BaseEvent, context: Context) -> None:
        """Append the event to the session."""
        memory = memory_of_turn(self._source, context, self._variable)
        await in_thread(functools.partial(self._save, memory, self.session_of(context.stream.id), event))

    async def get_history(self, stream_id: StreamId) -> Iterable[BaseEvent]:
        """The session's events, oldest first, as far as a model may be shown them."""
        return await in_thread(functools.partial(self._read, resolve_memory(self._source), self.session_of(stream_id)))

    async def set_history(self, stream_id: StreamId, events: Iterable[BaseEvent]) -> None:
        """Replace what `get_history` gave of the session; compaction does that, for every reader of the session.

        A compaction may ask a model, and take its time: what others append meanwhile stays.
        """
        memory = resolve_memory(self._source)
        await in_thread(functools.partial(self._replace, memory, self.session_of(stream_id), list(events)))

    async def drop_history(self, stream_id: StreamId) -> None:
        """Delete the session; facts stay."""
        await resolve_memory(self._source).aio.history(self.session_of(stream_id)).clear()

    def _save(self, memory: Memory, session_id: str, event: BaseEvent) -> None:
        history = memory.history(session_id)
        if messages := to_neutral(event):
            stored = append_fitting(history, messages)
            self._note(memory, session_id, stored, also=True)
            return
        with self._lock:
            # A turn begins with a message: an event that is none is kept with the message before it.
            if last := history.messages(1):
                append_fitting(history, [with_events(last[0], [event])])

    def _read(self, memory: Memory, session_id: str) -> list[BaseEvent]:
        messages = _shown(memory.history(session_id).messages())
        self._note(memory, session_id, messages)
        return to_events(messages)

    def _replace(self, memory: Memory, session_id: str, events: list[BaseEvent]) -> None:
        history = memory.history(session_id)
        with self._lock:
            given = self._given.get((memory, session_id))
        if given is None:
            given = _ids(_shown(history.messages()))
        append_fitting(history, to_messages(events), replace=True, known=given)

    def _note(self, memory: Memory, session_id: str, messages: list[ChatMessage], *, also: bool = False) -> None:
        """Remember which messages AG2 was given; ``also``: beside those that it was given before, if it was."""
        with self._lock:
            given = self._given.get((memory, session_id)) if also else frozenset[str]()
            if given is not None:
                self._given[memory, session_id] = given | _ids(messages)


def session_stream(memory: MemorySource, session_id: str) -> MemoryStream:
    """A stream that keeps and resumes a session: ``agent.ask(…, stream=session_stream(ana, "session-1"))``.

    Streams of the same user and session are one stream to AG2, so that their turns come one after the other.

    Args:
        memory: A memory; or a backend, then the user is the one of `memweld.user_scope` where the stream is made.
        session_id: The session, 1 to 512 characters.

    Raises:
        ConfigurationError: A backend was given and no user is named.
        InvalidInputError: An argument breaks a rule.
    """
    bound = resolve_memory(validate_source(memory))
    name = dump_json([bound.url, bound.user_id, bound.agent_id, validate_key("session_id", session_id)])
    return MemoryStream(MemweldStorage(bound, session_id), id=uuid.uuid5(_STREAMS, name))


def _ids(messages: list[ChatMessage]) -> frozenset[str]:
    return frozenset(message.id for message in messages if message.id is not None)


def _shown(messages: list[ChatMessage]) -> list[ChatMessage]:
    """The messages that AG2 is given; it keeps prompts with the agent and has none of other frameworks'."""
    window = model_window(messages, open_end=True, joins=False)
    return [each for each in window if each.role != "system" or (each.native or {}).get("framework") == FRAMEWORK]

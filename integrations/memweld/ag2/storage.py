"""Streams whose history is a session of the user's memory: kept at once, resumed by its id, read by every framework."""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

import anyio.to_thread
from ag2 import MemoryStream
from ag2.annotations import Context
from ag2.context import StreamId
from ag2.events import BaseEvent
from ag2.history import Storage

from ..adapters.binding import MemorySource, resolve_memory, validate_source
from ..memory.memory import Memory
from ..validation import dump_json, validate_key
from .binding import USER_VARIABLE, memory_of_turn
from .messages import answered, to_events, to_messages, to_neutral, with_events

__all__ = ["MemweldStorage", "session_stream"]

P = ParamSpec("P")
T = TypeVar("T")

_STREAMS = uuid.UUID("6f0f3f0e-5b0b-4f0e-9d0a-6d656d77656c")


class MemweldStorage(Storage):
    """AG2's ``Storage`` over ``memory.history``.

    What AG2 wrote reads back event for event; what other frameworks wrote into the session reads as AG2's events. A
    store that cannot be read or written ends the run: a conversation is not silently forgotten.

    Args:
        memory: A memory. Or a backend: an event is then saved for the user whom the turn names, and read for the user
            of `memweld.user_scope`, which a `MemweldPlugin` sets for the length of a turn.
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
        # Tools run side by side, and each of their results is saved behind the same message.
        self._writing = threading.Lock()

    @property
    def user_id(self) -> str | None:
        """The user to whom it is bound; None of a backend, whose user each turn names."""
        return self._source.user_id if isinstance(self._source, Memory) else None

    def session_of(self, stream_id: StreamId) -> str:
        """The session in which a stream is kept."""
        return self._session_id or str(stream_id)

    async def save_event(self, event: BaseEvent, context: Context) -> None:
        """Append the event to the session.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written.
        """
        memory = memory_of_turn(self._source, context, self._variable)
        await _thread(self._save, memory, self.session_of(context.stream.id), event)

    async def get_history(self, stream_id: StreamId) -> Iterable[BaseEvent]:
        """The session's events, oldest first.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be read.
        """
        memory = resolve_memory(self._source)
        return await _thread(self._read, memory, self.session_of(stream_id))

    async def set_history(self, stream_id: StreamId, events: Iterable[BaseEvent]) -> None:
        """Replace the session by these events; compaction does that, and it does it for every reader of the session.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written.
        """
        memory = resolve_memory(self._source)
        await _thread(self._replace, memory, self.session_of(stream_id), list(events))

    async def drop_history(self, stream_id: StreamId) -> None:
        """Delete the session; facts stay.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written.
        """
        await resolve_memory(self._source).aio.history(self.session_of(stream_id)).clear()

    def _save(self, memory: Memory, session_id: str, event: BaseEvent) -> None:
        history = memory.history(session_id)
        messages = to_neutral(event)
        if messages:
            history.append(messages)
            return
        with self._writing:
            # No message: it is kept with the one before it. A turn begins with a message, so there is one.
            if last := history.messages(1):
                history.append(with_events(last[0], [event]))

    def _read(self, memory: Memory, session_id: str) -> list[BaseEvent]:
        return answered(to_events(memory.history(session_id).messages()))

    def _replace(self, memory: Memory, session_id: str, events: list[BaseEvent]) -> None:
        messages = to_messages(events)
        history = memory.history(session_id)
        history.clear()
        if messages:
            history.append(messages)


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


async def _thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))

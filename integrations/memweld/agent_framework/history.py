"""MemweldHistoryProvider: a session's messages in the user's memory, readable from every framework."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from agent_framework import AgentSession, HistoryProvider, Message, SessionContext, SupportsAgentRun
from typing_extensions import override

from ..adapters.binding import MemorySource, bind_user, resolve_memory, validate_source
from ..errors import invalid
from ..memory.memory import Memory
from ..validation import validate_key, validate_limit
from .binding import USER_KEY, memory_of_session
from .messages import answered, fresh, to_agent_framework, to_neutral

__all__ = ["MemweldHistoryProvider"]

P = ParamSpec("P")
T = TypeVar("T")

_answers: contextvars.ContextVar[Sequence[Message]] = contextvars.ContextVar("memweld_answers", default=())


class MemweldHistoryProvider(HistoryProvider):
    """Agent Framework's ``HistoryProvider`` over ``memory.history``: ``Agent(client, context_providers=[…])``.

    What Agent Framework wrote reads back exactly; what other frameworks wrote into the session reads as its messages.
    The session is that of the run, ``agent.create_session(session_id=…)``. Nothing is kept in its state. A store that
    cannot be read or written ends the run: a conversation is not silently forgotten.

    Args:
        memory: A memory; or a backend, then each run is for the user whom the session's state or `memweld.user_scope`
            names.
        source_id: The provider's name in the agent.
        session_id: One session for all runs; if None that of the run.
        history_limit: How many messages at most a run loads, the latest; all if None.
        user_key: The key of ``session.state`` that names the user of a backend; None for `memweld.user_scope` alone.
        load_messages: Whether the session is put before the model.
        store_inputs: Whether what is said to the agent is kept.
        store_context_messages: Whether messages of other providers are kept.
        store_context_from: The ids of the providers whose messages these are; all if None.
        store_outputs: Whether what the agent says is kept.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self,
        memory: MemorySource,
        source_id: str = "memweld_history",
        *,
        session_id: str | None = None,
        history_limit: int | None = None,
        user_key: str | None = USER_KEY,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
    ) -> None:
        super().__init__(
            source_id,
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_context_messages=store_context_messages,
            store_context_from=store_context_from,
            store_outputs=store_outputs,
        )
        self._source = validate_source(memory)
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        self._limit = None if history_limit is None else validate_limit(history_limit, name="history_limit")
        self._key = user_key

    def session_of(self, session_id: str | None) -> str:
        """The session in which a run is kept.

        Raises:
            InvalidInputError: The run has none.
        """
        named = self._session_id or session_id
        if named is None:
            raise invalid("session_id", session_id, "a history belongs to a session", "Pass session= to the run.")
        return validate_key("session_id", named)

    @override
    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """The session's messages, oldest first. Of a backend for the user of `memweld.user_scope`.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be read.
        """
        history = resolve_memory(self._source).aio.history(self.session_of(session_id))
        return answered(to_agent_framework(await history.messages(self._limit)))

    @override
    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append the messages, without those that the session ends with already.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written.
        """
        memory = resolve_memory(self._source)
        await _thread(_append, memory, self.session_of(session_id), messages)

    @override
    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Load the session for the user of the run.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be read.
        """
        with bind_user(self._source, memory_of_session(self._source, session, self._key)):
            await super().before_run(agent=agent, session=session, context=context, state=state)

    @override
    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Keep the turn for the user of the run.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written.
        """
        token = _answers.set(() if context.response is None else context.response.messages)
        try:
            with bind_user(self._source, memory_of_session(self._source, session, self._key)):
                await super().after_run(agent=agent, session=session, context=context, state=state)
        finally:
            _answers.reset(token)


def _append(memory: Memory, session_id: str, messages: Sequence[Message]) -> None:
    history = memory.history(session_id)
    incoming = [(message, to_neutral(message)) for message in messages]
    count = sum(len(parts) for _, parts in incoming)
    if not count:
        return
    kept = to_agent_framework(history.messages(count + 1))
    answers = {id(message) for message in _answers.get()}
    sent = next((place for place, message in enumerate(messages) if id(message) in answers), len(messages))
    new = {id(message) for message in fresh(kept, messages, sent)}
    if added := [part for message, parts in incoming if id(message) in new for part in parts]:
        history.append(added)


async def _thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))

"""MemweldHistoryProvider: a session's messages in the user's memory, readable from every framework."""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Generator, Sequence
from typing import Any

from agent_framework import (
    AgentSession,
    HistoryProvider,
    Message,
    SessionContext,
    SupportsAgentRun,
    _sessions,  # pyright: ignore[reportPrivateUsage]
)
from typing_extensions import override

from ..adapters.binding import MemorySource, bind_user, resolve_memory, validate_source
from ..adapters.messages import append_fitting
from ..adapters.options import TurnOptions
from ..errors import invalid
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..memory.transcript import DEFAULT_HISTORY_BUDGET, read_window
from ..validation import validate_key
from .binding import USER_KEY, memory_of_session
from .messages import new_messages, same_message, to_agent_framework, to_neutral

__all__ = ["RECALLED", "MemweldHistoryProvider"]

RECALLED = "memweld_recalled"
"""The mark of a message that shows recalled memories."""

_ANSWERS_A_CALL = ("function_result", "function_approval_response")
_run: contextvars.ContextVar[SessionContext | None] = contextvars.ContextVar("memweld_run", default=None)


class MemweldHistoryProvider(HistoryProvider):
    """Agent Framework's ``HistoryProvider`` over ``memory.history``: ``Agent(client, context_providers=[…])``.

    Agent Framework's own messages read back exactly; messages of other frameworks read as its own. The run names the
    session: ``agent.create_session(session_id=…)``. Its state holds no message. What the user says is written before
    the model is asked. A store that fails ends the run: a conversation is never forgotten silently. Each method raises
    `ConfigurationError` where no user is known, and `BackendUnavailableError` where the store fails.

    Args:
        memory: A memory; or a backend, then the session's state or `memweld.user_scope` names the user of each run.
        source_id: The provider's name in the agent.
        session_id: One session for all runs; if None that of the run.
        history_limit: How many messages at most a run loads, the latest; all if None.
        history_budget: How many characters of them at most, an image counted as 4,000; any number if None.
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
        history_limit: int | None = 50,
        history_budget: int | None = DEFAULT_HISTORY_BUDGET,
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
        options = TurnOptions(history_limit=history_limit, history_budget=history_budget)
        self._window = {"limit": options.history_limit, "characters": options.history_budget}
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
        """The session's latest messages, oldest first. Of a backend for the user of `memweld.user_scope`."""
        run = _run.get()
        # Outside of a run, and in one that brings results or approvals, the calls at the end still get theirs.
        inputs = [] if run is None else run.input_messages
        types = {content.type for message in inputs for content in message.contents}
        open_end = run is None or not types.isdisjoint(_ANSWERS_A_CALL)
        history = resolve_memory(self._source).history(self.session_of(session_id))
        window = await in_thread(functools.partial(read_window, history, open_end=open_end, **self._window))
        return to_agent_framework(window)

    @override
    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Append the messages, without those with which the session ends already."""
        run = _run.get()
        if run is not None:
            written = run.metadata.get(self._written, ())
            messages = [message for message in messages if id(message) not in written]
        answers = set(map(id, run.response.messages)) if run is not None and run.response is not None else ()
        inputs = sum(id(message) not in answers for message in messages)
        memory, session = resolve_memory(self._source), self.session_of(session_id)
        await in_thread(functools.partial(_append, memory, session, messages, inputs=inputs, retried=False))

    @override
    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Load the session for the user of the run, and write what the user says."""
        with self._running(session, context) as memory:
            await super().before_run(agent=agent, session=session, context=context, state=state)
            if self.store_inputs and not self.store_context_messages and not _awaits_a_verdict():
                await self._begin(memory, context)

    @override
    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Write the rest of the turn for the user of the run."""
        with self._running(session, context):
            await super().after_run(agent=agent, session=session, context=context, state=state)

    @override
    def _get_context_messages_to_store(self, context: SessionContext) -> list[Message]:
        messages = super()._get_context_messages_to_store(context)
        return [message for message in messages if not message.additional_properties.get(RECALLED)]

    @property
    def _written(self) -> str:
        return f"{self.source_id}.written"

    @contextlib.contextmanager
    def _running(self, session: AgentSession, context: SessionContext) -> Generator[Memory]:
        memory = memory_of_session(self._source, session, self._key)
        token = _run.set(context)
        try:
            with bind_user(self._source, memory):
                yield memory
        finally:
            _run.reset(token)

    async def _begin(self, memory: Memory, context: SessionContext) -> None:
        inputs, session = context.input_messages, self.session_of(context.session_id)
        count = len(inputs)
        append = functools.partial(_append, memory, session, inputs, inputs=count, retried=self.store_outputs)
        new = await in_thread(append)
        context.metadata[self._written] = set(map(id, inputs))
        # The caller sends these again, or a run with them has failed: the model sees them once.
        loaded = context.context_messages.get(self.source_id, [])
        for message in reversed(inputs[: count - new]):
            if loaded and same_message(loaded[-1], message):
                loaded.pop()


def _append(memory: Memory, session_id: str, messages: Sequence[Message], *, inputs: int, retried: bool) -> int:
    """Append the messages that are new to the session; how many these are."""
    history = memory.history(session_id)
    neutral = {id(message): to_neutral(message) for message in messages}
    new = list(messages)
    if inputs:
        stored = history.messages(sum(map(len, neutral.values())) + 1)
        new = new_messages(to_agent_framework(stored), messages, inputs=inputs, retried=retried)
    append_fitting(history, [part for message in new for part in neutral[id(message)]])
    return len(new)


def _awaits_a_verdict() -> bool:
    # Agent Framework (1.23) holds all writes of a run back until its hooks have judged the answer.
    gate: contextvars.ContextVar[object] | None = getattr(_sessions, "_DEFERRED_RUN_PERSISTENCE", None)
    return gate is not None and gate.get() is not None

"""MemweldContextProvider: recall before a run, capture of what is said in it."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, TypeAlias, cast

from agent_framework import (
    AgentSession,
    ChatContext,
    ChatResponse,
    ChatResponseUpdate,
    ContextProvider,
    Message,
    MiddlewareTermination,
    ResponseStream,
    SessionContext,
    SupportsAgentRun,
    chat_middleware,
)
from typing_extensions import Unpack, override

from ..adapters.binding import MemorySource, validate_source
from ..adapters.capture import TurnCapture, spoken_by
from ..adapters.failures import FailurePolicy
from ..adapters.options import MemoryKeywords, TurnOptions, shows_options
from ..adapters.recall import TurnRecall
from ..models import Captured, ChatMessage
from ..validation import validate_key
from .binding import USER_KEY, memory_of_session
from .history import RECALLED, MemweldHistoryProvider
from .messages import to_neutral
from .tools import memory_tools

__all__ = ["MemweldContextProvider"]

_Stream: TypeAlias = "ResponseStream[ChatResponseUpdate, ChatResponse[Any]]"

_ChatMiddleware: TypeAlias = Callable[[ChatContext, Callable[[], Awaitable[None]]], Awaitable[None]]

_logger = logging.getLogger("memweld.agent_framework")


class MemweldContextProvider(ContextProvider):
    """Automatic memory: ``Agent(client, context_providers=[…])``.

    Once per run it puts the memories that fit the user's words before the run's input, marked as data; the session does
    not store them. What the user says becomes memories, with an LLM once the agent has answered. If the model fails, or
    the caller leaves its stream, the user's words become memories as they are. One provider serves many agents, users
    and runs at once. List it after history providers: it then skips what they show, and its block follows the session.

    Args:
        memory: A memory; or a backend, then the session's state or `memweld.user_scope` names the user of each run.
        source_id: The provider's name in the agent.
        tools: Toolsets or names of tools (see `memweld.tools`) to offer the agent as well; none by default.
        session_id: The session whose history turns join; not needed beside a `MemweldHistoryProvider`. If None, facts
            alone are kept.
        user_names: The authors of user messages that are the end user, beside messages without an author. In a
            workflow the words of other agents come as user messages too.
        user_key: The key of ``session.state`` that names the user of a backend; None for `memweld.user_scope` alone.
        options: The fields of `memweld.adapters.options.TurnOptions`: ``recall_limit``, ``recall_budget``,
            ``min_score``, ``recency``, ``kinds``, ``sources``, ``profile``, ``capture``, ``infer``, ``on_error``.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    @shows_options(MemoryKeywords)
    def __init__(
        self,
        memory: MemorySource,
        source_id: str = "memweld",
        *,
        tools: Sequence[str] = (),
        session_id: str | None = None,
        user_names: Sequence[str] = ("user",),
        user_key: str | None = USER_KEY,
        **options: Unpack[MemoryKeywords],
    ) -> None:
        super().__init__(source_id)
        self._source = validate_source(memory)
        turn_options = TurnOptions(**options)
        failures = FailurePolicy(turn_options.on_error, _logger)
        self._recall = TurnRecall(turn_options, failures)
        self._capture = TurnCapture(turn_options, failures)
        self._tools = memory_tools(self._source, tools, user_key=user_key)
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        self._user_names = frozenset(user_names)
        self._key = user_key

    @override
    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Recall what fits the turn, offer the tools, and write what the user says.

        Raises:
            ConfigurationError: No user is known.
            MemweldError: The memory fails and ``on_error`` is ``raise``.
        """
        memory = memory_of_session(self._source, session, self._key)
        if self._tools:
            context.extend_tools(self.source_id, self._tools)
        spoken = self._spoken(context)
        context.metadata[self._spoken_key] = spoken
        session_id, keep = self._session_of(agent, context)
        try:
            recalled = await self._recall.recall_async(
                memory,
                "\n".join(message.text for message in spoken),
                session_id=session_id,
                shown=[message.text for message in context.get_messages(include_input=True)],
            )
        finally:
            await self._capture.begin_async(memory, spoken, session_id=session_id, keep=keep)

        rescue = functools.partial(self._capture.rescue_async, memory, spoken, session_id=session_id, keep="facts")
        context.extend_middleware(self.source_id, _rescue_with(rescue))
        if recalled.profile:
            context.extend_instructions(self.source_id, recalled.profile)
        if recalled.block:
            # Behind the session, so that what stays the same from run to run remains in a provider's cache.
            block = Message("user", [recalled.block], additional_properties={RECALLED: True})
            context.extend_messages(self, [block])

    @override
    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Capture the turn.

        Raises:
            ConfigurationError: No user is known.
            MemweldError: The memory fails and ``on_error`` is ``raise``.
        """
        memory = memory_of_session(self._source, session, self._key)
        # The same messages as before the run, under the same ids: the history has them once.
        spoken = cast("list[ChatMessage] | None", context.metadata.get(self._spoken_key))
        answers = [] if context.response is None else context.response.messages
        messages = [*(self._spoken(context) if spoken is None else spoken)]
        messages += [part for answer in answers for part in to_neutral(answer)]
        session_id, keep = self._session_of(agent, context)
        await self._capture.end_async(memory, messages, session_id=session_id, keep=keep)

    @property
    def _spoken_key(self) -> str:
        return f"{self.source_id}.spoken"

    def _spoken(self, context: SessionContext) -> list[ChatMessage]:
        """The user's messages of this run only: callers may send the whole conversation again."""
        messages = context.input_messages
        start = max((place for place, message in enumerate(messages, 1) if message.role != "user"), default=0)
        return spoken_by([part for message in messages[start:] for part in to_neutral(message)], self._user_names)

    def _session_of(self, agent: SupportsAgentRun, context: SessionContext) -> tuple[str | None, Captured]:
        """The session of the run, and what of it this provider keeps: a history provider keeps the messages."""
        providers: Sequence[object] = getattr(agent, "context_providers", ())
        history = next((each for each in providers if isinstance(each, MemweldHistoryProvider)), None)
        if history is not None:
            return history.session_of(context.session_id), "facts"
        return self._session_id or context.session_id, "facts" if self._session_id is None else "turn"


def _rescue_with(
    rescue: Callable[[], Awaitable[None]],
) -> Callable[[ChatContext, Callable[[], Awaitable[None]]], Awaitable[None]]:
    """Middleware that rescues the user's words if the model call fails: no provider is called after such a run."""

    async def watch(stream: _Stream) -> AsyncGenerator[ChatResponseUpdate]:
        try:
            async for update in stream:
                yield update
        except BaseException:
            # A caller that leaves the stream closes this generator, at the latest when the loop collects it.
            await rescue()
            raise

    @chat_middleware
    async def rescuing(context: ChatContext, call_next: Callable[[], Awaitable[None]]) -> None:
        try:
            await call_next()
        except MiddlewareTermination:
            raise  # another middleware ends the run in order
        except BaseException:
            await rescue()
            raise
        if isinstance(context.result, ResponseStream):
            stream = cast("_Stream", context.result)

            async def finalize(_: Sequence[ChatResponseUpdate]) -> ChatResponse[Any]:
                return await stream.get_final_response()

            context.result = ResponseStream(watch(stream), finalizer=finalize)

    return rescuing

"""MemweldContextProvider: recall before a run, capture after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from agent_framework import AgentSession, ContextProvider, Message, SessionContext, SupportsAgentRun
from typing_extensions import override

from ..adapters.binding import MemorySource, validate_source
from ..adapters.failures import OnError, tolerate, validate_on_error
from ..errors import MemweldError, invalid
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET, drop_already_shown, recall_block, recall_query
from ..models import Captured, Hit
from ..validation import MAX_LIMIT, validate_key, validate_limit
from .binding import USER_KEY, memory_of_session
from .history import MemweldHistoryProvider
from .messages import to_neutral
from .tools import memory_tools

__all__ = ["MemweldContextProvider"]

# How many hits more are asked for, at most, because some may only repeat what the model is shown anyway.
_SPARE = 100
_logger = logging.getLogger("memweld.agent_framework")


class MemweldContextProvider(ContextProvider):
    """What is remembered reaches the model, and what is said is remembered: ``Agent(client, context_providers=[…])``.

    Once per run the memories that fit what the user said are added to the instructions of that run, marked as data;
    they are kept in no session. When the agent has answered, what the user said becomes memories; a run that fails is
    not captured, as Agent Framework calls no provider then. One provider serves many agents, users and runs at once.
    Put it behind history providers, so that it does not repeat what they show.

    Args:
        memory: A memory; or a backend, then each run is for the user whom the session's state or `memweld.user_scope`
            names.
        source_id: The provider's name in the agent.
        tools: Toolsets or names of tools (see `memweld.tools`) to offer the agent as well; none by default.
        recall_limit: How many memories at most a run recalls; 0 for no recall.
        recall_budget: How many characters of them at most.
        capture: Whether turns are kept, and who waits for it. ``True`` or ``awaited``: the run does. ``background``: it
            does not wait for the facts.
        infer: Whether the backend's LLM extracts facts from a turn; None means if there is one.
        session_id: The session whose history turns join; not needed beside a `MemweldHistoryProvider`. If None, facts
            alone are kept.
        user_names: The authors of user messages that are the end user, beside messages without an author. In a
            workflow what other agents say comes as user messages too.
        user_key: The key of ``session.state`` that names the user of a backend; None for `memweld.user_scope` alone.
        on_error: What a failing memory does to a run. ``warn``: it is logged as ``memweld.agent_framework`` and the run
            goes on; ``raise``: it ends. A run without a user, or with two, always raises.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self,
        memory: MemorySource,
        source_id: str = "memweld",
        *,
        tools: Sequence[str] = (),
        recall_limit: int = 5,
        recall_budget: int = DEFAULT_BUDGET,
        capture: bool | Literal["awaited", "background"] = True,
        infer: bool | None = None,
        session_id: str | None = None,
        user_names: Sequence[str] = ("user",),
        user_key: str | None = USER_KEY,
        on_error: OnError = "warn",
    ) -> None:
        super().__init__(source_id)
        if capture not in (True, False, "awaited", "background"):
            raise invalid("capture", capture, "it is true, false, awaited or background", "Choose one.")
        self._source = validate_source(memory)
        self._tools = memory_tools(self._source, tools, user_key=user_key)
        self._limit = validate_limit(recall_limit, name="recall_limit", minimum=0)
        self._budget = validate_limit(recall_budget, name="recall_budget", maximum=10_000_000)
        self._captures = capture is not False
        self._background = capture == "background"
        self._infer = infer
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        self._user_names = frozenset(user_names)
        self._key = user_key
        self._on_error: OnError = validate_on_error(on_error)

    @override
    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Recall what fits the turn, and offer the tools.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: With ``on_error="raise"``.
        """
        memory = memory_of_session(self._source, session, self._key)
        if self._tools:
            context.extend_tools(self.source_id, self._tools)
        said = self._turn(context)
        query = recall_query("\n".join(message.text for message in said)) if self._limit else ""
        if query and (block := await self._recall(memory, query, agent, context)):
            context.extend_instructions(self.source_id, block)

    @override
    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Capture the turn.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: With ``on_error="raise"``.
        """
        if not self._captures:
            return
        memory = memory_of_session(self._source, session, self._key)
        answers = [] if context.response is None else context.response.messages
        messages = [part for message in (*self._turn(context), *answers) for part in to_neutral(message)]
        if not messages:
            return
        history = _history_of(agent)
        session_id = self._session_of(history, context)
        keep: Captured = "facts" if history is not None or self._session_id is None else "turn"
        try:
            await memory.aio.capture(
                messages, session_id=session_id, infer=self._infer, keep=keep, background=self._background
            )
        except MemweldError as error:
            tolerate(error, "A turn was not captured", self._on_error, _logger)

    def _turn(self, context: SessionContext) -> list[Message]:
        """What the user said last: callers may send the whole conversation again."""
        messages = context.input_messages
        start = max((place for place, message in enumerate(messages, 1) if message.role != "user"), default=0)
        return [message for message in messages[start:] if (message.author_name or "user") in self._user_names]

    def _session_of(self, history: MemweldHistoryProvider | None, context: SessionContext) -> str | None:
        if history is not None:
            return history.session_of(context.session_id)
        return self._session_id or context.session_id

    async def _recall(self, memory: Memory, query: str, agent: SupportsAgentRun, context: SessionContext) -> str:
        shown = [message.text for message in context.get_messages(include_input=True)]
        hits: Sequence[Hit] = []
        try:
            limit = min(self._limit + min(len(shown), _SPARE), MAX_LIMIT)
            hits = await memory.aio.search(query, limit=limit)
        except MemweldError as error:
            tolerate(error, "Nothing was recalled for this run", self._on_error, _logger)
        hits = drop_already_shown(hits, session_id=self._session_of(_history_of(agent), context), shown=shown)
        return recall_block(hits[: self._limit], budget=self._budget)


def _history_of(agent: SupportsAgentRun) -> MemweldHistoryProvider | None:
    providers: Sequence[object] = getattr(agent, "context_providers", ())
    return next((each for each in providers if isinstance(each, MemweldHistoryProvider)), None)

"""Automatic memory for `create_agent`: recall before the model is called, capture when the turn is over."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Optional, TypeGuard, TypeVar

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.runtime import Runtime
from langgraph.types import Command
from typing_extensions import Unpack

from ..adapters.binding import MemorySource, validate_source
from ..adapters.capture import TurnCapture
from ..adapters.failures import FailurePolicy
from ..adapters.options import TurnKeywords, TurnOptions, shows_options
from ..adapters.recall import TurnRecall
from ..memory.asynchronous import in_thread
from ..models import ChatMessage
from ..validation import validate_key
from .capture import CaptureMode, CapturePolicy, MessageFilter
from .messages import to_neutral
from .recall import TurnReader
from .state import THREAD_START, MemweldState, Turn, turn_of
from .transcript import injected

__all__ = ["MemweldMiddleware"]

T = TypeVar("T")
_logger = logging.getLogger("memweld.langchain")


class MemweldMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """Memories reach the model, and the conversation is remembered, without a tool call.

    Once per run the memories that fit the user's last message are put in front of its words, marked as data. They reach
    the model alone: neither the agent's messages nor its checkpoints hold them. The user's message
    joins the session's history when the model is first asked. When the turn is over, its other messages follow, and
    the user's words become memories. If the model or a tool raises, or the run is cancelled, the user's words are
    kept and the error goes on. One object serves many users, threads and event loops.

    Args:
        memory: A memory; or a backend, then each run is for the user whom it names: the authenticated user, the runtime
            context, ``configurable`` or `memweld.user_scope`.
        keep: The part of a turn that is kept. ``turn``: its messages as history, and its facts; ``user``: of both only
            the user's words; ``history`` or ``facts``: one of the two.
        message_filter: Decides which messages may be stored: a function (or a Runnable, as
            `langchain_core.messages.filter_messages` makes it), synchronous or asynchronous. It takes a human message
            with the messages that followed it and returns those that may be kept, changed if need be, under their ids.
            Nothing else reaches the memory, and nothing before the turn is over. If it raises, nothing is stored, and
            ``on_error`` says whether the run ends.
        session_id: The session of every run; if None the run's ``thread_id``. Without either only facts are kept.
        load_history: Whether messages of the session that the agent does not have itself (it has no checkpointer, or
            another framework began the session) are put before the model.
        **options: `memweld.adapters.options.TurnOptions`: ``recall_limit``, ``recall_budget``, ``min_score``,
            ``recency``, ``kinds``, ``sources``, ``profile``, ``capture``, ``infer``, ``history_limit``,
            ``history_budget``, ``on_error``.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    # Not a state of its own in its type: create_agent's types are invariant, and others could not stand beside it.
    state_schema: type[AgentState[Any]] = MemweldState

    @shows_options(TurnKeywords)
    def __init__(
        self,
        memory: MemorySource,
        *,
        keep: CaptureMode = "turn",
        message_filter: MessageFilter | None = None,
        session_id: str | None = None,
        load_history: bool = True,
        **options: Unpack[TurnKeywords],
    ) -> None:
        super().__init__()
        self.tools = []
        chosen = TurnOptions(**options)
        self._failures = FailurePolicy(chosen.on_error, _logger, passing=(GraphBubbleUp,))
        self._policy = CapturePolicy(keep=keep, message_filter=message_filter)
        self._capture = TurnCapture(chosen, self._failures)
        self._reader = TurnReader(
            source=validate_source(memory),
            recall=TurnRecall(chosen, self._failures),
            failures=self._failures,
            session_id=None if session_id is None else validate_key("session_id", session_id),
            load_history=load_history,
        )

    # LangGraph passes `config` to a hook that asks for it with this spelling of the type, even on Python 3.10, where
    # the context variable behind get_config() is not set in async code.
    def before_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any]:
        """Read what this turn needs from the memory."""
        turn = self._reader.open(state, runtime, config)
        update: dict[str, Any] = {"memweld_turn": turn}
        if turn.earlier_until:
            update["memweld_earlier"] = turn.earlier_until
        if turn.opening and len(turn.opening) == len(state["messages"]) and self._capture.options.captures:
            update["memweld_seen"] = THREAD_START
        return update

    async def abefore_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any]:
        """Read what this turn needs from the memory."""
        return await in_thread(functools.partial(self.before_agent, state, runtime, config), lane="search")

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Put the recalled memories and the session's past before the model."""
        turn = turn_of(request.state) or self._reader.open(request.state, request.runtime, None)
        if opening := self._opening(turn, request.state):
            self._capture.begin(turn.memory, opening, session_id=turn.session_id, keep=self._policy.captured)
        try:
            return handler(self._with_memory(request, turn))
        except BaseException as error:
            self._rescue(turn, request.state, error)
            raise

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Put the recalled memories and the session's past before the model."""
        turn = turn_of(request.state) or await _in_thread(self._reader.open, request.state, request.runtime, None)
        try:
            if opening := self._opening(turn, request.state):
                await self._capture.begin_async(
                    turn.memory, opening, session_id=turn.session_id, keep=self._policy.captured
                )
            return await handler(self._with_memory(request, turn))
        except BaseException as error:
            await self._arescue(turn, request.state, error)
            raise

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Keep the user's words if the tool ends the run."""
        try:
            return handler(request)
        except BaseException as error:
            self._rescue(turn_of(request.state), request.state, error)
            raise

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Keep the user's words if the tool ends the run."""
        try:
            return await handler(request)
        except BaseException as error:
            await self._arescue(turn_of(request.state), request.state, error)
            raise

    def after_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any] | None:
        """Keep the finished turn."""
        if not self._capture.options.captures:
            return None
        turn = turn_of(state) or self._reader.open(state, runtime, config)
        with self._failures.guard("the message filter"):
            kept = self._policy.permitted(turn, state["messages"])
            items = self._capture.end(
                turn.memory, _neutral(kept), session_id=turn.session_id, keep=self._policy.captured
            )
            # A turn that could not be kept has no mark: the next run of the thread catches up.
            return None if items is None else self._marks(turn, state, kept)
        return None

    async def aafter_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any] | None:
        """Keep the finished turn."""
        if not self._capture.options.captures:
            return None
        turn = turn_of(state) or await _in_thread(self._reader.open, state, runtime, config)
        with self._failures.guard("the message filter"):
            kept = await self._policy.permitted_async(turn, state["messages"])
            items = await self._capture.end_async(
                turn.memory, _neutral(kept), session_id=turn.session_id, keep=self._policy.captured
            )
            return None if items is None else self._marks(turn, state, kept)
        return None

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the facts that were captured in the background before are kept, of all users of the memory.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether they are.
        """
        return self._reader.source.flush(timeout)

    async def aflush(self, timeout: float | None = None) -> bool:
        """Wait for them without blocking the event loop."""
        return await in_thread(functools.partial(self.flush, timeout), lane="flush")

    def _with_memory(self, request: ModelRequest[Any], turn: Turn) -> ModelRequest[Any]:
        return injected(request, self._reader.block(turn, request.messages), turn.earlier, str(turn.profile))

    def _opening(self, turn: Turn, state: Any) -> list[ChatMessage]:
        """The messages to write before the model is first asked.

        A `before_model` hook (redaction, say) has changed them by now. A filter decides later, on the whole exchange.
        """
        messages: Sequence[BaseMessage] = state["messages"]
        if self._policy.message_filter is not None or not turn.is_beginning(messages):
            return []
        return _neutral(self._policy.candidates(turn, messages))

    def _marks(self, turn: Turn, state: Any, kept: Sequence[BaseMessage]) -> dict[str, Any]:
        """The state update that marks a turn as captured in the thread's checkpoint: ids, and no text."""
        marks: dict[str, Any] = {"memweld_seen": state["messages"][-1].id} if state["messages"] else {}
        is_in_history = turn.session_id is not None and self._policy.captured != "facts"
        is_first = turn.earlier_until is not None and state.get("memweld_before") is None
        if is_in_history and is_first and kept and kept[0].id is not None:
            marks["memweld_before"] = kept[0].id
        return marks

    def _is_lost(self, turn: Turn | None, error: BaseException) -> TypeGuard[Turn]:
        """Whether this error ends the run of a turn that is to be kept; LangChain skips `after_agent` then."""
        return turn is not None and self._capture.options.captures and not isinstance(error, GraphBubbleUp)

    def _rescue(self, turn: Turn | None, state: Any, error: BaseException) -> None:
        if self._is_lost(turn, error):
            with self._failures.rescue("the user's words"):
                kept = _neutral(self._policy.permitted(turn, state["messages"]))
                self._capture.rescue(turn.memory, kept, session_id=turn.session_id, keep=self._policy.captured)

    async def _arescue(self, turn: Turn | None, state: Any, error: BaseException) -> None:
        if self._is_lost(turn, error):
            with self._failures.rescue("the user's words"):
                kept = _neutral(await self._policy.permitted_async(turn, state["messages"]))
                await self._capture.rescue_async(
                    turn.memory, kept, session_id=turn.session_id, keep=self._policy.captured
                )


def _neutral(messages: Sequence[BaseMessage]) -> list[ChatMessage]:
    return [to_neutral(message) for message in messages]


async def _in_thread(work: Callable[..., T], *args: Any) -> T:
    return await in_thread(functools.partial(work, *args))

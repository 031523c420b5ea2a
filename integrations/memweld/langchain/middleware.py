"""Automatic memory for `create_agent`: recall before the model is called, capture when the turn is over."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, Literal, Optional, TypeGuard, TypeVar

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.runtime import Runtime
from langgraph.types import Command
from typing_extensions import TypeVarTuple, Unpack

from ..adapters.binding import MemorySource, validate_source
from ..errors import invalid
from ..memory.asynchronous import in_thread
from ..memory.recall import DEFAULT_BUDGET
from ..validation import validate_key, validate_limit
from .capture import Keep, Keeper, MessageFilter
from .recall import Reader, logger
from .state import MemweldState, Turn, turn_of
from .transcript import injected

__all__ = ["MemweldMiddleware"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def _in_thread(work: Callable[[Unpack[Ts]], T], *args: Unpack[Ts], slow: bool = False) -> T:
    return await in_thread(functools.partial(work, *args), slow=slow)


class MemweldMiddleware(AgentMiddleware[AgentState[Any], Any, Any]):
    """What is remembered reaches the model, and what is said is remembered, without a tool call.

    Once per run the memories that fit the user's last message are put at the end of the system message, marked as
    data. They reach the model alone: neither the agent's messages nor its checkpoints hold them. When the turn is over
    its new messages go into the session's history and what the user said becomes memories; if the model or a tool
    raises, what the user said is kept and the error goes on. One object serves many users, threads and event loops.

    Args:
        memory: A memory; or a backend, then each run is for the user whom it names: the authenticated user, the runtime
            context, ``configurable`` or `memweld.user_scope`.
        recall_limit: How many memories at most; 0 for no recall.
        recall_budget: How many characters of memories at most.
        capture: Whether turns are kept, and who waits for it. ``True`` or ``awaited``: the run does. ``background``: it
            waits for the history alone; facts follow, in order within the session, and what goes wrong with them is
            logged. `flush` waits for them; ``backend.close()`` and the end of the program do for a while.
        keep: What is kept. ``turn``: the turn's messages as history, and its facts; ``user``: of both only what the
            user said; ``history`` or ``facts``: one of the two.
        message_filter: What may be stored: a function (or a Runnable, as `langchain_core.messages.filter_messages`
            makes it), synchronous or asynchronous, that takes a human message with the messages that followed it and
            returns those that may be kept, changed if need be, under their ids. Nothing else reaches the memory. If it
            raises, nothing is stored, and ``on_error`` says whether the run ends.
        infer: Whether the backend's LLM extracts facts from a turn; None means if there is one.
        session_id: The session of every run; if None the run's ``thread_id``. Without either only facts are kept.
        load_history: Whether messages of the session that the agent does not have itself (it has no checkpointer, or
            another framework began the session) are put before the model.
        history_limit: How many of those at most, the latest.
        on_error: What a failing memory does to a run. ``warn``: it is logged and the run goes on; ``raise``: it ends.
            A run without a user, or with two, always raises.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    # Not a state of its own in its type: create_agent's types are invariant, and others could not stand beside it.
    state_schema: type[AgentState[Any]] = MemweldState

    def __init__(
        self,
        memory: MemorySource,
        *,
        recall_limit: int = 5,
        recall_budget: int = DEFAULT_BUDGET,
        capture: bool | Literal["awaited", "background"] = True,
        keep: Keep = "turn",
        message_filter: MessageFilter | None = None,
        infer: bool | None = None,
        session_id: str | None = None,
        load_history: bool = True,
        history_limit: int = 50,
        on_error: Literal["raise", "warn"] = "warn",
    ) -> None:
        super().__init__()
        self.tools = []
        if on_error not in ("raise", "warn"):
            raise invalid("on_error", on_error, "it is raise or warn", "Choose one.")
        if capture not in (True, False, "awaited", "background"):
            raise invalid("capture", capture, "it is true, false, awaited or background", "Choose one.")
        self._captures = capture is not False
        self._keeper = Keeper(keep=keep, background=capture == "background", infer=infer, message_filter=message_filter)
        self._reader = Reader(
            source=validate_source(memory),
            recall_limit=validate_limit(recall_limit, name="recall_limit", minimum=0),
            recall_budget=validate_limit(recall_budget, name="recall_budget", maximum=10_000_000),
            session_id=None if session_id is None else validate_key("session_id", session_id),
            capture=self._captures,
            load_history=load_history,
            history_limit=validate_limit(history_limit, name="history_limit"),
            raises=on_error == "raise",
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
        return {"memweld_turn": turn} | ({"memweld_earlier": turn.earlier_until} if turn.earlier_until else {})

    async def abefore_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any]:
        """Read what this turn needs from the memory."""
        return await _in_thread(self.before_agent, state, runtime, config)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Put the recalled memories and the session's past before the model."""
        turn = turn_of(request.state) or self._reader.open(request.state, request.runtime, None)
        try:
            return handler(self._with_memory(request, turn))
        except Exception as error:
            self._rescue(turn, request.state, error)
            raise

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Put the recalled memories and the session's past before the model."""
        turn = turn_of(request.state) or await _in_thread(self._reader.open, request.state, request.runtime, None)
        try:
            return await handler(self._with_memory(request, turn))
        except Exception as error:
            await self._arescue(turn, request.state, error)
            raise

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Keep what the user said if the tool ends the run."""
        try:
            return handler(request)
        except Exception as error:
            self._rescue(turn_of(request.state), request.state, error)
            raise

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """Keep what the user said if the tool ends the run."""
        try:
            return await handler(request)
        except Exception as error:
            await self._arescue(turn_of(request.state), request.state, error)
            raise

    def after_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any] | None:
        """Keep the finished turn."""
        if not self._captures:
            return None
        turn = turn_of(state) or self._reader.open(state, runtime, config)
        kept: list[BaseMessage] | None = None
        with self._reader.attempting("the message filter", (Exception,)):
            kept = self._keeper.permitted(turn, state["messages"])
        return None if kept is None else self._capture(turn, state, kept)

    async def aafter_agent(
        self,
        state: AgentState[Any],
        runtime: Runtime[Any],
        config: Optional[RunnableConfig] = None,  # noqa: UP045
    ) -> dict[str, Any] | None:
        """Keep the finished turn."""
        if not self._captures:
            return None
        turn = turn_of(state) or await _in_thread(self._reader.open, state, runtime, config)
        kept: list[BaseMessage] | None = None
        with self._reader.attempting("the message filter", (Exception,)):
            kept = await self._keeper.apermitted(turn, state["messages"])
        return None if kept is None else await _in_thread(self._capture, turn, state, kept, slow=True)

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
        return await _in_thread(self.flush, timeout, slow=True)

    def _with_memory(self, request: ModelRequest[Any], turn: Turn) -> ModelRequest[Any]:
        return injected(request, self._reader.block(turn, request.messages), turn.earlier)

    def _capture(self, turn: Turn, state: Any, kept: Sequence[BaseMessage]) -> dict[str, Any] | None:
        with self._reader.attempting("capture"):
            self._keeper.write(turn, kept, infer=self._keeper.infer)
            return self._keeper.marks(turn, state, kept)
        return None

    def _loses(self, turn: Turn | None, error: Exception) -> TypeGuard[Turn]:
        """Whether this error ends the run of a turn that is to be kept; LangChain skips `after_agent` then."""
        return turn is not None and self._captures and not isinstance(error, GraphBubbleUp)

    def _rescue(self, turn: Turn | None, state: Any, error: Exception) -> None:
        if self._loses(turn, error):
            with _rescuing():
                self._save(turn, self._keeper.permitted(turn, state["messages"]))

    async def _arescue(self, turn: Turn | None, state: Any, error: Exception) -> None:
        if self._loses(turn, error):
            with _rescuing():
                kept = await self._keeper.apermitted(turn, state["messages"])
                await _in_thread(self._save, turn, kept, slow=True)

    def _save(self, turn: Turn, kept: Sequence[BaseMessage]) -> None:
        """Keep what the user said in a run that fails."""
        said = [message for message in kept if isinstance(message, HumanMessage)]
        # Verbatim: the LLM that extracts is likely to fail as this one did, and equal texts are stored once.
        self._keeper.write(turn, said, infer=False)


@contextlib.contextmanager
def _rescuing() -> Generator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 - the run's own error is the one to be seen
        logger.warning("memweld: what the user said in a failing run could not be kept", exc_info=True)

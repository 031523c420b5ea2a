"""MemweldCapture: a middleware that keeps a turn's messages as history and what the user said as memories."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ag2.context import ConversationContext
from ag2.events import BaseEvent, ModelRequest, ModelResponse, ToolResultsEvent
from ag2.middleware import BaseMiddleware
from ag2.middleware.base import AgentTurn
from typing_extensions import Unpack

from ..adapters.binding import MemorySource, bind_user, validate_source
from ..adapters.capture import TurnCapture
from ..adapters.failures import FailurePolicy
from ..adapters.options import CaptureKeywords, TurnOptions, shows_options
from ..errors import AccessDeniedError
from ..memory.memory import Memory
from ..models import ChatMessage
from ..validation import validate_key
from .binding import USER_VARIABLE, memory_of_turn
from .messages import to_neutral
from .storage import MemweldStorage

__all__ = ["MemweldCapture"]

_SESSION_VARIABLE = "session_id"
_logger = logging.getLogger("memweld.ag2")


class MemweldCapture:
    """A middleware factory: ``Agent(middleware=[MemweldCapture(backend)])``.

    Each turn works for one user; for its length `memweld.user_scope` names the user of a backend too. Its messages join
    the history of its session, the user's before the model is asked; a `session_stream` keeps them by itself. When the
    turn is over, facts are made of what the user said, also if the model or a tool raises. What other code enqueues for
    the agent meanwhile is history and no fact about the user.

    Args:
        memory: A memory; or a backend, then each turn names its user.
        session_id: The session of turns whose stream is no `session_stream` and whose variables name none
            (``session_id``). Without any, only facts are kept.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.
        options: ``capture``, ``infer`` and ``on_error`` of `memweld.adapters.options.TurnOptions`.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    @shows_options(CaptureKeywords)
    def __init__(
        self,
        memory: MemorySource,
        *,
        session_id: str | None = None,
        user_variable: str | None = USER_VARIABLE,
        **options: Unpack[CaptureKeywords],
    ) -> None:
        self._source = validate_source(memory)
        self._variable = user_variable
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        turn_options = TurnOptions(**options)
        self._capture = TurnCapture(turn_options, FailurePolicy(turn_options.on_error, _logger))

    def __call__(self, event: BaseEvent, context: ConversationContext) -> BaseMiddleware:
        """The middleware of one turn."""
        return _Turn(event, context, self)

    async def run(
        self, call_next: AgentTurn, event: BaseEvent, context: ConversationContext, seen: list[BaseEvent]
    ) -> ModelResponse:
        """Run a turn for its user and keep it.

        Args:
            call_next: Runs the turn.
            event: The event that begins it.
            context: Its context.
            seen: The list to which each message of the turn is added.
        """
        memory = memory_of_turn(self._source, context, self._variable)
        storage = context.stream.history.storage
        stores = isinstance(storage, MemweldStorage)
        if stores:
            _validate_owner(storage, memory)
        session_id = storage.session_of(context.stream.id) if stores else self._named_session(context)
        request = event if isinstance(event, ModelRequest) else None

        async def keep(write: Callable[..., Awaitable[Any]]) -> None:
            if session_id is not None and not stores:
                await write(memory, _neutral(seen), session_id=session_id, keep="history")
            if request is not None:
                # Other requests of the turn are nothing that the user said.
                answers = [each for each in seen if not isinstance(each, ModelRequest)]
                await write(memory, _neutral([request, *answers]), session_id=session_id, keep="facts")

        with bind_user(self._source, memory):
            if request is not None:
                begun = to_neutral(request)
                await self._capture.begin_async(
                    memory, begun, session_id=session_id, keep="facts" if stores else "turn"
                )
            try:
                reply = await call_next(event, context)
            except BaseException:
                await keep(self._capture.rescue_async)
                raise
            await keep(self._capture.end_async)
        return reply

    def _named_session(self, context: ConversationContext) -> str | None:
        named = context.variables.get(_SESSION_VARIABLE)
        return self._session_id if named is None else validate_key("session_id", named)


class _Turn(BaseMiddleware):
    def __init__(self, event: BaseEvent, context: ConversationContext, capture: MemweldCapture) -> None:
        super().__init__(event, context)
        self._capture = capture
        self._seen: list[BaseEvent] = []

    async def on_turn(self, call_next: AgentTurn, event: BaseEvent, context: ConversationContext) -> ModelResponse:
        """Run the turn, and watch its messages."""
        messages = context.stream.where(ModelRequest | ModelResponse | ToolResultsEvent)
        # As an interrupter: a plain subscriber gets a request after its answer, which is sent from inside.
        with messages.sub_scope(self._see, interrupt=True):
            return await self._capture.run(call_next, event, context, self._seen)

    async def _see(self, event: BaseEvent) -> BaseEvent:
        self._seen.append(event)
        return event


def _neutral(events: Iterable[BaseEvent]) -> list[ChatMessage]:
    return [message for event in events for message in to_neutral(event)]


def _validate_owner(storage: MemweldStorage, memory: Memory) -> None:
    """Refuse a turn for one user in the session of another, whose words would become the wrong user's memories."""
    if None not in (storage.user_id, memory.user_id) and storage.user_id != memory.user_id:
        # Not who they are: a model may read this.
        raise AccessDeniedError("The stream is a session of another user; a turn acts for one user only.")

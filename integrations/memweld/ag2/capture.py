"""Capture as a middleware: when a turn is over, its messages become history and what the user said memories."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from ag2.context import ConversationContext
from ag2.events import BaseEvent, ModelRequest, ModelResponse, ToolResultsEvent
from ag2.middleware import BaseMiddleware
from ag2.middleware.base import AgentTurn

from ..adapters.binding import MemorySource, bind_user, validate_source
from ..adapters.failures import OnError, tolerate, validate_on_error
from ..errors import AccessDeniedError, MemweldError, invalid
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

    Each turn works for one user, and for that long `memweld.user_scope` names the user of a backend too. When the turn
    is over, its messages join the history of its session, unless the stream is a `session_stream` and has kept them,
    and facts are made of what the user said. If the model or a tool raises, what the user said is kept and the error
    goes on. What is enqueued for the agent meanwhile is history, and no fact about the user.

    Args:
        memory: A memory; or a backend, then each turn is for the user whom it names.
        capture: Whether turns are kept, and who waits for it. ``True`` or ``awaited``: the run does. ``background``: it
            waits for the history alone.
        infer: Whether the backend's LLM extracts facts from a turn; None means if there is one.
        session_id: The session of turns whose stream is no `session_stream` and whose variables name none
            (``session_id``). Without any, only facts are kept.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.
        on_error: ``warn``: a turn that cannot be kept is logged as ``memweld.ag2``. ``raise``: the error ends the run.
            No known user ends it always.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self,
        memory: MemorySource,
        *,
        capture: bool | Literal["awaited", "background"] = True,
        infer: bool | None = None,
        session_id: str | None = None,
        user_variable: str | None = USER_VARIABLE,
        on_error: OnError = "warn",
    ) -> None:
        if capture not in (True, False, "awaited", "background"):
            raise invalid("capture", capture, "it is true, false, awaited or background", "Choose one.")
        self.source = validate_source(memory)
        self.user_variable = user_variable
        self._captures = capture is not False
        self._background = capture == "background"
        self._infer = infer
        self._session_id = None if session_id is None else validate_key("session_id", session_id)
        self._on_error: OnError = validate_on_error(on_error)

    def __call__(self, event: BaseEvent, context: ConversationContext) -> BaseMiddleware:
        """The middleware of one turn."""
        return _Turn(event, context, self)

    async def keep(
        self, memory: Memory, context: ConversationContext, said: ModelRequest | None, heard: list[BaseEvent]
    ) -> None:
        """Keep a finished turn.

        Raises:
            MemweldError: With ``on_error="raise"``.
        """
        if not self._captures:
            return
        try:
            await self._capture(memory, context, said, heard, infer=self._infer)
        except MemweldError as error:
            tolerate(error, "A turn was not captured", self._on_error, _logger)

    async def rescue(
        self, memory: Memory, context: ConversationContext, said: ModelRequest | None, heard: list[BaseEvent]
    ) -> None:
        """Keep what the user said in a turn that fails; nothing more is raised."""
        if not self._captures or said is None:
            return
        try:
            # Verbatim: the LLM that extracts is likely to fail as this one did, and equal texts are stored once.
            asked = [event for event in heard if isinstance(event, ModelRequest)]
            await self._capture(memory, context, said, asked, infer=False)
        except Exception:  # the run's own error is the one to be seen
            _logger.warning("What the user said in a failing turn could not be kept", exc_info=True)

    async def _capture(
        self,
        memory: Memory,
        context: ConversationContext,
        said: ModelRequest | None,
        heard: Sequence[BaseEvent],
        *,
        infer: bool | None,
    ) -> None:
        session_id, is_kept = self._session(context)
        if session_id is not None and not is_kept:
            spoken = [message for event in heard for message in to_neutral(event)]
            if spoken:
                await memory.aio.history(session_id).append(spoken)
        facts: list[ChatMessage] = [] if said is None else to_neutral(said)
        if facts:
            answers = [event for event in heard if not isinstance(event, ModelRequest)]
            facts += [message for event in answers for message in to_neutral(event)]
            await memory.aio.capture(
                facts, session_id=session_id, infer=infer, keep="facts", background=self._background
            )

    def _session(self, context: ConversationContext) -> tuple[str | None, bool]:
        """The session of the turn, and whether its stream keeps the messages itself."""
        storage = context.stream.history.storage
        if isinstance(storage, MemweldStorage):
            return storage.session_of(context.stream.id), True
        named = context.variables.get(_SESSION_VARIABLE)
        return (self._session_id if named is None else validate_key("session_id", named)), False


class _Turn(BaseMiddleware):
    def __init__(self, event: BaseEvent, context: ConversationContext, capture: MemweldCapture) -> None:
        super().__init__(event, context)
        self._capture = capture
        self._heard: list[BaseEvent] = []

    async def on_turn(self, call_next: AgentTurn, event: BaseEvent, context: ConversationContext) -> ModelResponse:
        """Run the turn for its user, and keep it."""
        memory = memory_of_turn(self._capture.source, context, self._capture.user_variable)
        _check_stream(context, memory)
        said = event if isinstance(event, ModelRequest) else None
        spoken = context.stream.where(ModelRequest | ModelResponse | ToolResultsEvent)
        # As an interrupter: a plain subscriber hears a request after the answer to it, which is sent from inside.
        with bind_user(self._capture.source, memory), spoken.sub_scope(self._hear, interrupt=True):
            try:
                reply = await call_next(event, context)
            except Exception:
                await self._capture.rescue(memory, context, said, self._heard)
                raise
            await self._capture.keep(memory, context, said, self._heard)
        return reply

    async def _hear(self, event: BaseEvent) -> BaseEvent:
        self._heard.append(event)
        return event


def _check_stream(context: ConversationContext, memory: Memory) -> None:
    """Refuse a turn for one user in the session of another, whose words would become the wrong user's memories."""
    storage = context.stream.history.storage
    owner = storage.user_id if isinstance(storage, MemweldStorage) else None
    if None not in (owner, memory.user_id) and owner != memory.user_id:
        # Not who they are: a model may read this.
        raise AccessDeniedError("The stream is a session of another user; a turn acts for one user only.")

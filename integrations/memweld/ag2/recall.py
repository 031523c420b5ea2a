"""Recall as an assembly policy: what fits the user's message stands behind the prompts, and nowhere else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from ag2.context import ConversationContext, StreamId
from ag2.events import BaseEvent, ModelRequest, ModelResponse, ToolResultsEvent

from ..adapters.binding import MemorySource, validate_source
from ..adapters.failures import OnError, tolerate, validate_on_error
from ..errors import MemweldError
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET, drop_already_shown, recall_block, recall_query
from ..models import Hit
from ..validation import MAX_LIMIT, validate_limit
from .binding import USER_VARIABLE, memory_of_turn
from .content import text_of
from .storage import MemweldStorage

__all__ = ["MemweldRecall"]

_STREAMS_KEPT = 1_024
# How many hits more are asked for, at most, because some may only repeat what the model is shown anyway.
_SPARE = 100
_logger = logging.getLogger("memweld.ag2")


class MemweldRecall:
    """An ``AssemblyPolicy``: ``Agent(assembly=[MemweldRecall(backend), …])``.

    It searches once for a message of the user and adds the block to the prompts of each model call of the turn. The
    block is marked as data; neither the stream nor its history holds it. Reducing policies come behind it.

    Args:
        memory: A memory; or a backend, then each turn is for the user whom it names.
        recall_limit: How many memories at most.
        recall_budget: How many characters of memories at most.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.
        on_error: ``warn``: where the store cannot be reached, the turn goes on without recall and the log
            ``memweld.ag2`` says so. ``raise``: the error ends the run. No known user ends it always.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    name = "memweld_recall"

    def __init__(
        self,
        memory: MemorySource,
        *,
        recall_limit: int = 5,
        recall_budget: int = DEFAULT_BUDGET,
        user_variable: str | None = USER_VARIABLE,
        on_error: OnError = "warn",
    ) -> None:
        self._source = validate_source(memory)
        self._limit = validate_limit(recall_limit, name="recall_limit")
        self._budget = validate_limit(recall_budget, name="recall_budget", maximum=10_000_000)
        self._variable = user_variable
        self._on_error: OnError = validate_on_error(on_error)
        self._found: dict[StreamId, tuple[object, str]] = {}
        self._lock = threading.Lock()

    async def apply(
        self, prompts: list[str], events: list[BaseEvent], context: ConversationContext
    ) -> tuple[list[str], list[BaseEvent]]:
        """Add what is remembered to the prompts.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: With ``on_error="raise"``.
        """
        memory = memory_of_turn(self._source, context, self._variable)
        request = next((event for event in reversed(events) if isinstance(event, ModelRequest)), None)
        query = recall_query(text_of(request.parts)) if request is not None else ""
        if request is None or not query:
            return prompts, events
        turn = (memory.scope, request.created_at, query)
        known = self._found.get(context.stream.id)
        if known is not None and known[0] == turn:
            block = known[1]
        else:
            block = await self._recall(memory, query, events, _session_of(context))
            self._remember(context.stream.id, turn, block)
        return ([*prompts, block] if block else prompts), events

    async def _recall(self, memory: Memory, query: str, events: Sequence[BaseEvent], session_id: str | None) -> str:
        shown = [text for event in events if (text := _said(event))] if session_id is not None else []
        hits: Sequence[Hit] = []
        try:
            limit = min(self._limit + min(len(shown), _SPARE), MAX_LIMIT)
            hits = await memory.aio.search(query, limit=limit)
        except MemweldError as error:
            tolerate(error, "Nothing was recalled for this turn", self._on_error, _logger)
        if session_id is not None:
            hits = drop_already_shown(hits, session_id=session_id, shown=shown)
        return recall_block(hits[: self._limit], budget=self._budget)

    def _remember(self, stream_id: StreamId, turn: object, block: str) -> None:
        with self._lock:
            # The latest goes to the end, so that the stream that was silent longest is dropped first.
            self._found.pop(stream_id, None)
            self._found[stream_id] = (turn, block)
            if len(self._found) > _STREAMS_KEPT:
                del self._found[next(iter(self._found))]


def _session_of(context: ConversationContext) -> str | None:
    storage = context.stream.history.storage
    return storage.session_of(context.stream.id) if isinstance(storage, MemweldStorage) else None


def _said(event: BaseEvent) -> str:
    if isinstance(event, ModelRequest):
        return text_of(event.parts)
    if isinstance(event, ModelResponse):
        return event.content or ""
    if isinstance(event, ToolResultsEvent):
        return "\n".join(text_of(result.result.parts) for result in event.results)
    return ""

"""What a turn needs from the memory, read once when a run begins: recalled memories and the session's past."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime

from ..adapters.binding import MemorySource
from ..adapters.failures import TOLERATED
from ..memory.memory import Memory
from ..memory.recall import drop_already_shown, recall_block, recall_query
from ..models import ChatMessage, Hit
from ..validation import MAX_LIMIT
from .binding import memory_of_run, thread_of_run
from .history_window import past_until
from .messages import to_langchain
from .state import Turn
from .transcript import holds_no_past, is_spoken, last_human_text, shown_texts, turn_start, well_formed

__all__ = ["Attempt", "Reader", "logger"]

logger = logging.getLogger("memweld.langchain")

# How much of a session is looked at to see which of the agent's messages it has already.
_RECENT = 64
# How many hits more are asked for, at most, because some may only repeat what the model is shown anyway: at first, and
# where these are too few.
_FEW, _SPARE = 5, 100


@dataclass(frozen=True)
class Attempt:
    """A block that may fail with these errors: they are logged, and the program goes on behind it."""

    what: str
    tolerated: tuple[type[Exception], ...]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, self.tolerated) or isinstance(error, GraphBubbleUp):
            return False
        logger.warning("memweld: %s failed; the run goes on without it", self.what, exc_info=error)
        return True


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Opens turns. The fields are the options of `MemweldMiddleware`."""

    source: MemorySource
    recall_limit: int
    recall_budget: int
    session_id: str | None
    capture: bool
    load_history: bool
    history_limit: int
    raises: bool

    def open(self, state: Any, runtime: Runtime[Any], config: RunnableConfig | None) -> Turn:
        """Find the user and the session, recall, and see what is new.

        Raises:
            MemweldError: No user or two are named; or the memory fails and errors are to be raised.
        """
        config = ensure_config(config)
        memory = memory_of_run(self.source, runtime=runtime, config=config)
        session_id = self.session_id or thread_of_run(runtime, config)
        messages: Sequence[BaseMessage] = state["messages"]
        seen: str | None = state.get("memweld_seen")
        kept: Sequence[ChatMessage] = []
        past: Sequence[ChatMessage] = []
        start = turn_start(messages, {seen} - {None})
        with self.attempting("reading the history"):
            if session_id is not None and (self.capture or self.load_history) and not _goes_on(messages, seen):
                kept = memory.history(session_id).messages(max(self.history_limit, _RECENT))
            start = turn_start(messages, {seen, *(message.id for message in kept)} - {None})
            past = self._past(memory, session_id, state, kept, start)
        earlier = well_formed([to_langchain(message) for message in past if message.role != "system"])
        hits: Sequence[Hit] = []
        with self.attempting("recall"):
            hits = self._recalled(memory, session_id, messages, earlier)
        return Turn(
            memory=memory,
            session_id=session_id,
            hits=hits,
            earlier=earlier,
            earlier_until=past[-1].id if past else state.get("memweld_earlier"),
            said=tuple(messages[start:]),
            before=frozenset(message.id for message in messages),
        )

    def attempting(self, what: str, tolerated: tuple[type[Exception], ...] = TOLERATED) -> Attempt:
        """Where the block fails and errors are not to be raised, log that and go on behind it."""
        return Attempt(what, () if self.raises else tolerated)

    def block(self, turn: Turn, shown: Iterable[BaseMessage]) -> str:
        """What is recalled, without what only repeats a message of the session that the model is shown anyway."""
        hits = turn.hits
        if any(hit.session_id == turn.session_id for hit in hits):
            hits = drop_already_shown(hits, session_id=turn.session_id, shown=shown_texts((*turn.earlier, *shown)))
        return recall_block(hits[: self.recall_limit], budget=self.recall_budget)

    def _recalled(
        self,
        memory: Memory,
        session_id: str | None,
        messages: Sequence[BaseMessage],
        earlier: Sequence[BaseMessage],
    ) -> list[Hit]:
        query = recall_query(last_human_text(messages)) if self.recall_limit else ""
        if not query:
            return []
        shown = shown_texts((*earlier, *messages))
        few, all_spare = (min(self.recall_limit + min(len(shown), spare), MAX_LIMIT) for spare in (_FEW, _SPARE))
        hits = memory.search(query, limit=few)
        if few == all_spare or len(hits) < few:
            return hits
        enough = len(drop_already_shown(hits, session_id=session_id, shown=shown)) >= self.recall_limit
        return hits if enough else memory.search(query, limit=all_spare)

    def _past(
        self, memory: Memory, session_id: str | None, state: Any, kept: Sequence[ChatMessage], start: int
    ) -> Sequence[ChatMessage]:
        """The session's messages that the agent does not hold itself."""
        if not self.load_history or session_id is None:
            return []
        until: str | None = state.get("memweld_earlier")
        if until is not None:
            history = memory.history(session_id)
            return past_until(history, until, before=state.get("memweld_before"), limit=self.history_limit)
        messages: Sequence[BaseMessage] = state["messages"]
        if not holds_no_past(messages[:start]):
            # What is missing from a thread that the agent does hold was taken out of it on purpose.
            return []
        own = {message.id for message in messages}
        return [message for message in kept if message.id not in own][-self.history_limit :]


def _goes_on(messages: Sequence[BaseMessage], seen: str | None) -> bool:
    """Whether one message came since the last turn was dealt with, so that nothing needs to be looked up.

    Where there are more, a run in between failed, was cancelled or resumed, and some of them may be kept already.
    """
    if seen is None:
        return False
    place = next((index for index, message in enumerate(messages) if message.id == seen), None)
    return place is not None and len([message for message in messages[place + 1 :] if is_spoken(message)]) <= 1

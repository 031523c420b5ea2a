"""A turn is opened: its user and session, the recalled memories, and the session's past that the agent lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langgraph.runtime import Runtime

from ..adapters.binding import MemorySource
from ..adapters.capture import is_unfinished
from ..adapters.failures import FailurePolicy
from ..adapters.recall import TurnRecall
from ..errors import MemoryNotFoundError
from ..memory.history import History
from ..memory.recall_counts import count_recalls
from ..memory.transcript import model_window, read_tail
from ..models import ChatMessage
from .binding import memory_of_run, thread_of_run
from .messages import to_langchain
from .state import THREAD_START, Turn
from .transcript import is_spoken, last_human_text, shown_texts, turn_start

__all__ = ["TurnReader"]

# How much of a session is looked at to see which of the agent's messages it has already.
_RECENT = 64
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class TurnReader:
    """Opens turns.

    Attributes:
        source: The memory or backend of the middleware.
        recall: Its recall, with its options.
        failures: What a failing memory does to a run.
        session_id: The session of every run; if None the run's thread.
        load_history: Whether the session's past is put before the model.
    """

    source: MemorySource
    recall: TurnRecall
    failures: FailurePolicy
    session_id: str | None
    load_history: bool

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
        is_new = seen == THREAD_START
        start, past = turn_start(messages, {seen} - {None}, all_new=is_new), list[ChatMessage]()
        with self.failures.guard("reading the history"):
            kept: Sequence[ChatMessage] = []
            history = None if session_id is None else memory.history(session_id)
            if history is not None and self._reads_history and not _goes_on(messages, seen):
                kept = read_tail(history, max(self._limit, _RECENT))
            unfinished = {message.id for message in kept if is_unfinished(message)}
            known = {seen, *(message.id for message in kept)} - {None, *unfinished}
            start = turn_start(messages, known, unfinished, all_new=is_new)
            if history is not None and self.load_history:
                past = self._past(history, state, kept, start)
        options = self.recall.options
        limit, characters = options.history_limit, options.history_budget
        window = model_window(past, limit=limit, characters=characters, prompts=False)
        earlier = [to_langchain(message) for message in window]
        shown, query = shown_texts((*earlier, *messages)), last_human_text(messages)
        profile = self.recall.profile(memory, session_id=session_id, shown=shown)
        return Turn(
            memory=memory,
            session_id=session_id,
            query=query,
            hits=self.recall.search(memory, query, session_id=session_id, shown=shown, profile=profile),
            profile=profile,
            counted=set(),
            earlier=earlier,
            earlier_until=past[-1].id if past else state.get("memweld_earlier"),
            opening=tuple(messages[start:]),
            before=frozenset(message.id for message in messages),
        )

    def block(self, turn: Turn, shown: Iterable[BaseMessage]) -> str:
        """The recalled memories, without those that only repeat a message of the session that the model is shown."""
        is_in_session = any(hit.session_id == turn.session_id for hit in turn.hits)
        texts = shown_texts((*turn.earlier, *shown)) if is_in_session else ()
        selected = self.recall.select(
            turn.memory, turn.hits, session_id=turn.session_id, shown=texts, query=turn.query, profile=turn.profile
        )
        count_recalls(turn.memory, [hit for hit in selected.hits if hit.id not in turn.counted])
        turn.counted.update(hit.id for hit in selected.hits)
        return selected.block

    @property
    def _limit(self) -> int:
        return self.recall.options.history_limit or _PAGE

    @property
    def _reads_history(self) -> bool:
        return self.load_history or self.recall.options.captures

    def _past(self, history: History, state: Any, kept: Sequence[ChatMessage], start: int) -> list[ChatMessage]:
        """The session's messages that the agent does not hold itself, oldest first."""
        until: str | None = state.get("memweld_earlier")
        if until is not None:
            return _read_until(history, until, before=state.get("memweld_before"), limit=self._limit)
        messages: Sequence[BaseMessage] = state["messages"]
        if not all(isinstance(message, SystemMessage) for message in messages[:start]):
            # Another middleware took out on purpose what is missing from a thread that the agent does hold.
            return []
        own = {message.id for message in messages}
        return [message for message in kept if message.id not in own]


def _goes_on(messages: Sequence[BaseMessage], seen: str | None) -> bool:
    """Whether one message came since the last turn was dealt with, so that nothing needs to be looked up.

    Where there are more, a run in between failed, was cancelled or resumed, and some of them may be kept already.
    """
    if seen is None:
        return False
    place = next((index for index, message in enumerate(messages) if message.id == seen), None)
    return place is not None and len([message for message in messages[place + 1 :] if is_spoken(message)]) <= 1


def _read_until(history: History, until: str, *, before: str | None, limit: int) -> list[ChatMessage]:
    """The end of that part of a session that ends with the message ``until``; nothing if the session has it no more.

    Args:
        history: The session.
        until: The id of the last message of that part.
        before: The id of the message right behind it, if one is known; else it is looked for from the end.
        limit: How many messages at least, where there are so many.
    """
    try:
        page = read_tail(history, limit, before) if before is not None else history.messages(_PAGE)
        while page and page[-1].id != until:
            end = next((index for index, message in enumerate(page, 1) if message.id == until), 0)
            if end:
                return [*read_tail(history, limit, page[0].id), *page[:end]]
            page = history.messages(_PAGE, page[0].id)
    except MemoryNotFoundError:
        return []  # The session was cleared.
    return page

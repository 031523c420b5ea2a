"""What a turn needs from the memory, read once when a run begins: recalled memories and the session's past."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig, ensure_config
from langgraph.runtime import Runtime

from ..errors import MemweldError
from ..memory import Memory
from ..models import ChatMessage
from ..source import TOLERATED, MemorySource
from .identity import memory_of_run, thread_of_run
from .messages import to_langchain
from .state import Turn
from .turns import holds_no_past, last_human_text, turn_start, well_formed

__all__ = ["Reader", "logger"]

logger = logging.getLogger("memweld.langchain")

T = TypeVar("T")

# How much of a session is looked at to see which of the agent's messages it has already.
_RECENT = 64


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
        until: str | None = state.get("memweld_earlier")
        kept = self.attempt("reading the history", functools.partial(self._kept, memory, session_id, until), [])
        start = turn_start(messages, {message.id for message in kept})
        earlier = self._past(kept, messages, start, until)
        return Turn(
            memory=memory,
            session_id=session_id,
            block=self.attempt("recall", functools.partial(self._recall, memory, messages), ""),
            earlier=well_formed([to_langchain(message) for message in earlier if message.role != "system"]),
            earlier_until=earlier[-1].id if earlier else until,
            said=tuple(messages[start:]),
            before=frozenset(message.id for message in messages),
        )

    def attempt(self, what: str, work: Callable[[], T], otherwise: T) -> T:
        """Do it; where it fails and errors are not to be raised, log that and return ``otherwise``."""
        try:
            return work()
        except MemweldError as error:
            if self.raises or not isinstance(error, TOLERATED):
                raise
            logger.warning("memweld: %s failed; the run goes on without it", what, exc_info=True)
            return otherwise

    def _recall(self, memory: Memory, messages: Sequence[BaseMessage]) -> str:
        if not self.recall_limit:
            return ""
        return memory.recall(last_human_text(messages), limit=self.recall_limit, budget=self.recall_budget)

    def _kept(self, memory: Memory, session_id: str | None, until: str | None) -> list[ChatMessage]:
        """The latest messages of the session, or all where the agent's own begin somewhere behind ``until``."""
        if session_id is None or not (self.capture or self.load_history):
            return []
        return memory.history(session_id).messages(None if until else max(self.history_limit, _RECENT))

    def _past(
        self, kept: Sequence[ChatMessage], messages: Sequence[BaseMessage], start: int, until: str | None
    ) -> Sequence[ChatMessage]:
        """The session's messages that the agent does not hold itself."""
        if not self.load_history:
            return []
        if until is not None:
            end = next((index for index, message in enumerate(kept, 1) if message.id == until), 0)
            return kept[:end][-self.history_limit :]
        if not holds_no_past(messages[:start]):
            # What is missing from a thread that the agent does hold was taken out of it on purpose.
            return []
        own = {message.id for message in messages}
        return [message for message in kept if message.id not in own][-self.history_limit :]

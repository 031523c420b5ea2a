"""A session's messages as LangChain's `BaseChatMessageHistory`."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from ..adapters.binding import MemorySource, validate_source
from ..adapters.messages import append_fitting
from ..memory.asynchronous import in_thread
from ..memory.history import AsyncHistory, History
from ..memory.transcript import read_window
from ..validation import MAX_VALUE_CHARACTERS, validate_key, validate_limit
from .binding import memory_of_run
from .messages import to_langchain, to_neutral

__all__ = ["MemweldChatMessageHistory"]


class MemweldChatMessageHistory(BaseChatMessageHistory):
    """The history of one session, readable from every framework.

    Every message type of LangChain comes back exactly as it was; what other frameworks wrote into the session reads
    as LangChain messages. Adding takes the same time however long the session is. Thread-safe.

    Args:
        memory: A memory; or a backend, then each call is for the user that the surrounding run or
            `memweld.user_scope` names.
        session_id: The session, 1 to 512 characters.
        limit: How many messages reading returns at most, the latest that every provider takes: beginning with the user,
            tool calls and results whole.
        budget: How many characters of them at most, an image counted as 4,000. Without ``limit`` and ``budget`` reading
            returns the session exactly as it is.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    def __init__(
        self, memory: MemorySource, session_id: str, *, limit: int | None = None, budget: int | None = None
    ) -> None:
        super().__init__()
        self._source = validate_source(memory)
        self.session_id = validate_key("session_id", session_id)
        self._limit = None if limit is None else validate_limit(limit, maximum=1_000_000)
        self._budget = None if budget is None else validate_limit(budget, name="budget", maximum=MAX_VALUE_CHARACTERS)

    @property
    def _history(self) -> History:
        return memory_of_run(self._source).history(self.session_id)

    @property
    def _ahistory(self) -> AsyncHistory:
        return memory_of_run(self._source).aio.history(self.session_id)

    @property
    def messages(self) -> list[BaseMessage]:  # pyright: ignore[reportIncompatibleVariableOverride] - as LangChain advises
        """The messages, oldest first.

        Raises:
            MemweldError: The history cannot be read.
        """
        history = self._history
        is_whole = self._limit is None and self._budget is None
        stored = history.messages() if is_whole else read_window(history, limit=self._limit, characters=self._budget)
        return [to_langchain(message) for message in stored]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append the messages, all or none. One whose id the session has replaces that message.

        A message that breaks a rule of the store is shortened, and says so: `RunnableWithMessageHistory` calls this
        when a run ends.

        Raises:
            InvalidInputError: A message is none (`RemoveMessage`).
        """
        append_fitting(self._history, [to_neutral(message) for message in messages])

    def clear(self) -> None:
        """Delete the session's messages."""
        self._history.clear()

    async def aget_messages(self) -> list[BaseMessage]:
        """The messages, oldest first, without blocking the event loop."""
        return await in_thread(lambda: self.messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append the messages without blocking the event loop."""
        history = self._history
        await in_thread(lambda: append_fitting(history, [to_neutral(message) for message in messages]))

    async def aclear(self) -> None:
        """Delete the session's messages without blocking the event loop."""
        await self._ahistory.clear()

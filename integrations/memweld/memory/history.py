"""History: the messages of one session, in order, readable from every framework."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ..display import MOST_ROWS, Displayed, ResultList, html_table, shown_fields
from ..engine.operations import AppendMessages, ClearMessages, ReadMessages
from ..engine.protocol import Engine
from ..models import ChatMessage
from ..scope import Scope
from ..validation import validate_key
from .asynchronous import AsyncFacade, Lane, async_method
from .capture import drop_captures
from .messages import MessagesLike, read_messages

__all__ = ["AsyncHistory", "History"]


class History(Displayed):
    """The messages of one session, in order, readable from every framework."""

    def __init__(self, engine: Engine, scope: Scope, session_id: str, *, timezone: str | None = None) -> None:
        self._engine = engine
        self._scope = scope
        self._timezone = timezone
        self.session_id = validate_key("session_id", session_id)

    def append(self, messages: MessagesLike) -> list[ChatMessage]:
        """Append one message or several, all or none.

        Args:
            messages: `ChatMessage` or ``{"role", "content", …}``, one or a list; a bare string is said by the user.
                A ``created_at`` without an offset is a time of the memory's zone.

        Returns:
            The messages with their ids and times, and their texts as given: ``connect(redact=…)`` changes only what is
            stored.

        Raises:
            InvalidInputError: A message breaks a rule; nothing was appended.
        """
        operation = AppendMessages(session_id=self.session_id, messages=read_messages(messages, self._timezone))
        self._engine.run(self._scope, operation)
        return list(operation.messages)

    def replace(self, messages: MessagesLike, *, known: Collection[str] | None = None) -> list[ChatMessage]:
        """Replace all messages of the session, all or none; an empty list empties the session.

        Args:
            messages: As in `append`.
            known: The ids of the messages that they replace; what others have appended meanwhile then stays behind
                them. None: all.

        Returns:
            The messages, as `append` does.

        Raises:
            InvalidInputError: A message breaks a rule; nothing was changed.
        """
        read = read_messages(messages, self._timezone)
        if not read:
            self.clear()
            return []
        ids = None if known is None else sorted(known)
        operation = AppendMessages(session_id=self.session_id, messages=read, replace=True, known=ids)
        self._engine.run(self._scope, operation)
        return list(operation.messages)

    def add_user_message(self, content: str) -> ChatMessage:
        """Append a message of the user."""
        return self.append({"role": "user", "content": content})[0]

    def add_ai_message(self, content: str) -> ChatMessage:
        """Append a message of the assistant."""
        return self.append({"role": "assistant", "content": content})[0]

    def messages(self, limit: int | None = None, before: str | None = None) -> list[ChatMessage]:
        """The last ``limit`` messages, oldest first; all where it is None.

        Args:
            limit: How many at most, 1 to 1,000,000.
            before: The id of a message: only earlier ones. Pass the id of a page's first message for the page
                before it.

        Raises:
            MemoryNotFoundError: The session has no message with the id ``before``.
        """
        read = ReadMessages(session_id=self.session_id, limit=limit, before=before)
        return ResultList(self._engine.run(self._scope, read))

    def clear(self, *, facts: bool = False) -> int:
        """Delete the session.

        Args:
            facts: Forget what the session says, too: the memories that it alone says, with their sources and what they
                supersede. Memories that other sessions also say stay for them, and what the session superseded of
                others holds again. Captures of the session that wait in the background are dropped; for one at work the
                call waits, half a minute at most.

        Returns:
            How many messages it had; memories do not count.
        """
        if facts:
            drop_captures(self._engine, self._scope, self.session_id)
        return self._engine.run(self._scope, ClearMessages(session_id=self.session_id, facts=facts))

    def _html(self) -> str:
        return html_table([shown_fields(each) for each in self.messages(MOST_ROWS)], title=repr(self))

    def __repr__(self) -> str:
        return f"<History {self.session_id!r} of {self._scope}>"


def _lane_of_clear(*_: Any, facts: bool = False) -> Lane:
    return "flush" if facts else "quick"


class AsyncHistory(AsyncFacade[History]):
    """`History` for async code."""

    @property
    def session_id(self) -> str:
        """The session of these messages."""
        return self._sync.session_id

    append = async_method(History.append)
    replace = async_method(History.replace)
    add_user_message = async_method(History.add_user_message)
    add_ai_message = async_method(History.add_ai_message)
    messages = async_method(History.messages)
    clear = async_method(History.clear, lane=_lane_of_clear)

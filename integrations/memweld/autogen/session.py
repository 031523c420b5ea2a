"""A session as one AutoGen agent sees it: read, appended to, saved and loaded. All of it blocks."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from autogen_core.model_context import ChatCompletionContextState
from autogen_core.models import LLMMessage, UserMessage
from cachetools import LRUCache
from pydantic import BaseModel

from ..adapters.messages import append_fitting, fit_message
from ..errors import AccessDeniedError
from ..memory.memory import Memory
from ..memory.messages import to_message
from ..memory.transcript import model_window, read_tail
from ..models import JSON, ChatMessage
from ..scope import Scope
from .messages import to_neutral

__all__ = ["MAX_SCOPES", "AgentSession", "Delivery", "Window", "unanswered"]

MAX_SCOPES = 1_024
_TAIL = 500
_UNANSWERED = 50


class Delivery(BaseModel):
    """How far AutoGen has delivered a session's messages to an agent of a team.

    Attributes:
        up_to: The id of the message up to which the agent has got all of them, if any.
        beyond: The ids of the messages that it has got beyond that.
        since: When its context was made.
    """

    up_to: str | None = None
    beyond: list[str] = []
    since: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """The part of a session that stands before a model.

    Attributes:
        messages: The messages, oldest first.
        question: The user's last message.
        turn: The id of the last message to the agent, which names the turn; None in an empty session.
    """

    messages: list[ChatMessage]
    question: str = ""
    turn: str | None = None


class _State(BaseModel):
    type: Literal["MemweldChatCompletionContextState"] = "MemweldChatCompletionContextState"
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str
    messages: list[dict[str, Any]]
    delivery: Delivery | None = None


class AgentSession:
    """A session of whichever memory it is given.

    Args:
        session_id: Its id.
        user_names: The message sources that are the end user.
    """

    def __init__(self, session_id: str, user_names: Sequence[str]) -> None:
        self.session_id = session_id
        self.user_names = tuple(user_names)
        # Calls work in threads, and one session object serves many users.
        self._lock = threading.Lock()
        self._cleared_after: LRUCache[Scope, str | None] = LRUCache(MAX_SCOPES)

    def read(self, memory: Memory, limit: int | None, characters: int | None = None) -> Window:
        """The latest messages that the agent's model is to see, within the limits (see `model_window`)."""
        stored = read_tail(memory.history(self.session_id), None if limit is None else max(limit, _TAIL))
        view = self.view(self._since_clear(memory, stored))
        # As AutoGen's own contexts show them: an assistant's text and its calls are messages of their own.
        window = model_window(view, limit=limit, characters=characters, joins=False)
        spoken = [message for message in window if message.role == "user"]
        if not spoken:
            return Window(window)
        theirs = [message for message in spoken if self.is_user(message)] or spoken
        # In a team the user's question stays while others speak, and each message to the agent begins a turn.
        return Window(window, theirs[-1].text, spoken[-1].id)

    def clear_view(self, memory: Memory) -> None:
        """Hide all present messages from the model; they stay in the session."""
        last = memory.history(self.session_id).messages(limit=1)
        with self._lock:
            self._cleared_after[memory.scope] = last[0].id if last else None

    def _since_clear(self, memory: Memory, stored: list[ChatMessage]) -> list[ChatMessage]:
        with self._lock:
            last = self._cleared_after.get(memory.scope)
        place = next((place for place, message in enumerate(stored, 1) if last and message.id == last), 0)
        return stored[place:]

    def view(self, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The session from the agent's side."""
        return list(stored)

    def append(self, memory: Memory, message: LLMMessage) -> None:
        """Append a message, unless the user repeats what stands unanswered: that is a retry."""
        messages = [fit_message(one) for one in to_neutral(message)]
        if isinstance(message, UserMessage) and self.is_user(messages[0]):
            waiting = [(one.name, one.content) for one in self.unanswered(memory)]
            messages = [one for one in messages if (one.name, one.content) not in waiting]
        append_fitting(memory.history(self.session_id), messages)

    def unanswered(self, memory: Memory) -> list[ChatMessage]:
        """The messages to the agent at the end of the session that have no answer yet."""
        return unanswered(self.view(memory.history(self.session_id).messages(limit=_UNANSWERED)))

    def is_user(self, message: ChatMessage) -> bool:
        """Whether the end user said it."""
        return message.role == "user" and (message.name or "user") in self.user_names

    def save(self, memory: Memory) -> dict[str, JSON]:
        """The session as JSON."""
        state = _State(
            user_id=memory.user_id,
            agent_id=memory.agent_id,
            session_id=self.session_id,
            messages=[dataclasses.asdict(message) for message in memory.history(self.session_id).messages()],
            delivery=self.delivery(memory),
        )
        return state.model_dump(mode="json", exclude_none=True)

    def load(self, memory: Memory, state: Mapping[str, Any]) -> None:
        """Fill the session, if it is empty, from what `save` or one of AutoGen's own contexts gave.

        Raises:
            AccessDeniedError: It was saved for another user.
        """
        if state.get("type") == _State.model_fields["type"].default:
            saved = _State.model_validate(state)
            if (saved.user_id, saved.agent_id) != (memory.user_id, memory.agent_id):
                raise AccessDeniedError("This state was saved for another user: load it for the one it belongs to.")
            messages = [to_message(message) for message in saved.messages]
            if saved.delivery is not None:
                self.set_delivery(memory, saved.delivery)
        else:
            plain = ChatCompletionContextState.model_validate(state).messages
            messages = [part for message in plain for part in to_neutral(message)]
        history = memory.history(self.session_id)
        if messages and not history.messages(limit=1):
            append_fitting(history, messages)

    def delivery(self, memory: Memory) -> Delivery | None:  # noqa: ARG002 - for the sessions of teams
        """How far AutoGen has delivered the session to the agent; None where the session is its own."""
        return None

    def set_delivery(self, memory: Memory, delivery: Delivery) -> None:
        """Go on from there."""


def unanswered(messages: list[ChatMessage]) -> list[ChatMessage]:
    """The user messages at the end that no answer follows."""
    start = max((place for place, message in enumerate(messages, 1) if message.role != "user"), default=0)
    return messages[start:]

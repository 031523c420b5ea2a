"""A session as AutoGen sees it: read, appended to, captured from, saved and loaded. All of it blocks."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from autogen_core.model_context import ChatCompletionContextState
from autogen_core.models import LLMMessage, UserMessage
from pydantic import BaseModel

from ..adapters.failures import OnError, tolerate
from ..errors import AccessDeniedError, MemweldError
from ..memory.memory import Memory
from ..memory.messages import to_message
from ..models import JSON, ChatMessage
from ..scope import Scope
from .capture import capture_once
from .messages import answered, to_autogen, to_neutral

__all__ = ["ExportedSession", "Told"]

_TAIL = 50
_SCOPES_KEPT = 1_024
_logger = logging.getLogger("memweld.autogen")


class Told(BaseModel):
    """How far an agent of a team was told what is said.

    Attributes:
        up_to: The id of the message up to which it was told everything, if any.
        heard: The ids of what it was told beyond that.
        since: When its context was made.
    """

    up_to: str | None = None
    heard: list[str] = []
    since: datetime


class _State(BaseModel):
    type: Literal["MemweldChatCompletionContextState"] = "MemweldChatCompletionContextState"
    user_id: str | None = None
    agent_id: str | None = None
    session_id: str
    messages: list[dict[str, Any]]
    told: Told | None = None


class ExportedSession:
    """A session of whichever memory it is given.

    Args:
        session_id: Its id.
        user_names: The message sources that are the end user.
    """

    def __init__(self, session_id: str, user_names: Sequence[str]) -> None:
        self.session_id = session_id
        self.user_names = tuple(user_names)
        self._anew_after: dict[Scope, str | None] = {}

    def read(self, memory: Memory) -> tuple[list[LLMMessage], tuple[str, str | None]]:
        """All messages, and the question of the turn: what to search for, and the id that names the turn."""
        stored = self.view(self._since_anew(memory, memory.history(self.session_id).messages()))
        said = [message for message in stored if message.role == "user"]
        theirs = [message for message in said if self._is_user(message)] or said
        # The last message of anyone names the turn: in a team the user's question stays while others speak.
        question = (theirs[-1].text, said[-1].id) if said else ("", None)
        return answered(to_autogen(stored)), question

    def begin_anew(self, memory: Memory) -> None:
        """Let the model see from now on only what is said from now on; all of it stays in the session."""
        last = memory.history(self.session_id).messages(limit=1)
        self._anew_after.pop(memory.scope, None)
        if last:
            self._anew_after[memory.scope] = last[0].id
        if len(self._anew_after) > _SCOPES_KEPT:
            del self._anew_after[next(iter(self._anew_after))]

    def _since_anew(self, memory: Memory, stored: list[ChatMessage]) -> list[ChatMessage]:
        last = self._anew_after.get(memory.scope)
        place = next((place for place, said in enumerate(stored, 1) if last is not None and said.id == last), 0)
        return stored[place:]

    def view(self, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The session as the agent's model is to see it: as it is."""
        return list(stored)

    def append(self, memory: Memory, message: LLMMessage) -> None:
        """Append a message, unless the user is repeating what stands unanswered: that is a retry."""
        messages = to_neutral(message)
        if isinstance(message, UserMessage):
            waiting = [(said.name, said.content) for said in self._unanswered(memory)]
            # Only the end user retries; another agent of a team may well say the same again.
            messages = [
                said for said in messages if not self._is_user(said) or (said.name, said.content) not in waiting
            ]
        if messages:
            memory.history(self.session_id).append(messages)

    def capture(self, memory: Memory, on_error: OnError) -> None:
        """Make facts of what the user said and nobody has answered yet.

        Raises:
            BackendUnavailableError: With ``on_error="raise"``.
        """
        try:
            said = [said for said in self._unanswered(memory) if self._is_user(said) and said.text.strip()]
            capture_once(memory, self.session_id, said)
        except MemweldError as error:
            what = f"The facts of a turn in session {self.session_id!r} were not captured"
            tolerate(error, what, on_error, _logger)

    def save(self, memory: Memory) -> dict[str, JSON]:
        """The session as JSON."""
        stored = memory.history(self.session_id).messages()
        state = _State(
            user_id=memory.user_id,
            agent_id=memory.agent_id,
            session_id=self.session_id,
            messages=[_dumped(message) for message in stored],
            told=self.told(memory),
        )
        return state.model_dump(mode="json", exclude_none=True)

    def told(self, memory: Memory) -> Told | None:  # noqa: ARG002 - for sessions that are shared
        """How far the agent was told the session; None where the session is its own."""
        return None

    def take_told(self, memory: Memory, told: Told) -> None:
        """Go on from there."""

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
            if saved.told is not None:
                self.take_told(memory, saved.told)
        else:
            plain = ChatCompletionContextState.model_validate(state).messages
            messages = [part for message in plain for part in to_neutral(message)]
        history = memory.history(self.session_id)
        if messages and not history.messages(limit=1):
            history.append(messages)

    def _is_user(self, message: ChatMessage) -> bool:
        return (message.name or "user") in self.user_names

    def _unanswered(self, memory: Memory) -> list[ChatMessage]:
        """What was said to the agent at the end of the session, with no answer yet."""
        tail = self.view(memory.history(self.session_id).messages(limit=_TAIL))
        start = max((place for place, message in enumerate(tail, 1) if message.role != "user"), default=0)
        return tail[start:]


def _dumped(message: ChatMessage) -> dict[str, JSON]:
    dump = dataclasses.asdict(message)
    dump["created_at"] = None if message.created_at is None else message.created_at.isoformat()
    return dump

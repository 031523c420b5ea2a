"""One session for all agents of a team: each thing that is said stands in it once, and each agent has its view."""

from __future__ import annotations

import dataclasses
import json
import threading
import weakref
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, UserMessage

from ..memory.memory import Memory
from ..models import ChatMessage
from ..scope import Scope
from .messages import FRAMEWORK, to_neutral
from .session import ExportedSession, Told

__all__ = ["SharedSession"]

_TAIL = 500
_SCOPES_KEPT = 1_024
_TOLD = "told"

_guard = threading.Lock()
_turns: weakref.WeakValueDictionary[tuple[Scope, str], threading.Lock] = weakref.WeakValueDictionary()


class SharedSession(ExportedSession):
    """The session of a team as one of its agents writes and reads it.

    AutoGen tells each agent what the others and the user said, and the messages it tells carry no id. So what is told
    is looked for among what was said since this agent was told something last: it is appended only if no other agent
    has appended it. An agent's own words are appended by its own context.

    Args:
        session_id: Its id.
        user_names: The message sources that are the end user.
        agent_name: The agent.
    """

    def __init__(self, session_id: str, user_names: Sequence[str], agent_name: str) -> None:
        super().__init__(session_id, user_names)
        self.agent_name = agent_name
        self._since = datetime.now(timezone.utc) - timedelta(milliseconds=1)
        self._told: dict[Scope, Told] = {}

    def append(self, memory: Memory, message: LLMMessage) -> None:
        """Append a message, unless it stands in the session already."""
        with _guard:
            turn = _turns.setdefault((memory.scope, self.session_id), threading.Lock())
        with turn:  # of two agents that are told the same at once, one comes first
            match message:
                case AssistantMessage() if message.source == self.agent_name:
                    memory.history(self.session_id).append(to_neutral(message))
                case UserMessage() | AssistantMessage():
                    self._hear(memory, message)
                case FunctionExecutionResultMessage():
                    self._append_results(memory, message)
                case _:
                    super().append(memory, message)

    def _hear(self, memory: Memory, message: UserMessage | AssistantMessage) -> None:
        history = memory.history(self.session_id)
        stored = history.messages(_TAIL)
        told = to_neutral(message)[0]
        if isinstance(message, UserMessage) and not self._is_user(told):
            # Another agent's words are that agent's, also where AutoGen hands them over as a user's.
            told = dataclasses.replace(told, role="assistant")
        progress = self.told(memory)
        waiting = self._waiting(progress, stored)
        known = found = next((said for said in waiting if _is_same(said, told)), None)
        if known is None and self._is_user(told):
            # The end user repeating what stands unanswered is a retry.
            known = next((said for said in _unanswered(stored) if _is_same(said, told)), None)
        if known is None or isinstance(message, AssistantMessage):
            # With a handoff AutoGen shows an agent the other's tool calls, which agents do not see else.
            known = known or told
            native: dict[str, Any] = dict(known.native or {})
            if isinstance(message, AssistantMessage):
                native[_TOLD] = [*native.get(_TOLD, []), self.agent_name]
            known = history.append(dataclasses.replace(known, native=native or None))[0]
        if found is not None or not waiting:
            progress = Told(up_to=known.id, since=progress.since)
        elif known.id is not None:
            # What nobody has written yet may be older than what waits: a summary of tool results, say, whose maker
            # AutoGen does not tell it. What waits is still to come.
            progress = progress.model_copy(update={"heard": [*progress.heard[-_TAIL:], known.id]})
        self.take_told(memory, progress)

    def told(self, memory: Memory) -> Told:
        """How far the agent was told; a team's state needs it, as AutoGen keeps there what each is still to be told."""
        return self._told.get(memory.scope) or Told(since=self._since)

    def take_told(self, memory: Memory, told: Told) -> None:
        """Go on from there."""
        self._told.pop(memory.scope, None)
        self._told[memory.scope] = told
        if len(self._told) > _SCOPES_KEPT:
            del self._told[next(iter(self._told))]

    def _append_results(self, memory: Memory, message: FunctionExecutionResultMessage) -> None:
        history = memory.history(self.session_id)
        known = _results(history.messages(_TAIL))
        results = [said for said in to_neutral(message) if (said.tool_call_id, said.text) not in known]
        if results:
            history.append(results)

    def _waiting(self, told: Told, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """What others said that this agent is still to be told."""
        place = {said.id: position for position, said in enumerate(stored, 1)}
        start = place.get(told.up_to)
        if start is None:
            spoken = (position for position, said in enumerate(stored, 1) if self._is_own(said))
            fresh = (position for position, said in enumerate(stored) if _time(said) >= told.since)
            start = max(max(spoken, default=0), next(fresh, len(stored)))
        # What another program wrote into the session lies before anything that this team is told.
        foreign = (position for position, said in enumerate(stored, 1) if not _is_autogens(said))
        start = max(start, max(foreign, default=0))
        return [
            said
            for said in stored[start:]
            if said.role != "tool" and not self._is_own(said) and said.id not in told.heard
        ]

    def view(self, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The session as this agent's model is to see it: others' words as AutoGen tells them, others' work not."""
        seen: list[ChatMessage] = []
        calls: set[str] = set()
        for said in stored:
            if said.role == "assistant":
                shown = self._seen(said)
                # Ids come back: some clients number the calls from nought, each for itself.
                calls -= {call.id for call in said.tool_calls}
                if shown is None:
                    continue
                calls |= {call.id for call in shown.tool_calls}
                seen.append(shown)
            elif said.role != "tool" or said.tool_call_id in calls or not _is_autogens(said):
                seen.append(said)
        return seen

    def _seen(self, said: ChatMessage) -> ChatMessage | None:
        own = self._is_own(said)
        if _was_heard(said):
            # What an agent said of its own work (a summary of tool results) AutoGen does not tell that agent.
            return None if own else dataclasses.replace(said, role="user")
        if own or self.agent_name in cast("list[str]", (said.native or {}).get(_TOLD, [])):
            return said
        if said.name is None and not _is_autogens(said):
            return said  # an assistant of another framework, whose part this agent carries on
        if said.tool_calls:
            return None
        return dataclasses.replace(said, role="user", name=said.name or "assistant", native=None)

    def _is_own(self, said: ChatMessage) -> bool:
        return said.role == "assistant" and (said.name or "assistant") == self.agent_name and _is_autogens(said)


def _results(stored: Sequence[ChatMessage]) -> set[tuple[str | None, str]]:
    """The results of the latest call of each id: ids come back with clients that number the calls from nought."""
    known: set[tuple[str | None, str]] = set()
    for said in stored:
        for call in said.tool_calls:
            known = {result for result in known if result[0] != call.id}
        if said.role == "tool" and said.tool_call_id:
            known.add((said.tool_call_id, said.text))
    return known


def _is_autogens(said: ChatMessage) -> bool:
    return (said.native or {}).get("framework") == FRAMEWORK


def _was_heard(said: ChatMessage) -> bool:
    """Whether it was not its speaker who appended it, but an agent that AutoGen told it."""
    if not _is_autogens(said):
        return False
    return cast("dict[str, Any]", (said.native or {}).get("message", {})).get("type") == "UserMessage"


def _is_same(said: ChatMessage, told: ChatMessage) -> bool:
    if said.role != told.role or (said.name or said.role) != (told.name or told.role):
        return False
    if told.tool_calls:
        return {call.id for call in told.tool_calls} <= {call.id for call in said.tool_calls}
    if said.tool_calls and _was_heard(told):
        return False
    written = _json(told)
    return said.content == told.content or (written is not None and _json(said) == written)


def _json(said: ChatMessage) -> Any:
    """An object that a model wrote: AutoGen tells it to others in its own spelling."""
    if not isinstance(said.content, str) or not said.content.startswith("{"):
        return None
    try:
        return json.loads(said.content)
    except (ValueError, RecursionError):
        return None


def _time(said: ChatMessage) -> datetime:
    return said.created_at or datetime.min.replace(tzinfo=timezone.utc)


def _unanswered(stored: Sequence[ChatMessage]) -> Sequence[ChatMessage]:
    start = max((place for place, said in enumerate(stored, 1) if said.role != "user"), default=0)
    return stored[start:]

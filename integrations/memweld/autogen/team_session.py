"""One session for all agents of a team: it holds each message once, and each agent has its view."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, UserMessage
from cachetools import LRUCache

from ..adapters.locks import lock_for
from ..adapters.messages import append_fitting, fit_message, read_native
from ..memory.memory import Memory
from ..models import ChatMessage
from ..scope import Scope
from .messages import FRAMEWORK, to_neutral
from .session import MAX_SCOPES, AgentSession, Delivery, unanswered

__all__ = ["TeamSession"]

_TAIL = 500
_DELIVERED_TO = "delivered_to"


class TeamSession(AgentSession):
    """The session of a team as one of its agents writes and reads it.

    AutoGen delivers to each agent the messages of the others and the user, without ids. So the session looks for each
    among those that came since the last delivery to this agent, and appends it only if no other agent has appended it.
    An agent's own context appends the agent's words.

    Args:
        session_id: Its id.
        user_names: The message sources that are the end user.
        agent_name: The agent.
    """

    def __init__(self, session_id: str, user_names: Sequence[str], agent_name: str) -> None:
        super().__init__(session_id, user_names)
        self.agent_name = agent_name
        self._since = datetime.now(timezone.utc) - timedelta(milliseconds=1)
        self._deliveries: LRUCache[Scope, Delivery] = LRUCache(MAX_SCOPES)

    def append(self, memory: Memory, message: LLMMessage) -> None:
        """Append a message, unless the session has it already."""
        with lock_for((memory, self.session_id)):  # of two agents that get the same at once, one comes first
            match message:
                case AssistantMessage() if message.source == self.agent_name:
                    append_fitting(memory.history(self.session_id), to_neutral(message))
                case UserMessage() | AssistantMessage():
                    self._deliver(memory, message)
                case FunctionExecutionResultMessage():
                    self._append_results(memory, message)
                case _:
                    super().append(memory, message)

    def _deliver(self, memory: Memory, message: UserMessage | AssistantMessage) -> None:
        history = memory.history(self.session_id)
        stored = history.messages(_TAIL)
        delivered = fit_message(to_neutral(message)[0])  # as the session has it
        if isinstance(message, UserMessage) and not self.is_user(delivered):
            # Another agent's words are that agent's, although AutoGen hands them over as a user's.
            delivered = dataclasses.replace(delivered, role="assistant")
        delivery = self.delivery(memory)
        waiting = self._waiting(delivery, stored)
        known = found = next((one for one in waiting if _is_same(one, delivered)), None)
        if known is None and self.is_user(delivered):
            # The end user repeating what stands unanswered is a retry.
            known = next((one for one in unanswered(stored) if _is_same(one, delivered)), None)
        if known is None or isinstance(message, AssistantMessage):
            # With a handoff AutoGen shows an agent the other's tool calls, which agents do not see else.
            known = known or delivered
            native: dict[str, Any] = dict(known.native or {})
            if isinstance(message, AssistantMessage):
                native[_DELIVERED_TO] = [*native.get(_DELIVERED_TO, []), self.agent_name]
            known = append_fitting(history, [dataclasses.replace(known, native=native or None)])[0]
        if found is not None or not waiting:
            delivery = Delivery(up_to=known.id, since=delivery.since)
        elif known.id is not None:
            # A message that no agent has written yet may be older than those that wait: a summary of tool results,
            # say, which AutoGen does not tell its maker. Those that wait are still to come.
            delivery = delivery.model_copy(update={"beyond": [*delivery.beyond[-_TAIL:], known.id]})
        self.set_delivery(memory, delivery)

    def delivery(self, memory: Memory) -> Delivery:
        """How far AutoGen has delivered; a team's state has it beside AutoGen's list of those still to come."""
        with self._lock:
            return self._deliveries.get(memory.scope) or Delivery(since=self._since)

    def set_delivery(self, memory: Memory, delivery: Delivery) -> None:
        """Go on from there."""
        with self._lock:
            self._deliveries[memory.scope] = delivery

    def _append_results(self, memory: Memory, message: FunctionExecutionResultMessage) -> None:
        history = memory.history(self.session_id)
        known = _results(history.messages(_TAIL))
        results = map(fit_message, to_neutral(message))
        append_fitting(history, [one for one in results if (one.tool_call_id, one.text) not in known])

    def _waiting(self, delivery: Delivery, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The messages of others that AutoGen is still to deliver to this agent."""
        place = {message.id: position for position, message in enumerate(stored, 1)}
        start = place.get(delivery.up_to)
        if start is None:
            own = (position for position, message in enumerate(stored, 1) if self._is_own(message))
            fresh = (position for position, message in enumerate(stored) if _time(message) >= delivery.since)
            start = max(max(own, default=0), next(fresh, len(stored)))
        # Another program wrote its messages into the session before AutoGen delivers any to this team.
        foreign = (position for position, message in enumerate(stored, 1) if not _is_autogens(message))
        start = max(start, max(foreign, default=0))
        return [
            message
            for message in stored[start:]
            if message.role != "tool" and not self._is_own(message) and message.id not in delivery.beyond
        ]

    def view(self, stored: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The session from the agent's side: others' words as AutoGen tells them, their tool calls not."""
        visible: list[ChatMessage] = []
        calls: set[str] = set()
        for message in stored:
            if message.role == "assistant":
                shown = self._shown(message)
                # Ids come back: some clients number the calls from nought, each for itself.
                calls -= {call.id for call in message.tool_calls}
                if shown is None:
                    continue
                calls |= {call.id for call in shown.tool_calls}
                visible.append(shown)
            elif message.role != "tool" or message.tool_call_id in calls or not _is_autogens(message):
                visible.append(message)
        return visible

    def _shown(self, message: ChatMessage) -> ChatMessage | None:
        own = self._is_own(message)
        if _was_delivered(message):
            # AutoGen does not tell an agent its own summary of tool results.
            return None if own else dataclasses.replace(message, role="user")
        if own or self.agent_name in cast("list[str]", (message.native or {}).get(_DELIVERED_TO, [])):
            return message
        if message.name is None and not _is_autogens(message):
            return message  # an assistant of another framework, whose part this agent carries on
        if message.tool_calls:
            return None
        return dataclasses.replace(message, role="user", name=message.name or "assistant", native=None)

    def _is_own(self, message: ChatMessage) -> bool:
        name = message.name or "assistant"
        return message.role == "assistant" and name == self.agent_name and _is_autogens(message)


def _results(stored: Sequence[ChatMessage]) -> set[tuple[str | None, str]]:
    """The results of the latest call of each id: ids come back with clients that number the calls from nought."""
    known: set[tuple[str | None, str]] = set()
    for message in stored:
        for call in message.tool_calls:
            known = {result for result in known if result[0] != call.id}
        if message.role == "tool" and message.tool_call_id:
            known.add((message.tool_call_id, message.text))
    return known


def _is_autogens(message: ChatMessage) -> bool:
    return (message.native or {}).get("framework") == FRAMEWORK


def _was_delivered(message: ChatMessage) -> bool:
    """Whether an agent appended it to which AutoGen delivered it, and not its speaker."""
    return (read_native(message, FRAMEWORK) or {}).get("type") == "UserMessage"


def _is_same(one: ChatMessage, delivered: ChatMessage) -> bool:
    if one.role != delivered.role or (one.name or one.role) != (delivered.name or delivered.role):
        return False
    if delivered.tool_calls:
        return {call.id for call in delivered.tool_calls} <= {call.id for call in one.tool_calls}
    if one.tool_calls and _was_delivered(delivered):
        return False
    written = _json(delivered)
    return one.content == delivered.content or (written is not None and _json(one) == written)


def _json(message: ChatMessage) -> Any:
    """An object that a model wrote: AutoGen tells it to others in its own spelling."""
    if not isinstance(message.content, str) or not message.content.startswith("{"):
        return None
    try:
        return json.loads(message.content)
    except (ValueError, RecursionError):
        return None


def _time(message: ChatMessage) -> datetime:
    return message.created_at or datetime.min.replace(tzinfo=timezone.utc)

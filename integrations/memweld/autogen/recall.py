"""Recall, once a turn: what was found for the turn of each scope, and how a context shows it without keeping it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import LLMMessage, SystemMessage, UserMessage

from ..adapters.failures import OnError, tolerate, validate_on_error
from ..errors import MemweldError
from ..memory.memory import Memory
from ..memory.recall import QUERY_CHARACTERS, recall_block
from ..models import Hit
from ..scope import Scope
from ..validation import MAX_LIMIT, validate_limit

__all__ = ["USER_NAMES", "Recalled", "Recaller", "last_said", "show_recall", "text_of"]

USER_NAMES = ("user", "user_proxy")
"""The sources of AutoGen messages that are the end user; in a team, other agents' words come as user messages too."""

_SCOPES_KEPT = 1_024
_SPARE = 20
_logger = logging.getLogger("memweld.autogen")


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was found for a turn, and the block that shows it to a model."""

    hits: Sequence[Hit] = ()
    block: str = ""


class Recaller:
    """Searches once for a turn and remembers the result for its further steps, separately for each scope.

    Args:
        limit: How many memories at most.
        budget: How many characters of them at most.
        on_error: Whether a failing store is logged or raised.
    """

    def __init__(self, *, limit: int, budget: int, on_error: OnError) -> None:
        self.limit = validate_limit(limit)
        self.budget = validate_limit(budget, name="budget", maximum=10_000_000)
        self.on_error: OnError = validate_on_error(on_error)
        self._latest: dict[Scope, tuple[object, Recalled]] = {}
        self._lock = threading.Lock()

    async def recall(self, memory: Memory, query: str, turn: object, messages: Sequence[LLMMessage]) -> Recalled:
        """Find what fits the query.

        Args:
            memory: Whose memory.
            query: What the user said; of a long text the end is searched for. Blank text finds nothing.
            turn: What names the turn: with the value of the last call for this scope, its result comes back.
            messages: What the model is shown anyway: what the user says in them is not recalled beside it.

        Raises:
            BackendUnavailableError: With ``on_error="raise"``.
        """
        known = self._latest.get(memory.scope)
        if known is not None and known[0] == turn:
            return known[1]
        recalled = await self.find(memory, query, messages)
        with self._lock:
            # The latest goes to the end, so that the scope that was silent longest is dropped first.
            self._latest.pop(memory.scope, None)
            self._latest[memory.scope] = (turn, recalled)
            if len(self._latest) > _SCOPES_KEPT:
                del self._latest[next(iter(self._latest))]
        return recalled

    async def find(self, memory: Memory, query: str, messages: Sequence[LLMMessage]) -> Recalled:
        """Search anew, whatever the turn.

        Raises:
            BackendUnavailableError: With ``on_error="raise"``.
        """
        query = query.replace("\x00", " ").strip()
        if not query:
            return Recalled()
        shown = {text_of(message).strip() for message in messages if isinstance(message, UserMessage)}
        limit = min(self.limit + min(len(shown), _SPARE), MAX_LIMIT)
        try:
            found = await memory.aio.search(query[-QUERY_CHARACTERS:], limit=limit)
        except MemweldError as error:
            tolerate(error, "Nothing was recalled for this turn", self.on_error, _logger)
            return Recalled()
        hits = [hit for hit in found if hit.text not in shown][: self.limit]
        return Recalled(hits, recall_block(hits, budget=self.budget))


def text_of(message: UserMessage) -> str:
    """The text of a user message; images are left out."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(part for part in message.content if isinstance(part, str))


def last_said(messages: Sequence[LLMMessage], user_names: Iterable[str]) -> str:
    """The text of the user's last message; where there is none, of the last message to the agent."""
    said = [message for message in messages if isinstance(message, UserMessage)]
    names = set(user_names)
    theirs = [message for message in said if message.source in names]
    return text_of((theirs or said)[-1]) if said else ""


class Shows(Protocol):
    """Something that has blocks to show, each for one scope."""

    def scope_now(self) -> Scope | None:
        """Whose block to show now; None if no user is known."""
        ...


class _RecallView:
    """Stands in for one context's ``get_messages``: the blocks first, as one system message, then what it holds.

    AutoGen 0.7.5 gives a Memory only ``add_message`` to speak with. What is added that way stays: it piles up turn by
    turn, is saved with the agent's state, and as a system message behind others is refused by Anthropic's client. A
    view on the instance is seen by the model and kept nowhere.
    """

    def __init__(self, context: ChatCompletionContext) -> None:
        self.context = context
        self._blocks: dict[Shows, dict[Scope, str]] = {}

    def put(self, memory: Shows, scope: Scope, block: str) -> None:
        blocks = self._blocks.setdefault(memory, {})
        # The latest goes to the end, so that the scope that was silent longest is dropped first.
        blocks.pop(scope, None)
        blocks[scope] = block
        if len(blocks) > _SCOPES_KEPT:
            del blocks[next(iter(blocks))]

    async def __call__(self) -> list[LLMMessage]:
        messages = await type(self.context).get_messages(self.context)
        blocks = dict.fromkeys(block for memory in self._blocks if (block := self._block(memory)))
        return [SystemMessage(content="\n\n".join(blocks)), *messages] if blocks else messages

    def _block(self, memory: Shows) -> str:
        scope = memory.scope_now()
        return "" if scope is None else self._blocks[memory].get(scope, "")


def show_recall(context: ChatCompletionContext, memory: Shows, scope: Scope, block: str) -> None:
    """Let a context show this block in front of its messages, to this scope, until the memory's next one.

    Each context keeps its own blocks, so that one memory may serve many agents, each in its own turn.
    """
    attributes: dict[str, Any] = vars(context)
    view = attributes.get("get_messages")
    if not isinstance(view, _RecallView):
        view = _RecallView(context)
        attributes["get_messages"] = view
    view.put(memory, scope, block)

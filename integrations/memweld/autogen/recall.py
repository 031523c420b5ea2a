"""How a context of AutoGen shows a recalled block to a model without keeping it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from cachetools import LRUCache

from ..adapters.recall import RecallResult
from ..scope import Scope

__all__ = ["own_messages", "show_recall", "with_block"]

_MAX_SCOPES = 1_024


class RecallSource(Protocol):
    """A memory that has blocks to show, one for each scope."""

    def current_scope(self) -> Scope | None:
        """The scope whose block is shown now; None if no user is known."""
        ...


class _RecallView:
    """Replaces one context's ``get_messages``: shows the blocks in the user's last message.

    AutoGen 0.7.5 lets a Memory speak only through ``add_message``. An added message stays: such messages pile up turn
    by turn and are saved with the agent's state. Anthropic's client refuses a system message after other messages. So
    the model sees a view of the context, and the context stores no block.
    """

    def __init__(self, context: ChatCompletionContext) -> None:
        self.context = context
        self._recalled: dict[RecallSource, LRUCache[Scope, RecallResult]] = {}
        self._lock = threading.Lock()  # event loops of several threads may share a context

    async def __call__(self) -> list[LLMMessage]:
        messages = await own_messages(self.context)
        with self._lock:
            scopes = [(memory.current_scope(), recalled) for memory, recalled in self._recalled.items()]
            shown = [found for scope, recalled in scopes if scope and (found := recalled.get(scope))]
        blocks = dict.fromkeys(each.block for each in shown if each.block)
        profiles = dict.fromkeys(each.profile for each in shown if each.profile)
        return with_block(messages, "\n\n".join(blocks), "\n\n".join(profiles))

    def show(self, memory: RecallSource, scope: Scope, recalled: RecallResult) -> None:
        """Show the scope what the memory has recalled, from now on."""
        with self._lock:
            self._recalled.setdefault(memory, LRUCache(_MAX_SCOPES))[scope] = recalled


async def own_messages(context: ChatCompletionContext) -> list[LLMMessage]:
    """The messages of a context, without the blocks that it shows."""
    if isinstance(vars(context).get("get_messages"), _RecallView):
        return await type(context).get_messages(context)
    return await context.get_messages()


def with_block(messages: Sequence[LLMMessage], block: str, profile: str = "") -> list[LLMMessage]:
    """The messages with a recalled block before the words of the last user message, or in front if there is none.

    A profile comes first, next to the agent's own system messages: providers take several if no other message separates
    them. The block comes after everything that stays the same from turn to turn, which a provider can then cache.
    """
    shown = [SystemMessage(content=profile), *messages] if profile else list(messages)
    if not block:
        return shown
    for place in range(len(shown) - 1, -1, -1):
        message = shown[place]
        if isinstance(message, UserMessage):
            content = message.content
            text = f"{block}\n\n{content}" if isinstance(content, str) else [block, *content]
            shown[place] = message.model_copy(update={"content": text})
            return shown
    return [SystemMessage(content=block), *shown]


def show_recall(context: ChatCompletionContext, memory: RecallSource, scope: Scope, recalled: RecallResult) -> None:
    """Let a context show this to the scope, until the memory's next recall: the block in the user's last message.

    Each context keeps its own blocks, so that one memory serves many agents, each in its own turn.
    """
    attributes: dict[str, Any] = vars(context)
    view = attributes.get("get_messages")
    if not isinstance(view, _RecallView):
        view = _RecallView(context)
        attributes["get_messages"] = view
    view.show(memory, scope, recalled)

"""How a context of AutoGen shows a recalled block to a model without keeping it."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import LLMMessage, SystemMessage
from cachetools import LRUCache

from ..scope import Scope

__all__ = ["show_recall"]

_MAX_SCOPES = 1_024


class RecallSource(Protocol):
    """A memory that has blocks to show, one for each scope."""

    def current_scope(self) -> Scope | None:
        """The scope whose block is shown now; None if no user is known."""
        ...


class _RecallView:
    """Stands in for one context's ``get_messages``: the blocks first, as one system message, then its messages.

    AutoGen 0.7.5 gives a Memory only ``add_message`` to speak with. A message that is added stays: it piles up turn by
    turn, is saved with the agent's state, and Anthropic's client refuses it as a system message behind others. The
    model sees a view on the instance, and nothing keeps it.
    """

    def __init__(self, context: ChatCompletionContext) -> None:
        self.context = context
        self._blocks: dict[RecallSource, LRUCache[Scope, str]] = {}
        self._lock = threading.Lock()  # event loops of several threads may share a context

    async def __call__(self) -> list[LLMMessage]:
        messages = await type(self.context).get_messages(self.context)
        with self._lock:
            scopes = [(memory.current_scope(), blocks) for memory, blocks in self._blocks.items()]
            shown = dict.fromkeys(block for scope, blocks in scopes if scope and (block := blocks.get(scope)))
        return [SystemMessage(content="\n\n".join(shown)), *messages] if shown else messages

    def show(self, memory: RecallSource, scope: Scope, block: str) -> None:
        """Show this block of the memory to the scope from now on."""
        with self._lock:
            self._blocks.setdefault(memory, LRUCache(_MAX_SCOPES))[scope] = block


def show_recall(context: ChatCompletionContext, memory: RecallSource, scope: Scope, block: str) -> None:
    """Let a context show this block in front of its messages, to this scope, until the memory's next one.

    Each context keeps its own blocks, so that one memory serves many agents, each in its own turn.
    """
    attributes: dict[str, Any] = vars(context)
    view = attributes.get("get_messages")
    if not isinstance(view, _RecallView):
        view = _RecallView(context)
        attributes["get_messages"] = view
    view.show(memory, scope, block)

"""MemweldRecall: an assembly policy that puts what fits the user's message before its words, and nowhere else."""

from __future__ import annotations

import copy
import logging

from ag2.context import ConversationContext
from ag2.events import BaseEvent, ModelRequest, ModelResponse, TextInput, ToolResultsEvent
from typing_extensions import Unpack

from ..adapters.binding import MemorySource, validate_source
from ..adapters.failures import FailurePolicy
from ..adapters.options import RecallKeywords, TurnOptions, shows_options
from ..adapters.recall import TurnRecall
from .binding import USER_VARIABLE, memory_of_turn
from .content import text_of
from .storage import MemweldStorage

__all__ = ["MemweldRecall"]

# AG2's dumps leave out what begins with an underscore.
_SPOKEN = "_memweld_spoken"
_logger = logging.getLogger("memweld.ag2")


class MemweldRecall:
    """An ``AssemblyPolicy``: ``Agent(assembly=[MemweldRecall(backend), …])``.

    It searches once for a message of the user and adds the block, marked as data, to this message in each model call of
    the turn: behind all that stays the same from turn to turn, so that it remains in a provider's cache. Neither the
    stream nor its history holds the block. Policies that reduce the events come before it. With ``profile`` the user's
    profile is a further prompt.

    Args:
        memory: A memory; or a backend, then each turn names its user.
        user_variable: The variable that names the user of a backend; None for `memweld.user_scope` alone.
        options: ``recall_limit``, ``recall_budget``, ``min_score``, ``recency``, ``kinds``, ``sources``, ``profile``
            and ``on_error`` of `memweld.adapters.options.TurnOptions`.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    name = "memweld_recall"

    @shows_options(RecallKeywords)
    def __init__(
        self, memory: MemorySource, *, user_variable: str | None = USER_VARIABLE, **options: Unpack[RecallKeywords]
    ) -> None:
        self._source = validate_source(memory)
        self._variable = user_variable
        turn_options = TurnOptions(**options)
        self._recall = TurnRecall(turn_options, FailurePolicy(turn_options.on_error, _logger))

    async def apply(
        self, prompts: list[str], events: list[BaseEvent], context: ConversationContext
    ) -> tuple[list[str], list[BaseEvent]]:
        """Add what is remembered to the user's message.

        Raises:
            ConfigurationError: No user is known.
            MemweldError: The memory fails and ``on_error`` is ``raise``.
        """
        memory = memory_of_turn(self._source, context, self._variable)
        request = next((event for event in reversed(events) if isinstance(event, ModelRequest)), None)
        if request is None:
            return prompts, events
        # Another recall may have added a block to the user's words, which is no question.
        spoken: ModelRequest = vars(request).get(_SPOKEN, request)
        text, storage = text_of(spoken.parts), context.stream.history.storage
        recalled = await self._recall.recall_async(
            memory,
            text,
            session_id=storage.session_of(context.stream.id) if isinstance(storage, MemweldStorage) else None,
            shown=list(filter(None, map(_text, events))),
            turn=(request.created_at, text),
            place=context.stream.id,
        )
        if recalled.profile:
            prompts = [*prompts, recalled.profile]
        if not recalled.block:
            return prompts, events
        shown = copy.copy(request)
        shown.parts = [TextInput(recalled.block), *request.parts]
        vars(shown)[_SPOKEN] = spoken
        return prompts, [shown if event is request else event for event in events]


def _text(event: BaseEvent) -> str:
    match event:
        case ModelRequest():
            return text_of(event.parts)
        case ModelResponse():
            return event.content or ""
        case ToolResultsEvent():
            return "\n".join(text_of(result.result.parts) for result in event.results)
        case _:
            return ""

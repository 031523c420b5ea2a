"""MemweldMemory: AutoGen's Memory protocol, for ``AssistantAgent(memory=[…])``."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from autogen_core import CancellationToken, Component
from autogen_core.memory import Memory as AutoGenMemory
from autogen_core.memory import MemoryContent, MemoryMimeType, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import LLMMessage, SystemMessage, UserMessage
from pydantic import Field
from typing_extensions import Self, Unpack

from ..adapters.binding import resolve_memory, validate_source
from ..adapters.capture import TurnCapture
from ..adapters.failures import FailurePolicy
from ..adapters.options import MemoryKeywords, TurnOptions, shows_options
from ..adapters.recall import RecallResult, TurnRecall
from ..adapters.saved_config import SavedMemory
from ..errors import ConfigurationError, invalid
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..models import JSON, ChatMessage, Hit
from ..scope import Scope
from ..tools import item_data
from ..validation import dump_json
from .capture import USER_NAMES, capture_once
from .context import MemweldChatCompletionContext
from .messages import text_of
from .recall import own_messages, show_recall

__all__ = ["MemweldMemory", "cancellable"]

T = TypeVar("T")

_QUERY_OPTIONS = {
    "limit", "kinds", "sources", "filters", "min_score", "recency", "session_id", "after", "before", "as_of",
    "include_inactive",
}  # fmt: skip
_MIME_TYPE = "mime_type"
_logger = logging.getLogger("memweld.autogen")


class MemweldMemoryConfig(SavedMemory):
    """The config of a `MemweldMemory`."""

    user_names: tuple[str, ...] = USER_NAMES
    options: dict[str, JSON] = Field(default_factory=dict[str, JSON])


class MemweldMemory(AutoGenMemory, Component[MemweldMemoryConfig]):
    """A user's memory as AutoGen's ``Memory``: recall before each turn, capture of what the user says in it.

    AutoGen calls `update_context` when a run begins: then it recalls, and then it captures, before the model is asked.
    With an LLM that extracts facts, ``capture="background"`` lets the run begin at once. Beside a
    `MemweldChatCompletionContext` the context captures in its place. `query`, `add` and `clear` are for your own code.

    Args:
        memory: The memory of a user, or a backend; with a backend each call works for the user of
            `memweld.user_scope`.
        user_names: The message sources that are the end user. Their last message is the query of the recall. Other
            agents of a team speak in user messages too; their words are not captured.
        options: The options of `TurnOptions`: ``recall_limit``, ``recall_budget``, ``min_score``, ``recency``,
            ``kinds``, ``sources``, ``profile``, ``capture``, ``infer``, ``on_error``. With ``on_error="warn"`` failures
            go to the log ``memweld.autogen``. A user that is not known ends a run always.

    Raises:
        InvalidInputError: ``memory`` is neither a memory nor a backend, or an option breaks a rule.
    """

    component_config_schema = MemweldMemoryConfig
    component_provider_override = "memweld.autogen.MemweldMemory"

    @shows_options(MemoryKeywords)
    def __init__(
        self, memory: Memory | Backend, *, user_names: Sequence[str] = USER_NAMES, **options: Unpack[MemoryKeywords]
    ) -> None:
        self._source = validate_source(memory)
        self._user_names = tuple(user_names)
        self._options = TurnOptions(**options)
        failures = FailurePolicy(self._options.on_error, _logger)
        self._recall = TurnRecall(self._options, failures)
        self._capture = TurnCapture(self._options, failures)

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Recall what fits the user's last message, let the context show it there, and capture.

        Nothing is added to the context, so nothing piles up over turns or is saved with the agent's state. A
        `MemweldChatCompletionContext` that recalls from the same memory shows the block itself, once.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: With ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        is_ours = isinstance(model_context, MemweldChatCompletionContext)
        recalled = await model_context.recall_beside(memory) if is_ours else None
        if recalled is None:
            messages = await (model_context.session_messages() if is_ours else own_messages(model_context))
            recalled = await self._recalled(memory, messages)
            show_recall(model_context, self, memory.scope, recalled)
            if not is_ours:
                await capture_once(self._capture, memory, None, self._unanswered(messages))
        return UpdateContextResult(memories=MemoryQueryResult(results=[self._content(hit) for hit in recalled.hits]))

    async def _recalled(self, memory: Memory, messages: Sequence[LLMMessage]) -> RecallResult:
        spoken = [message for message in messages if isinstance(message, UserMessage)]
        theirs = [message for message in spoken if message.source in self._user_names] or spoken
        question = text_of(theirs[-1]) if theirs else ""
        return await self._recall.recall_async(memory, question, shown=[text_of(message) for message in spoken])

    def _unanswered(self, messages: Sequence[LLMMessage]) -> list[ChatMessage]:
        """The user's last words, if no answer follows them."""
        answers = (place for place, one in enumerate(messages, 1) if not isinstance(one, (UserMessage, SystemMessage)))
        return [
            ChatMessage(role="user", content=text_of(message))
            for message in messages[max(answers, default=0) :]
            if isinstance(message, UserMessage) and message.source in self._user_names
        ]

    def current_scope(self) -> Scope | None:
        """The scope of the memory at this moment; None if no user is known."""
        try:
            return resolve_memory(self._source).scope
        except ConfigurationError:
            return None

    async def query(
        self,
        query: str | MemoryContent,
        cancellation_token: CancellationToken | None = None,
        **kwargs: Any,
    ) -> MemoryQueryResult:
        """Find memories.

        Args:
            query: A question or some words.
            cancellation_token: Cancels the waiting.
            kwargs: ``limit``, ``kinds``, ``sources``, ``filters``, ``min_score``, ``recency``, ``session_id``,
                ``after``, ``before``, ``as_of`` and ``include_inactive`` as in `memweld.Memory.search`.

        Returns:
            The memories as they were added, best first; ``metadata`` has your own keys, and beside them id, score,
            kind and times.

        Raises:
            InvalidInputError: The query is no text, or another keyword was given (``user_id`` among them).
        """
        if unknown := sorted(set(kwargs) - _QUERY_OPTIONS):
            rule = f"query takes {', '.join(sorted(_QUERY_OPTIONS))}"
            raise invalid("argument", unknown[0], rule, "Leave it out.")
        # Your own code sees everything that it asks for; a floor by default is for what a model is shown.
        defaults = {"limit": self._options.recall_limit or 1, "min_score": self._options.min_score, "sources": None}
        options: dict[str, Any] = {**self._options.search, **defaults, **kwargs}
        search = resolve_memory(self._source).aio.search(_text(query), **options)
        return MemoryQueryResult(results=[self._content(hit) for hit in await cancellable(search, cancellation_token)])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Remember a text or a JSON object, with its metadata.

        Raises:
            InvalidInputError: It is an image or binary, or its metadata is no JSON.
        """
        metadata, text = dict(content.metadata or {}), _text(content)
        mime_type = content.mime_type.value if isinstance(content.mime_type, MemoryMimeType) else content.mime_type
        if mime_type != MemoryMimeType.TEXT.value:
            metadata.setdefault(_MIME_TYPE, mime_type)
        # From an object an LLM would extract other words than the program put in.
        infer = False if isinstance(content.content, dict) else None
        adding = resolve_memory(self._source).aio.add(text, metadata=metadata or None, infer=infer)
        await cancellable(adding, cancellation_token)

    async def clear(self) -> None:
        """Delete all memories of the user: facts, preferences and task outcomes. Histories stay."""
        await resolve_memory(self._source).aio.clear()

    async def close(self) -> None:
        """Do nothing: the program that opened the backend closes it."""

    def _content(self, hit: Hit) -> MemoryContent:
        data = {key: value for key, value in item_data(hit).items() if key not in ("text", "user_id", "metadata")}
        content, mime_type = _stored_content(hit)
        return MemoryContent(content=content, mime_type=mime_type, metadata={**data, **hit.metadata})

    def _to_config(self) -> MemweldMemoryConfig:
        return MemweldMemoryConfig.of(
            self._source, in_process=False, user_names=self._user_names, options=self._options.dump()
        )

    @classmethod
    def _from_config(cls, config: MemweldMemoryConfig) -> Self:
        options = dataclasses.asdict(TurnOptions.load(config.options))
        return cls(config.load(), user_names=config.user_names, **options)


async def cancellable(call: Coroutine[Any, Any, T], token: CancellationToken | None) -> T:
    """The call's result.

    Raises:
        asyncio.CancelledError: The token was cancelled. The thread finishes the work that it has begun.
    """
    running = asyncio.ensure_future(call)
    if token is not None:
        token.link_future(running)
    return await running


def _text(content: str | MemoryContent) -> str:
    value = content.content if isinstance(content, MemoryContent) else content
    if isinstance(value, dict):
        return dump_json(value)
    if not isinstance(value, str):
        rule = f"memory keeps text and JSON objects, not {type(value).__name__}"
        raise invalid("content", value, rule, "Describe it in words.")
    return value


def _stored_content(hit: Hit) -> tuple[str | dict[str, Any], MemoryMimeType]:
    """The content as it was added; the text, where its type is not known or no longer fits."""
    try:
        mime_type = MemoryMimeType(hit.metadata.get(_MIME_TYPE, MemoryMimeType.TEXT))
        return json.loads(hit.text) if mime_type is MemoryMimeType.JSON else hit.text, mime_type
    except ValueError:
        return hit.text, MemoryMimeType.TEXT

"""MemweldMemory: AutoGen's Memory protocol, for ``AssistantAgent(memory=[…])``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autogen_core import CancellationToken, Component
from autogen_core.memory import Memory as AutoGenMemory
from autogen_core.memory import MemoryContent, MemoryMimeType, MemoryQueryResult, UpdateContextResult
from autogen_core.model_context import ChatCompletionContext
from typing_extensions import Self

from ..adapters.binding import resolve_memory, validate_source
from ..adapters.failures import OnError
from ..adapters.saved_config import SavedMemory
from ..errors import ConfigurationError, invalid
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET
from ..models import Hit
from ..scope import Scope
from ..tools import item_data
from ..validation import dump_json
from .cancellation import awaited
from .context import MemweldChatCompletionContext
from .recall import USER_NAMES, Recaller, last_said, show_recall

__all__ = ["MemweldMemory"]

_OPTIONS = {"limit", "kinds", "filters"}


class MemweldMemoryConfig(SavedMemory):
    """The config of a `MemweldMemory`."""

    limit: int = 5
    budget: int = DEFAULT_BUDGET
    user_names: tuple[str, ...] = USER_NAMES
    on_error: OnError = "warn"


class MemweldMemory(AutoGenMemory, Component[MemweldMemoryConfig]):
    """A user's memory as AutoGen's ``Memory``: recall before each turn, and query, add and clear for your own code.

    AutoGen never calls `add` by itself: this class reads. `MemweldChatCompletionContext` also captures.

    Args:
        memory: The memory of a user, or a backend; with a backend each call works for the user of
            `memweld.user_scope`.
        limit: How many memories at most a turn recalls.
        budget: How many characters of them at most.
        user_names: The message sources that are the end user. What they said last is what is searched for.
        on_error: ``warn``: where the store cannot be reached, a turn goes on without recall and the log
            ``memweld.autogen`` says so. ``raise``: the error ends the run. No known user ends it always.
    """

    component_config_schema = MemweldMemoryConfig
    component_provider_override = "memweld.autogen.MemweldMemory"

    def __init__(
        self,
        memory: Memory | Backend,
        *,
        limit: int = 5,
        budget: int = DEFAULT_BUDGET,
        user_names: Sequence[str] = USER_NAMES,
        on_error: OnError = "warn",
    ) -> None:
        self._source = validate_source(memory)
        self._recaller = Recaller(limit=limit, budget=budget, on_error=on_error)
        self._user_names = tuple(user_names)

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Recall what fits the user's last message and let the context show it in front of its messages.

        Nothing is added to the context, so nothing piles up over turns or is saved with the agent's state. A
        `MemweldChatCompletionContext` that recalls from the same memory is left alone: the block stands there once.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: With ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        if isinstance(model_context, MemweldChatCompletionContext) and model_context.recalls(memory):
            recalled = await model_context.recall()
        else:
            messages = await model_context.get_messages()
            recalled = await self._recaller.find(memory, last_said(messages, self._user_names), messages)
            show_recall(model_context, self, memory.scope, recalled.block)
        return UpdateContextResult(memories=MemoryQueryResult(results=[self._content(hit) for hit in recalled.hits]))

    def scope_now(self) -> Scope | None:
        """Whose memory it is at this moment; None if no user is known."""
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
            kwargs: ``limit``, ``kinds`` and ``filters`` as in `memweld.Memory.search`.

        Returns:
            The memories as text, best first; ``metadata`` has id, score, times and your own ``metadata``.

        Raises:
            InvalidInputError: The query is no text, or another keyword was given (``user_id`` among them).
        """
        if unknown := sorted(set(kwargs) - _OPTIONS):
            raise invalid("argument", unknown[0], f"query takes {', '.join(sorted(_OPTIONS))}", "Leave it out.")
        options: dict[str, Any] = {"limit": self._recaller.limit, **kwargs}
        hits = await awaited(resolve_memory(self._source).aio.search(_text(query), **options), cancellation_token)
        return MemoryQueryResult(results=[self._content(hit) for hit in hits])

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Remember a text or a JSON object, with its metadata.

        Raises:
            InvalidInputError: It is an image or binary, or its metadata is no JSON.
        """
        adding = resolve_memory(self._source).aio.add(_text(content), metadata=content.metadata)
        await awaited(adding, cancellation_token)

    async def clear(self) -> None:
        """Delete all memories of the user: facts, preferences and task outcomes. Histories stay."""
        await resolve_memory(self._source).aio.clear()

    async def close(self) -> None:
        """Do nothing: the backend belongs to whoever open_saved it."""

    def _content(self, hit: Hit) -> MemoryContent:
        data = {key: value for key, value in item_data(hit).items() if key not in ("text", "user_id")}
        return MemoryContent(content=hit.text, mime_type=MemoryMimeType.TEXT, metadata=data)

    def _to_config(self) -> MemweldMemoryConfig:
        return MemweldMemoryConfig(
            **SavedMemory.of(self._source, in_process=False).model_dump(),
            limit=self._recaller.limit,
            budget=self._recaller.budget,
            user_names=self._user_names,
            on_error=self._recaller.on_error,
        )

    @classmethod
    def _from_config(cls, config: MemweldMemoryConfig) -> Self:
        return cls(
            config.load(),
            limit=config.limit,
            budget=config.budget,
            user_names=config.user_names,
            on_error=config.on_error,
        )


def _text(content: str | MemoryContent) -> str:
    value = content.content if isinstance(content, MemoryContent) else content
    if isinstance(value, dict):
        return dump_json(value)
    if not isinstance(value, str):
        rule = f"memory keeps text and JSON objects, not {type(value).__name__}"
        raise invalid("content", value, rule, "Describe it in words.")
    return value

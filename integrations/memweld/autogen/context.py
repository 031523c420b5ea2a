"""MemweldChatCompletionContext: a session in memory, with recall before a model call and capture after it."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, cast

import anyio
from autogen_core import Component, ComponentModel
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import AssistantMessage, LLMMessage, UserMessage
from pydantic import Field
from typing_extensions import Self, Unpack

from ..adapters.binding import resolve_memory, validate_source
from ..adapters.capture import TurnCapture
from ..adapters.failures import FailurePolicy
from ..adapters.options import TurnKeywords, TurnOptions, shows_options
from ..adapters.recall import RecallResult, TurnRecall
from ..adapters.saved_config import SavedMemory
from ..memory.asynchronous import in_thread
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.transcript import model_window
from ..models import JSON
from ..validation import validate_key
from .capture import USER_NAMES, capture_once
from .messages import text_of, to_autogen, to_neutral
from .recall import with_block
from .session import AgentSession, Window
from .team_session import TeamSession

__all__ = ["MemweldChatCompletionContext"]

_logger = logging.getLogger("memweld.autogen")


class MemweldChatCompletionContextConfig(SavedMemory):
    """The config of a `MemweldChatCompletionContext`."""

    session_id: str
    inner: ComponentModel | None = None
    user_names: tuple[str, ...] = USER_NAMES
    agent_name: str | None = None
    keep_on_clear: bool = False
    options: dict[str, JSON] = Field(default_factory=dict[str, JSON])


class MemweldChatCompletionContext(ChatCompletionContext, Component[MemweldChatCompletionContextConfig]):
    """The model context of an agent: a session in the user's memory, resumed by its id.

    Every message goes to ``memory.history(session_id)`` at once and is read from there, so a session continues after a
    restart, on another machine, or from another framework. Before a model call the memories that fit what the user
    said last stand before its words; they are never stored. What the user says is captured as facts; an LLM extracts
    them with the model's first answer. The model sees whole exchanges, and a result for every tool call.

    Args:
        memory: The memory of a user, or a backend; with a backend each call works for the user of
            `memweld.user_scope`, and each user has a session of this id.
        session_id: The session, 1 to 512 characters. In a team give each agent its own (``"trip/writer"``), or the
            same one and its ``agent_name``.
        inner: How much of the session the model sees, in place of ``history_limit`` and ``history_budget``: any
            ``ChatCompletionContext``, for instance ``TokenLimitedChatCompletionContext``. It is a pattern: each call
            fills a copy of it with the whole session.
        user_names: The message sources that are the end user. Other agents of a team speak in user messages too; their
            words are not captured.
        agent_name: The name of the agent, for a session that all agents of a team share: it holds each message
            once, with its speaker's name, and each agent's model sees it from that agent's side. None: the session is
            this agent's alone.
        keep_on_clear: Whether `clear` leaves the session's messages where they are and only hides them from the
            model. ``MagenticOneGroupChat`` clears the contexts of its agents in every run.
        options: The options of `TurnOptions`: ``recall_limit``, ``recall_budget``, ``min_score``, ``recency``,
            ``kinds``, ``sources``, ``profile``, ``capture``, ``infer``, ``history_limit``, ``history_budget``,
            ``on_error``. With ``on_error="warn"`` failures of recall and capture go to the log ``memweld.autogen``. A
            history that cannot be read or written ends a run always, and so does a user that is not known.

    Raises:
        InvalidInputError: ``memory`` is neither a memory nor a backend, or an option breaks a rule.
    """

    component_config_schema = MemweldChatCompletionContextConfig
    component_provider_override = "memweld.autogen.MemweldChatCompletionContext"

    @shows_options(TurnKeywords)
    def __init__(
        self,
        memory: Memory | Backend,
        session_id: str,
        *,
        inner: ChatCompletionContext | None = None,
        user_names: Sequence[str] = USER_NAMES,
        agent_name: str | None = None,
        keep_on_clear: bool = False,
        **options: Unpack[TurnKeywords],
    ) -> None:
        super().__init__()
        self._source = validate_source(memory)
        session_id, self._agent_name = validate_key("session_id", session_id), agent_name
        if agent_name is None:
            self._session = AgentSession(session_id, user_names)
        else:
            self._session = TeamSession(session_id, user_names, validate_key("agent_name", agent_name))
        self._inner, self._keep_on_clear = inner, keep_on_clear
        self._options = TurnOptions(**options)
        failures = FailurePolicy(self._options.on_error, _logger)
        self._recall = TurnRecall(self._options, failures)
        self._capture = TurnCapture(self._options, failures)

    @property
    def session_id(self) -> str:
        """The session."""
        return self._session.session_id

    # the context of a model

    async def add_message(self, message: LLMMessage) -> None:
        """Append a message to the session and capture the facts of the user's; with an LLM at the first answer.

        A user message that stands unanswered at the end of the session already is a retry and is not added again.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written; capture too, with ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        try:
            if self._options.captures and isinstance(message, UserMessage) and not self._extracts(memory):
                # A run may never end.
                theirs = [one for one in to_neutral(message) if self._session.is_user(one)]
                await capture_once(self._capture, memory, self.session_id, theirs)
            elif self._options.captures and isinstance(message, AssistantMessage):
                unanswered = await in_thread(functools.partial(self._session.unanswered, memory))
                theirs = [one for one in unanswered if self._session.is_user(one)]
                await capture_once(self._capture, memory, self.session_id, theirs)
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(functools.partial(self._session.append, memory, message))

    def _extracts(self, memory: Memory) -> bool:
        """Whether an LLM makes the facts: it reads what the user said when the agent has answered."""
        return self._options.infer is not False and memory.can_extract

    async def get_messages(self) -> list[LLMMessage]:
        """The messages for the model: the session, with what is recalled before the words of the last user message.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be read; recall too, with ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        messages, window = await self._read(memory)
        recalled = await self._recalled(memory, messages, window)
        return with_block(messages, recalled.block, recalled.profile)

    async def _read(self, memory: Memory) -> tuple[list[LLMMessage], Window]:
        limit, characters = self._options.history_limit, self._options.history_budget
        if self._inner:
            limit = characters = None
        window = await in_thread(functools.partial(self._session.read, memory, limit, characters))
        messages = to_autogen(window.messages)
        if self._inner is not None:
            inner = _empty_copy(self._inner)
            for message in messages:
                await inner.add_message(message)
            chosen = [part for message in await inner.get_messages() for part in to_neutral(message)]
            messages = to_autogen(model_window(chosen, joins=False))
        return messages, window

    async def _recalled(self, memory: Memory, messages: Sequence[LLMMessage], window: Window) -> RecallResult:
        shown = [text_of(message) for message in messages if isinstance(message, UserMessage)]
        return await self._recall.recall_async(
            memory, window.question, session_id=self.session_id, shown=shown, turn=window.turn
        )

    async def clear(self) -> None:
        """Delete the session's messages; facts stay. An agent's ``on_reset`` and a team's ``reset`` call this."""
        memory = resolve_memory(self._source)
        if self._keep_on_clear:
            await in_thread(functools.partial(self._session.clear_view, memory))
        else:
            await memory.aio.history(self.session_id).clear()

    async def save_state(self) -> Mapping[str, Any]:
        """The session as JSON, without what was recalled."""
        return await in_thread(functools.partial(self._session.save, resolve_memory(self._source)))

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Fill the session from a saved state if it has no messages; a session that has some is newer and stays.

        To go back to an earlier point, load the state into a context with a new session id. States of AutoGen's own
        contexts are read too.

        Raises:
            AccessDeniedError: The state was saved for another user.
        """
        await in_thread(functools.partial(self._session.load, resolve_memory(self._source), state))

    # for a MemweldMemory beside it

    async def session_messages(self) -> list[LLMMessage]:
        """The messages for the model, without what is recalled: `MemweldMemory` asks for what the user said."""
        messages, _ = await self._read(resolve_memory(self._source))
        return messages

    async def recall_beside(self, memory: Memory) -> RecallResult | None:
        """The recall for the present turn; None if this context does not recall from the memory."""
        if self._options.recall_limit == 0 or resolve_memory(self._source) != memory:
            return None
        return await self._recalled(memory, *await self._read(memory))

    def _to_config(self) -> MemweldChatCompletionContextConfig:
        return MemweldChatCompletionContextConfig.of(
            self._source,
            in_process=False,
            session_id=self.session_id,
            inner=None if self._inner is None else self._inner.dump_component(),
            user_names=self._session.user_names,
            agent_name=self._agent_name,
            keep_on_clear=self._keep_on_clear,
            options=self._options.dump(),
        )

    @classmethod
    def _from_config(cls, config: MemweldChatCompletionContextConfig) -> Self:
        return cls(
            config.load(),
            config.session_id,
            inner=None if config.inner is None else ChatCompletionContext.load_component(config.inner),
            user_names=config.user_names,
            agent_name=config.agent_name,
            keep_on_clear=config.keep_on_clear,
            **dataclasses.asdict(TurnOptions.load(config.options)),
        )


def _empty_copy(inner: ChatCompletionContext) -> ChatCompletionContext:
    """A copy that may be filled: the original stays as its maker left it, and users never meet in it."""
    window = copy.copy(inner)
    attributes: dict[str, Any] = vars(window)
    for name, value in attributes.items():
        if isinstance(value, (list, dict, set, collections.deque)):
            attributes[name] = copy.copy(cast("Any", value))
    return window

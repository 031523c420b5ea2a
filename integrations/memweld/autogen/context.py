"""MemweldChatCompletionContext: a session kept in memory, with recall before a model call and capture after it."""

from __future__ import annotations

import collections
import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

import anyio
import anyio.to_thread
from autogen_core import Component, ComponentModel
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import AssistantMessage, LLMMessage, SystemMessage
from typing_extensions import Self

from ..adapters.binding import resolve_memory, validate_source
from ..adapters.failures import OnError
from ..adapters.saved_config import SavedMemory
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET
from ..validation import validate_key
from .recall import USER_NAMES, Recalled, Recaller
from .session import ExportedSession
from .team_session import SharedSession

__all__ = ["MemweldChatCompletionContext"]

P = ParamSpec("P")
T = TypeVar("T")


class MemweldChatCompletionContextConfig(SavedMemory):
    """The config of a `MemweldChatCompletionContext`."""

    session_id: str
    inner: ComponentModel | None = None
    recall: bool = True
    capture: bool = True
    limit: int = 5
    budget: int = DEFAULT_BUDGET
    user_names: tuple[str, ...] = USER_NAMES
    agent_name: str | None = None
    keep_on_clear: bool = False
    on_error: OnError = "warn"


class MemweldChatCompletionContext(ChatCompletionContext, Component[MemweldChatCompletionContextConfig]):
    """The model context of an agent, kept as a session in the user's memory and resumed by its id.

    Every message goes to ``memory.history(session_id)`` at once and is read from there, so a session continues after a
    restart, on another machine, or from another framework. Before a model call the memories that fit what the user
    said last stand first, as one system message that is never stored. With the model's first answer in a turn, what
    the user said is captured as facts.

    Args:
        memory: The memory of a user, or a backend; with a backend each call works for the user of
            `memweld.user_scope`, and each user has a session of this id.
        session_id: The session, 1 to 512 characters. In a team give each agent its own (``"trip/writer"``), or the
            same one and its ``agent_name``.
        inner: How much of the session the model sees: any ``ChatCompletionContext``, for instance
            ``BufferedChatCompletionContext``. It is a pattern: each call fills a copy of it with the whole session.
            All of the session, if None.
        recall: Whether memories are put in front of the messages.
        capture: Whether facts are made of what the user said.
        limit: How many memories at most a turn recalls.
        budget: How many characters of them at most.
        user_names: The message sources that are the end user; to an agent of a team, what other agents say comes as
            user messages too, and is captured for nobody.
        agent_name: The name of the agent, for a session that all agents of a team share: what is said stands in it
            once, with its speaker's name, and each agent's model sees it from that agent's side. None: the session is
            this agent's alone.
        keep_on_clear: Whether `clear` leaves the session's messages where they are and only shows the model none of
            them any more. ``MagenticOneGroupChat`` clears the contexts of its agents in every run.
        on_error: ``warn``: where recall or capture cannot reach the store, the run goes on and the log
            ``memweld.autogen`` says so. ``raise``: the error ends the run. A history that cannot be read or written
            ends it always, and so does a user that is not known.
    """

    component_config_schema = MemweldChatCompletionContextConfig
    component_provider_override = "memweld.autogen.MemweldChatCompletionContext"

    def __init__(
        self,
        memory: Memory | Backend,
        session_id: str,
        *,
        inner: ChatCompletionContext | None = None,
        recall: bool = True,
        capture: bool = True,
        limit: int = 5,
        budget: int = DEFAULT_BUDGET,
        user_names: Sequence[str] = USER_NAMES,
        agent_name: str | None = None,
        keep_on_clear: bool = False,
        on_error: OnError = "warn",
    ) -> None:
        super().__init__()
        self._source = validate_source(memory)
        session_id, self._agent_name = validate_key("session_id", session_id), agent_name
        if agent_name is None:
            self._session = ExportedSession(session_id, user_names)
        else:
            self._session = SharedSession(session_id, user_names, validate_key("agent_name", agent_name))
        self._inner = inner
        self._recaller = Recaller(limit=limit, budget=budget, on_error=on_error)
        self._recall, self._capture, self._keep_on_clear = recall, capture, keep_on_clear

    @property
    def session_id(self) -> str:
        """The session that is kept."""
        return self._session.session_id

    # the context of a model

    async def add_message(self, message: LLMMessage) -> None:
        """Append a message to the session; with the first answer to the user, capture the facts.

        A user message that stands unanswered at the end of the session already is a retry and is not added again.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be written; capture too, with ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        try:
            if self._capture and isinstance(message, AssistantMessage):
                await _thread(self._session.capture, memory, self._recaller.on_error)
        finally:
            with anyio.CancelScope(shield=True):
                await _thread(self._session.append, memory, message)

    async def get_messages(self) -> list[LLMMessage]:
        """What the model is given: the recalled memories as one system message, then the session.

        Raises:
            ConfigurationError: No user is known.
            BackendUnavailableError: The history cannot be read; recall too, with ``on_error="raise"``.
        """
        memory = resolve_memory(self._source)
        messages, question = await self._read(memory)
        block = (await self._recaller.recall(memory, *question, messages)).block if self._recall else ""
        return [SystemMessage(content=block), *messages] if block else messages

    async def _read(self, memory: Memory) -> tuple[list[LLMMessage], tuple[str, str | None]]:
        messages, question = await _thread(self._session.read, memory)
        if self._inner is not None:
            window = _fresh(self._inner)
            for message in messages:
                await window.add_message(message)
            messages = await window.get_messages()
        return messages, question

    async def clear(self) -> None:
        """Delete the session's messages; facts stay. An agent's ``on_reset`` and a team's ``reset`` call this."""
        memory = resolve_memory(self._source)
        if self._keep_on_clear:
            await _thread(self._session.begin_anew, memory)
        else:
            await memory.aio.history(self.session_id).clear()

    async def save_state(self) -> Mapping[str, Any]:
        """The session as JSON, without what was recalled."""
        return await _thread(self._session.save, resolve_memory(self._source))

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Fill the session from a saved state if it has no messages; a session that has some is newer and stays.

        To go back to an earlier point, load the state into a context with a new session id. A state that another of
        AutoGen's contexts saved is taken too.

        Raises:
            AccessDeniedError: The state was saved for another user.
        """
        await _thread(self._session.load, resolve_memory(self._source), state)

    # for a MemweldMemory beside it

    def recalls(self, memory: Memory) -> bool:
        """Whether this context itself puts what this memory recalls in front of its messages."""
        mine = resolve_memory(self._source)
        return self._recall and mine == memory

    async def recall(self) -> Recalled:
        """What is recalled for the present turn."""
        memory = resolve_memory(self._source)
        messages, question = await self._read(memory)
        return await self._recaller.recall(memory, *question, messages)

    def _to_config(self) -> MemweldChatCompletionContextConfig:
        return MemweldChatCompletionContextConfig(
            **SavedMemory.of(self._source, in_process=False).model_dump(),
            session_id=self._session.session_id,
            inner=None if self._inner is None else self._inner.dump_component(),
            recall=self._recall,
            capture=self._capture,
            limit=self._recaller.limit,
            budget=self._recaller.budget,
            user_names=self._session.user_names,
            agent_name=self._agent_name,
            keep_on_clear=self._keep_on_clear,
            on_error=self._recaller.on_error,
        )

    @classmethod
    def _from_config(cls, config: MemweldChatCompletionContextConfig) -> Self:
        return cls(
            config.load(),
            config.session_id,
            inner=None if config.inner is None else ChatCompletionContext.load_component(config.inner),
            recall=config.recall,
            capture=config.capture,
            limit=config.limit,
            budget=config.budget,
            user_names=config.user_names,
            agent_name=config.agent_name,
            keep_on_clear=config.keep_on_clear,
            on_error=config.on_error,
        )


async def _thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs))


def _fresh(inner: ChatCompletionContext) -> ChatCompletionContext:
    """A copy that may be filled: the original stays as its maker left it, and users never meet in it."""
    window = copy.copy(inner)
    attributes: dict[str, Any] = vars(window)
    for name, value in attributes.items():
        if isinstance(value, (list, dict, set, collections.deque)):
            attributes[name] = copy.copy(cast("Any", value))
    return window

"""Memory: a handle on the backend that is bound to one scope. No method of it takes a user id."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

from ..engine.operations import (
    AddItems,
    AppendMessages,
    ClearItems,
    DeleteItem,
    Erase,
    Export,
    GetEpoch,
    GetItem,
    ItemDraft,
    ListItems,
    ListSessions,
    RelatedItems,
    Restore,
    Search,
    SettleGraph,
    UpdateItem,
)
from ..engine.protocol import Engine
from ..errors import ConfigurationError, InvalidInputError, invalid
from ..models import JSON, Captured, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Related, Session
from ..scope import Scope
from ..validation import validate_kinds, validate_limit, validate_score, validate_text, validate_time
from .asynchronous import AsyncFacade, Lane, async_method
from .capture_queue import capture_queue_of
from .export_format import read_export, write_export
from .history import AsyncHistory, History
from .messages import MessagesLike, read_messages, to_messages
from .preferences import AsyncPreferences, Preferences
from .recall import DEFAULT_BUDGET, recall_block, recall_query
from .state import AsyncState, State
from .tasks import AsyncTasks, Tasks
from .values import AsyncValues, Values

__all__ = ["AsyncMemory", "Memory"]

logger = logging.getLogger("memweld.memory")

# One question and nothing else, not "I live in Porto, and you?"; Arabic and full-width marks ask too.
_ASKED = re.compile(r"[^.!。！?？؟;；,，،…\n]*[?？؟]+\s*")


def _drafts(messages: Sequence[ChatMessage], roles: Sequence[str]) -> list[ItemDraft]:
    spoken = ((message, message.text.strip()) for message in messages if message.role in roles)
    return [
        ItemDraft(text=validate_text("message", text), role=message.role, name=message.name)
        for message, text in spoken
        if text
    ]


def _stated(drafts: Sequence[ItemDraft]) -> list[ItemDraft]:
    """Drafts that say something: a message that only asks is no fact about anybody."""
    return [draft for draft in drafts if _ASKED.fullmatch(draft.text) is None]


class Memory:
    """The memory of one scope. Get one from `Backend.user` or `Backend.agent`; it is cheap and thread-safe.

    Attributes:
        scope: Whose memory it is.
        url: Where it is kept, as `memweld.connect` took it.
        preferences: Keyed facts about what the user likes.
        tasks: What came of the user's tasks.
        values: The state of all namespaces at once.
    """

    def __init__(self, engine: Engine, scope: Scope, *, url: str = "") -> None:
        self._engine = engine
        self.scope = scope
        self.url = url
        self.preferences = Preferences(engine, scope)
        self.tasks = Tasks(engine, scope)
        self.values = Values(engine, scope)

    @property
    def user_id(self) -> str | None:
        """The user whose memory this is; None for an agent's own."""
        return self.scope.user_id

    @property
    def agent_id(self) -> str | None:
        """The agent whose part of the memory this is, if it is bound to one."""
        return self.scope.agent_id

    @property
    def has_graph(self) -> bool:
        """Whether memories are also kept in a graph store."""
        return self._engine.has_graph

    @property
    def aio(self) -> AsyncMemory:
        """The same methods for async code."""
        return AsyncMemory(self)

    def __repr__(self) -> str:
        return f"<Memory of {self.scope}>"

    def __eq__(self, other: object) -> bool:
        """Whether both are the same scope of the same open backend."""
        if not isinstance(other, Memory):
            return NotImplemented
        return self._engine is other._engine and self.scope == other.scope

    def __hash__(self) -> int:
        return hash((id(self._engine), self.scope))

    # facts

    def add(
        self,
        messages: MessagesLike,
        *,
        metadata: Mapping[str, JSON] | None = None,
        infer: bool | None = None,
        session_id: str | None = None,
        created_at: datetime | str | None = None,
    ) -> list[MemoryItem]:
        """Remember what was said.

        With an LLM configured, mem0 extracts the facts; without one each message is kept verbatim. Whatever the LLM
        answers, nothing is lost: if it finds no fact the text is kept as it is, and if its answer is unusable too; then
        the item's ``extraction`` is ``failed``. A text that the scope holds already is not stored twice.

        Args:
            messages: Text, a message or a list of messages ``{"role", "content"}``. System and tool messages are no
                facts about anybody and are left out.
            metadata: Your own JSON data, returned exactly and usable in filters.
            infer: Whether the LLM extracts; None means if there is one.
            session_id: The conversation it belongs to; neighbours in it help search.
            created_at: When it was said, for imports; now, if not given.

        Returns:
            The items that hold it, in order, also those that were there already. Empty only if the scope was erased
            while the LLM was asked: what was said before goes with the rest.

        Raises:
            InvalidInputError: An argument breaks a rule; nothing was written.
            ConfigurationError: ``infer=True`` without an LLM.
        """
        drafts = _drafts(to_messages(messages, named=False), ("user", "assistant"))
        if not drafts:
            raise invalid("messages", messages, "no message of the user or assistant has text", "Add what was said.")
        add = AddItems(
            drafts=drafts,
            infer=self._wants_extraction(infer),
            metadata={} if metadata is None else metadata,
            session_id=session_id,
            created_at=validate_time("created_at", created_at),
        )
        if not add.infer:
            return self._engine.run(self.scope, add)
        add = replace(add, epoch=self._engine.run(self.scope, GetEpoch()))
        # An LLM that finds nothing worth keeping does not overrule a caller who said: remember this.
        return self._engine.run(self.scope, add) or self._engine.run(self.scope, replace(add, infer=False))

    def _wants_extraction(self, infer: bool | None) -> bool:
        if infer and not self._engine.can_extract:
            raise ConfigurationError(
                "infer=True needs an LLM, and none is configured: give one to connect(llm=…), or leave infer out."
            )
        return self._engine.can_extract if infer is None else infer

    def search(
        self,
        query: str,
        *,
        limit: int = 5,
        kinds: Kind | Sequence[Kind] | None = None,
        filters: Mapping[str, JSON] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
    ) -> list[Hit]:
        """Find memories by meaning and by words, best first.

        Args:
            query: A question or some words; of a long text its last 4,000 characters.
            limit: How many at most, 1 to 10,000.
            kinds: Only these of ``item``, ``preference``, ``task``, ``record``; all if not given.
            filters: What metadata must equal, ``{key: value}``; no operators.
            min_score: Only hits with at least this score, so that a question about nothing that is known finds nothing;
                with ``recency`` the score that age leaves.
            recency: The age at which a memory counts half; age does not count if not given.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        least = validate_score("min_score", min_score)
        search = Search(
            query=query,
            limit=limit,
            kinds=validate_kinds(kinds),
            filters={} if filters is None else filters,
            recency=recency,
        )
        hits = self._engine.run(self.scope, search)
        return hits if least is None else [hit for hit in hits if hit.score >= least]

    def get(self, memory_id: str) -> MemoryItem:
        """The memory with this id.

        Raises:
            MemoryNotFoundError: There is none in this scope.
        """
        return self._engine.run(self.scope, GetItem(memory_id=memory_id))

    def all(
        self,
        *,
        limit: int = 100,
        after: str | None = None,
        kinds: Kind | Sequence[Kind] | None = None,
        filters: Mapping[str, JSON] | None = None,
    ) -> list[MemoryItem]:
        """Memories in the order in which they were stored, a page at a time.

        Args:
            limit: The size of the page, 1 to 10,000.
            after: The id of the last memory of the page before, which may be deleted meanwhile.
            kinds: Only these kinds; all if not given.
            filters: What metadata must equal.

        Raises:
            MemoryNotFoundError: ``after`` is no memory of this scope, and was the last of none of its latest pages.
        """
        page = ListItems(
            limit=limit, after=after, kinds=validate_kinds(kinds), filters={} if filters is None else filters
        )
        return self._engine.run(self.scope, page)

    def update(self, memory_id: str, text: str, *, metadata: Mapping[str, JSON] | None = None) -> MemoryItem:
        """Replace the text of a memory, and its metadata if given.

        Raises:
            MemoryNotFoundError: There is no such memory in this scope.
            InvalidInputError: The text breaks a rule, another memory says the same, or the memory is a preference, a
                task's outcome or a record, which are changed by their key.
        """
        return self._engine.run(self.scope, UpdateItem(memory_id=memory_id, text=text, metadata=metadata))

    def delete(self, memory_id: str) -> None:
        """Delete a memory; of a record the state value, too.

        Raises:
            MemoryNotFoundError: There is none in this scope.
        """
        self._engine.run(self.scope, DeleteItem(memory_id=memory_id))

    def clear(self) -> int:
        """Delete all facts of the scope: items, preferences and tasks. State, its records and history stay.

        Returns:
            How many there were.
        """
        return self._engine.run(self.scope, ClearItems())

    # the graph

    def related(self, about: str, *, limit: int = 10) -> list[Related]:
        """The memories that the graph links to something, the closest first.

        Args:
            about: The name of an entity (a person, a place, …), or the id of a memory.
            limit: How many at most, 1 to 1,000.

        Returns:
            Memories with the entities that they have in common with it, and the path that leads to each. Empty where
            nothing is known of it.

        Raises:
            ConfigurationError: There is no graph (``connect(graph=…)``).
            BackendUnavailableError: The graph cannot be asked. Everything else works without it.
            InvalidInputError: An argument breaks a rule.
        """
        return self._engine.run(self.scope, RelatedItems(about=about, limit=limit))

    def settle_graph(self, timeout: float | None = None) -> bool:
        """Wait until the graph was told of all that was changed here before.

        Args:
            timeout: Seconds to wait at most, up to 60; where the graph is down it is tried again meanwhile. None: five
                seconds, and none where it was down some seconds ago.

        Returns:
            Whether it was; True where there is no graph. What it was not told yet follows by itself.
        """
        seconds = None if timeout is None else min(max(timeout, 0.0), 60.0)
        return self._engine.run(self.scope, SettleGraph(timeout=seconds))

    # state and history

    def state(self, namespace: str) -> State:
        """Key-value pairs under a namespace."""
        return State(self._engine, self.scope, namespace)

    def history(self, session_id: str) -> History:
        """The messages of a session."""
        return History(self._engine, self.scope, session_id)

    def sessions(self) -> list[Session]:
        """The sessions that have a history, the latest used first."""
        return self._engine.run(self.scope, ListSessions())

    # around a model call

    def recall(
        self,
        query: str,
        *,
        limit: int = 5,
        budget: int = DEFAULT_BUDGET,
        kinds: Kind | Sequence[Kind] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
    ) -> str:
        """What goes in front of a model: the memories that fit, marked as data, not instructions.

        Args:
            query: What the user just said. Of a long text the end is searched for.
            limit: How many memories at most.
            budget: How many characters of memories at most.
            kinds: Only these kinds; all if not given.
            min_score: Only memories with at least this score.
            recency: The age at which a memory counts half; age does not count if not given.

        Returns:
            A block of text, or an empty string where nothing is remembered or the query is blank.
        """
        limit = validate_limit(limit)
        budget = validate_limit(budget, name="budget", maximum=10_000_000)
        wanted = recall_query(query)
        if not wanted:
            return ""
        hits = self.search(wanted, limit=limit, kinds=kinds, min_score=min_score, recency=recency)
        return recall_block(hits, budget=budget, query=query)

    def capture(
        self,
        messages: MessagesLike,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
        infer: bool | None = None,
        keep: Captured = "turn",
        background: bool = False,
    ) -> list[MemoryItem]:
        """Keep a finished turn: its messages in the history, its facts as memories.

        The history comes first, so that nothing said is lost whatever happens to the facts. Facts come from the whole
        turn with an LLM; without one they are what the user said, except messages that only ask a question. Give
        messages ids to make a retry harmless: those without get a new one each time.

        Args:
            messages: The messages of the turn.
            session_id: The session whose history they join; without one only facts are kept.
            metadata: Your own JSON data for the facts.
            infer: Whether the LLM extracts; None means if there is one.
            keep: ``turn``: both; or ``history`` or ``facts`` alone.
            background: Do not wait for the facts: the history is written, and they follow, in order within the
                session. What goes wrong with them is logged. `flush` waits for them; `Backend.close` and the end of
                the program wait for a while. Where too many wait already (1,000), or at the end, for the LLM, what was
                said is kept as it is. `erase` ends what waits.

        Returns:
            The memories that hold the facts; empty where nothing was worth keeping, and in the background.

        Raises:
            InvalidInputError: An argument breaks a rule, and nothing was written. Or a message can be kept in a
                history and is no fact (it holds a NUL character, or over a million): then the history is written.
            ConfigurationError: ``infer=True`` without an LLM.
        """
        if keep not in ("turn", "history", "facts"):
            raise invalid("keep", keep, "it is turn, history or facts", "Choose one.")
        wanted = self._wants_extraction(infer)
        add = AddItems(drafts=(), infer=wanted, metadata={} if metadata is None else metadata, session_id=session_id)
        turn: Sequence[ChatMessage]
        append = None
        if session_id is None or keep == "facts":
            turn = to_messages(messages)
        else:
            append = AppendMessages(session_id=session_id, messages=read_messages(messages))
            turn = append.messages
        if keep != "history" and (wanted or background):
            add = replace(add, epoch=self._engine.run(self.scope, GetEpoch()))
        if append is not None:
            self._engine.run(self.scope, append)
        if keep == "history":
            return []
        try:
            drafts = _drafts(turn, ("user", "assistant") if wanted else ("user",))
        except InvalidInputError as error:
            if not background or append is None:
                raise
            logger.warning("memweld: a turn is kept in its session, and no facts of it: %s", error)
            return []
        drafts = drafts if wanted else _stated(drafts)
        if not drafts:
            return []
        add = replace(add, drafts=drafts)
        if not background:
            return self._engine.run(self.scope, add)
        work = functools.partial(self._engine.run, self.scope, add)
        verbatim = functools.partial(self._engine.run, self.scope, replace(add, infer=False))
        capture_queue_of(self._engine).submit((self.scope, session_id), work, instead=verbatim)
        return []

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until what was captured in the background before is kept, by whomever.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether it is.
        """
        return capture_queue_of(self._engine).flush(timeout)

    def _is_mine(self, key: Hashable) -> bool:
        """Whether what waits under this key is of a scope that this one contains."""
        return isinstance(key, tuple) and self.scope.contains(cast("tuple[Scope, str | None]", key)[0])

    # everything

    def export(self) -> dict[str, JSON]:
        """All that the scope contains, as one JSON object: memories, state and histories, with times."""
        return write_export(self.scope, self._engine.run(self.scope, Export()).data)

    def restore(self, export: Mapping[str, JSON]) -> dict[str, int]:
        """Put back what `export` gave, here or in another backend: with ids, times, ends and agents' parts.

        All of it or nothing, and to do it again changes nothing. Where something is there already under the same id
        or key, the one that was changed last stays.

        Args:
            export: What `export` returned, of the same user.

        Returns:
            How many ``items``, ``values``, ``sessions`` and ``messages`` are new or changed.

        Raises:
            InvalidInputError: It is no export, or another user's, or a part of it breaks a rule; nothing was written.
        """
        return self._engine.run(self.scope, Restore(data=read_export(self.scope, export)))

    def erase(self) -> EraseReceipt:
        """Remove everything of this scope: memories, state, histories. It cannot be undone.

        What was captured before, and still waits for the LLM, is not kept.

        Returns:
            A receipt with the rows erased in each store.
        """
        capture_queue_of(self._engine).drop(self._is_mine)
        return self._engine.run(self.scope, Erase())


def _lane_of_add(*_: Any, infer: bool | None = None, **__: Any) -> Lane:
    return "quick" if infer is False else "llm"


def _lane_of_capture(
    *_: Any, infer: bool | None = None, keep: Captured = "turn", background: bool = False, **__: Any
) -> Lane:
    if background:
        return "queue"
    return "quick" if infer is False or keep == "history" else "llm"


class AsyncMemory(AsyncFacade[Memory]):
    """`Memory` for async code. Get it as ``memory.aio``."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.preferences = AsyncPreferences(memory.preferences)
        self.tasks = AsyncTasks(memory.tasks)
        self.values = AsyncValues(memory.values)

    @property
    def scope(self) -> Scope:
        """Whose memory it is."""
        return self._sync.scope

    def state(self, namespace: str) -> AsyncState:
        """Key-value pairs under a namespace."""
        return AsyncState(self._sync.state(namespace))

    def history(self, session_id: str) -> AsyncHistory:
        """The messages of a session."""
        return AsyncHistory(self._sync.history(session_id))

    def __repr__(self) -> str:
        return f"<AsyncMemory of {self._sync.scope}>"

    add = async_method(Memory.add, lane=_lane_of_add)
    search = async_method(Memory.search)
    get = async_method(Memory.get)
    all = async_method(Memory.all)
    update = async_method(Memory.update)
    delete = async_method(Memory.delete)
    clear = async_method(Memory.clear)
    related = async_method(Memory.related)
    settle_graph = async_method(Memory.settle_graph)
    sessions = async_method(Memory.sessions)
    recall = async_method(Memory.recall)
    capture = async_method(Memory.capture, lane=_lane_of_capture)
    flush = async_method(Memory.flush, lane="flush")
    export = async_method(Memory.export)
    restore = async_method(Memory.restore)
    erase = async_method(Memory.erase)

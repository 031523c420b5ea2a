"""Memory: a handle on the backend that is bound to one scope. No method of it takes a user id."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from ..display import ResultList, show
from ..engine.operations import CountStored, Erase, Export, ListSessions, Restore
from ..engine.protocol import Engine
from ..engine.sourced import SourcedEngine
from ..errors import invalid
from ..models import JSON, Captured, EraseReceipt, Kind, MemoryItem, Session, Source, Sources
from ..scope import Scope
from ..validation import validate_limit
from .asynchronous import AsyncFacade, Lane, async_method
from .capture import capture_turn, drop_captures
from .capture_queue import capture_queue_of
from .consolidation import ConsolidationMethods
from .export_format import read_export, write_export
from .fact_methods import FactMethods
from .history import AsyncHistory, History
from .messages import MessagesLike
from .overview import read_overview
from .preferences import AsyncPreferences, Preferences
from .profile import DEFAULT_PROFILE_BUDGET, Profile, profile_request, write_profile
from .recall import DEFAULT_BUDGET, recall_lines, recall_query, write_block
from .recall_counts import count_recalls, write_all_recalls, write_recalls
from .state import AsyncState, State
from .tasks import AsyncTasks, Tasks
from .values import AsyncValues, Values

__all__ = ["AsyncMemory", "Memory", "over_engine", "with_source"]


class Memory(FactMethods, ConsolidationMethods):
    """The memory of one scope. Get one from `Backend.user` or `Backend.agent`; it is cheap and thread-safe.

    Attributes:
        scope: Whose memory it is.
        url: Where it is kept, as `memweld.connect` took it.
        timezone: The zone of the dates that a recall shows, of days, and of times in queries; None for the zones in
            which they were given, and UTC.
        preferences: Keyed facts about what the user likes.
        tasks: What came of the user's tasks.
        values: The state of all namespaces at once.
    """

    def __init__(self, engine: Engine, scope: Scope, *, url: str = "", timezone: str | None = None) -> None:
        super().__init__(engine, scope, timezone=timezone)
        self.url = url
        self.preferences = Preferences(engine, scope, timezone=timezone)
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
    def closed(self) -> bool:
        """Whether its backend was closed."""
        return self._engine.closed

    @property
    def can_extract(self) -> bool:
        """Whether an LLM of the backend extracts facts."""
        return self._engine.can_extract

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

    # state and history

    def state(self, namespace: str) -> State:
        """Key-value pairs under a namespace."""
        return State(self._engine, self.scope, namespace)

    def history(self, session_id: str) -> History:
        """The messages of a session."""
        return History(self._engine, self.scope, session_id, timezone=self.timezone)

    def sessions(self) -> list[Session]:
        """The sessions that have a history, the latest used first."""
        return ResultList(self._engine.run(self.scope, ListSessions()))

    # around a model call

    def recall(
        self,
        query: str,
        *,
        limit: int = 5,
        budget: int = DEFAULT_BUDGET,
        kinds: Kind | Sequence[Kind] | None = None,
        sources: Sources | None = "trusted",
        filters: Mapping[str, JSON] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
        session_id: str | None = None,
        after: datetime | date | str | None = None,
        before: datetime | date | str | None = None,
        include_inactive: bool = False,
        as_of: datetime | date | str | None = None,
        now: datetime | date | str | None = None,
    ) -> str:
        """The block for the prompt of a model: the memories that fit, marked as data, not instructions.

        Args:
            query: The last message of the user. Of a long text the end counts.
            limit: How many memories at most.
            budget: How many characters of memories at most.
            kinds: Only these kinds; all if not given.
            sources: Only from these sources (see `search`); None: from all. If not given, ``"trusted"``, as in the
                automatic recall of adapters: what the user said, and what was added on purpose.
            filters: See `search`.
            min_score: Only memories with at least this score.
            recency: The age at which a memory counts half; age does not count if not given.
            session_id: Only what belongs to this conversation.
            after: See `search`.
            before: See `search`.
            include_inactive: See `search`.
            as_of: See `search`.
            now: See `search`.

        Returns:
            A block of text, or an empty string where nothing is remembered or the query is blank.
        """
        limit = validate_limit(limit)
        budget = validate_limit(budget, name="budget", maximum=10_000_000)
        text = recall_query(query)
        if not text:
            return ""
        hits = self.search(
            text,
            limit=limit,
            kinds=kinds,
            sources=sources,
            filters=filters,
            min_score=min_score,
            recency=recency,
            session_id=session_id,
            after=after,
            before=before,
            include_inactive=include_inactive,
            as_of=as_of,
            now=now,
        )
        lines = recall_lines(hits, budget=budget, query=query, timezone=self.timezone)
        count_recalls(self, [hit for hit, _ in lines])
        return write_block(line for _, line in lines)

    def profile(
        self, *, budget: int = DEFAULT_PROFILE_BUDGET, shown: Iterable[str] = (), earlier: Profile | None = None
    ) -> Profile:
        """The block for the prompt of a model that needs no question: who the user is, marked as data.

        It has pinned memories, preferences, what changed in the last 30 days with the text before, and what was
        recalled most. Each line has the memory's id and date, and no memory is there twice. What is superseded, expired
        or not valid now is left out.

        Args:
            budget: How many characters of memories and headings at most; the sections share them.
            shown: Texts that the model is shown anyway, such as the messages of the session: they are left out.
            earlier: A profile that the model was shown before. It is returned as it is, so that a provider's cache
                serves it, as long as all that it says is still stored and nothing else was pinned.

        Returns:
            The text, a string with ``.sections``; empty where nothing is remembered or the budget is too small.
        """
        budget = validate_limit(budget, name="budget", maximum=10_000_000)
        if earlier is not None and not isinstance(earlier, Profile):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("earlier", earlier, "it is no profile", "Pass what profile() returned.")
        if isinstance(shown, str):
            raise invalid("shown", shown, "it is one text, and each letter would count as one", "Pass a list of texts.")
        write_recalls(self._engine, self.scope)
        found = self._engine.run(self.scope, profile_request())
        if earlier is not None and earlier.holds(found):
            return earlier
        return write_profile(found, budget=budget, timezone=self.timezone, shown=shown)

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

        The history comes first, so that no message is lost whatever happens to the facts. With an LLM, facts come from
        the whole turn; without one they are the user's messages that state something: no questions, no small talk, and
        of requests those for the future. These messages are also kept as sources beside extracted facts, and in the
        place of facts if the LLM fails. Give messages ids to make a retry harmless: a message without one gets a new id
        each time. A message that comes again under its id with other words replaces what was kept and learnt of it.

        Args:
            messages: The messages of the turn. If one has a ``created_at``, its facts have it, too.
            session_id: The session whose history they join; without one only facts are kept.
            metadata: Your own JSON data for the facts.
            infer: Whether the LLM extracts; None means if there is one.
            keep: ``turn``: both; or ``history`` or ``facts`` alone.
            background: Write the history now, and return; the facts follow, in order within the session. The logger
                ``memweld.background`` gets their errors. `flush` waits for them; `Backend.close` and the end of the
                program wait for a while. At the end, or if 1,000 captures wait, the texts become facts verbatim,
                without the LLM. `erase` drops the captures that wait.

        Returns:
            The memories that hold the facts; empty where nothing was worth keeping, and in the background.

        Raises:
            InvalidInputError: An argument breaks a rule; nothing was written. Or a message fits a history and no fact
                (it holds a NUL character, or over a million characters): then the history is written.
            ConfigurationError: ``infer=True`` without an LLM.
        """
        return capture_turn(
            self._engine,
            self.scope,
            messages,
            session_id=session_id,
            metadata={} if metadata is None else metadata,
            infer=self._wants_extraction(infer),
            keep=keep,
            background=background,
            timezone=self.timezone,
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all earlier captures in the background are stored, those of other callers included.

        Counts of recalls are written, too.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether they are.
        """
        write_all_recalls(self._engine)
        return capture_queue_of(self._engine).flush(timeout)

    # everything

    def counts(self) -> dict[str, int]:
        """How much the scope contains: ``items``, ``preferences``, ``tasks``, ``values``, ``messages`` and so on."""
        return self._engine.run(self.scope, CountStored())

    def show(self) -> None:
        """Show an overview: how much there is, what was learnt last, preferences, sessions.

        A notebook shows tables, a console or a script prints text.
        """
        show(read_overview(self._engine, self.scope, self.timezone))

    def export(self) -> dict[str, JSON]:
        """All that the scope contains, as one JSON object: memories, state and histories, with times."""
        return write_export(self.scope, self._engine.run(self.scope, Export()).data)

    def restore(self, export: Mapping[str, JSON]) -> dict[str, int]:
        """Put back what `export` gave, here or in another backend: with ids, times, ends and agents' parts.

        To do it again changes nothing, also after an interruption: much is stored in several transactions. Where
        something is there already under the same id or key, the one that was changed last stays.

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
        drop_captures(self._engine, self.scope)
        return self._engine.run(self.scope, Erase())


def _lane_of_add(*_: Any, infer: bool | None = None, **__: Any) -> Lane:
    return "write" if infer is False else "llm"


def _lane_of_capture(
    *_: Any, infer: bool | None = None, keep: Captured = "turn", background: bool = False, **__: Any
) -> Lane:
    if background:
        return "queue"
    return "quick" if keep == "history" else _lane_of_add(infer=infer)


def _lane_of_consolidate(*_: Any, dry_run: bool | None = None, plan: object = None, **__: Any) -> Lane:
    return "search" if dry_run is not False and plan is None else "llm"


def over_engine(memory: Memory, engine: Engine) -> Memory:
    """The same memory, of the same class, over an engine that wraps its own."""
    copied = copy.copy(memory)
    Memory.__init__(copied, engine, memory.scope, url=memory.url, timezone=memory.timezone)
    return copied


def with_source(memory: Memory, source: Source) -> Memory:
    """The same memory, for a writer whose memories come from ``source``: a model's tool, a tool of another server."""
    return over_engine(memory, SourcedEngine(memory._engine, source))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


class AsyncMemory(AsyncFacade[Memory]):
    """`Memory` for async code. Get it as ``memory.aio``."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self.preferences = AsyncPreferences(memory.preferences)
        self.tasks = AsyncTasks(memory.tasks)
        self.values = AsyncValues(memory.values)

    @property
    def scope(self) -> Scope:
        """The scope of the memory."""
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
    search = async_method(Memory.search, lane="search")
    get = async_method(Memory.get)
    versions = async_method(Memory.versions)
    supersede = async_method(Memory.supersede)
    keep_both = async_method(Memory.keep_both)
    conflicts = async_method(Memory.conflicts)
    all = async_method(Memory.all)
    update = async_method(Memory.update, lane="write")
    pin = async_method(Memory.pin)
    unpin = async_method(Memory.unpin)
    delete = async_method(Memory.delete)
    delete_many = async_method(Memory.delete_many)
    delete_all = async_method(Memory.delete_all)
    clear = async_method(Memory.clear)
    related = async_method(Memory.related, lane="search")
    settle_graph = async_method(Memory.settle_graph, lane="flush")
    sessions = async_method(Memory.sessions)
    recall = async_method(Memory.recall, lane="search")
    profile = async_method(Memory.profile)
    capture = async_method(Memory.capture, lane=_lane_of_capture)
    flush = async_method(Memory.flush, lane="flush")
    counts = async_method(Memory.counts)
    show = async_method(Memory.show)
    export = async_method(Memory.export)
    restore = async_method(Memory.restore, lane="write")
    consolidate = async_method(Memory.consolidate, lane=_lane_of_consolidate)
    undo = async_method(Memory.undo, lane="write")
    erase = async_method(Memory.erase, lane="write")

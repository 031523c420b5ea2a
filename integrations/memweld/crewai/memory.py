"""MemweldMemory: the memory that a CrewAI Crew, Agent or Flow takes, bounded to one user."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory as CrewMemory
from crewai.memory.utils import join_scope_paths
from typing_extensions import Unpack, override

from ..adapters.options import MemoryKeywords, TurnOptions, shows_options
from ..errors import MemoryNotFoundError, MemweldError, log_line
from ..memory.asynchronous import in_thread
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..models import JSON
from ..validation import MAX_LIMIT
from .binding import MemoryBinding
from .checkpointing import UNDUMPABLE, preserved_in_dumps, silence_dump_warnings
from .errors import announced, begins_turn, not_ours
from .records import Labels, inside
from .runs import current_run
from .scoped import MemweldScope
from .storage import MemweldStorage, Said

__all__ = ["MemweldMemory"]


def _no_vectors(_texts: object) -> list[list[float]]:
    raise not_ours()


@preserved_in_dumps
class MemweldMemory(CrewMemory):
    """A user's memory for ``Crew(memory=…)``, ``Agent(memory=…)`` and ``Flow(memory=…)``.

    It needs no LLM, no embedder and no key of CrewAI's. Before a task the memories that fit are put into the prompt,
    marked as data; after it, what the user said in the task is remembered; and the agents have CrewAI's own tools
    ``search_memory`` and ``save_to_memory`` over it. CrewAI's scopes are folders within the user's memory: memories
    from elsewhere lie at the root, ``/``. A reset deletes the user's memories, and no other's.

    Args:
        memory: One user's memory; or a backend, then the user is the one that ``memweld.user_scope`` names around the
            kickoff. Without one the kickoff fails with a `ConfigurationError`.
        said: What the user said in a task, given the task's description (or the input of ``Agent.kickoff``): a function
            that returns None for tasks in which the user said nothing. Without it the whole description counts.
        llm: A model of CrewAI's that extracts the facts of a finished task, such as the crew's own, or its name.
            Without one memweld's own LLM does (`memweld.connect`); without that what was said is kept as it is.
        root_scope: CrewAI's root scope: this object sees and writes only what lies in it.
        read_only: Nothing is written; the agents are not offered ``save_to_memory``.
        options: The options of `TurnOptions`: ``recall_limit``, ``recall_budget``, ``min_score``, ``recency``,
            ``kinds``, ``sources``, ``profile``, ``capture``, ``infer``, ``on_error``. CrewAI itself says how many
            memories it wants (5 before a task, 20 before a kickoff and in its search tool); ``recall_limit`` makes it
            fewer. A profile stands before those of a task. With ``on_error="warn"`` the crew goes on without memory
            where the store fails, and the log ``memweld.crewai`` says so; ``"raise"`` stops the crew with the error.

    Raises:
        InvalidInputError: ``memory`` is neither a memory nor a backend, or an option breaks a rule.
    """

    @shows_options(MemoryKeywords, recall_limit=MAX_LIMIT)
    def __init__(
        self,
        memory: Memory | Backend,
        *,
        said: Said | None = None,
        llm: BaseLLM | str | None = None,
        root_scope: str | None = None,
        read_only: bool = False,
        **options: Unpack[MemoryKeywords],
    ) -> None:
        # What CrewAI's model cannot read is not worth another's time: it is kept as it was said.
        options.setdefault("infer", None if llm is None else False)
        options.setdefault("recall_limit", MAX_LIMIT)
        storage = MemweldStorage(MemoryBinding(memory), TurnOptions(**options), said=said, llm=llm)
        super().__init__(
            storage=cast("Any", storage),
            embedder=_no_vectors,
            llm=cast("Any", UNDUMPABLE),
            root_scope=root_scope,
            read_only=read_only,
        )

    def model_post_init(self, context: Any, /) -> None:
        """Do what CrewAI's own does, and silence the warning about dumps again."""
        super().model_post_init(context)
        silence_dump_warnings(MemweldMemory)

    def _dump(self) -> dict[str, JSON]:
        """The form in which a checkpoint saves it: the memory's place and user, and the options."""
        return self._store.dump()

    def _load(self, dump: Mapping[str, Any], context: Any) -> None:
        """Become, out of CrewAI's own class, the memory that a checkpoint refers to."""
        fields = {"storage": MemweldStorage.load(dump), "embedder": _no_vectors, "llm": UNDUMPABLE}
        cast("dict[str, Any]", self.__dict__).update(fields)
        self.model_post_init(context)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> MemweldMemory:
        # All copies share the storage. CrewAI's own version fails before Python 3.13 (1.15.30).
        return self.model_copy()

    @property
    def _store(self) -> MemweldStorage:
        return cast("MemweldStorage", self._storage)

    def _path(self, scope: str | None) -> str:
        return join_scope_paths(self.root_scope, scope)

    # reading

    def recall(  # noqa: PLR0917 - CrewAI's signature
        self,
        query: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        limit: int = 10,
        depth: Literal["shallow", "deep"] = "deep",  # noqa: ARG002 - there is one depth: all of the user's memories
        source: str | None = None,
        include_private: bool = False,
    ) -> list[MemoryMatch]:
        """The memories that fit a query, best first; their ``format()`` marks them as data.

        Args:
            query: A question, a task's description or some words. Of a long text the end is searched for.
            scope: Only memories in this scope.
            categories: Only memories with one of these categories.
            limit: How many at most, 1 to 10,000; those that exceed the budget are left out.
            depth: Taken for compatibility.
            source: Private memories of this source are found too.
            include_private: All private memories are found.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
            MemweldError: What the memory raises.
        """
        if not _in_event_loop():
            # In a loop this would stop all its tasks until the writes of other users are done.
            super().drain_writes()
        in_turn = begins_turn()
        event = {"query": query, "limit": limit, "score_threshold": None}
        try:
            with announced("recall", self, self._store.failures, **event) as results:
                found = self._store.recall(
                    query,
                    limit=limit,
                    scope=self._path(scope),
                    categories=categories,
                    source=source,
                    include_private=include_private,
                    in_turn=in_turn,
                )
                results["results"] = matches = cast("list[MemoryMatch]", found)
            return matches
        finally:
            if in_turn and scope is None:
                self.begin_turn(query)

    @override
    def scope(self, path: str) -> MemweldScope:
        """The part of this memory below a path."""
        return MemweldScope(root_path=path).bind(self)

    # writing

    def begin_turn(self, text: str, scope: str | None = None) -> None:
        """Keep what the user says in a task that begins.

        Args:
            text: The task's text.
            scope: Where it lies; None for the root scope.
        """
        if self.read_only:
            return
        try:
            write = self._store.begin(text, self._labels(scope, None, None, None))
        except Exception as error:  # noqa: BLE001 - `_keep` reports it as a write that fails
            self._keep(functools.partial(_fail, error), text)
            return
        if write is None:
            return
        if not _in_event_loop():
            self._keep(write, text)
            return
        future = self._submit_save(self._logging_errors, self._keep, write, text)
        if run := current_run():
            # The run waits for it at its end.
            run.begin(future, future.exception)

    def _keep(self, write: Callable[[], object], text: str) -> None:
        try:
            with announced("saving", self, self._store.failures, value=text, metadata={}, agent_role=None):
                write()
        except MemweldError as error:
            # The crew goes on, and `announced` has logged it.
            if isinstance(error, HookAborted):
                raise

    def remember(  # noqa: PLR0917 - CrewAI's signature
        self,
        content: str,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> MemoryRecord | None:
        """Keep a statement as it stands; an equal one is kept once.

        Returns:
            Its record; None if this memory is read-only, or if a finished task has nothing to keep.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
            MemweldError: What the memory raises.
        """
        if self.read_only:
            return None
        labels = self._labels(scope, root_scope, categories, importance, source=source, private=private)
        return next(iter(self._save([content], labels, metadata, agent_role)), None)

    def remember_many(  # noqa: PLR0917 - CrewAI's signature
        self,
        contents: list[str],
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
        source: str | None = None,
        private: bool = False,
        agent_role: str | None = None,
        root_scope: str | None = None,
    ) -> list[MemoryRecord]:
        """Keep several statements, or the finished task that `extract_memories` found.

        The write is done when the call returns; only inside a running event loop it goes on in a thread, so that it
        blocks no other task. `drain_writes`, which a crew calls at its end, waits for it.

        Returns:
            The records; an empty list if the write goes on, or if this memory is read-only.
        """
        if not contents or self.read_only:
            return []
        labels = self._labels(scope, root_scope, categories, importance, source=source, private=private)
        if not _in_event_loop():
            return self._save(contents, labels, metadata, agent_role)
        # Found now: when the write begins, the block that names the user may have ended.
        memory = self._store.resolve()
        unkept = [content for content in contents if not self._store.finish(memory, content)]
        if unkept:
            self._submit_save(self._logging_errors, self._save_for, memory, unkept, labels, metadata, agent_role)
        return []

    def extract_memories(self, content: str) -> list[str]:
        """The statements in a text that are to be remembered. Stores nothing.

        Of CrewAI's text of a finished task this is what the user said, with the answer at hand for an LLM of memweld's,
        if one is configured; of any other text, the text.
        """
        turn = self._store.turn_in(content)
        statement = content if turn is None else turn
        return [statement] if statement.strip() else []

    def update(  # noqa: PLR0917 - CrewAI's signature
        self,
        record_id: str,
        content: str | None = None,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
    ) -> MemoryRecord:
        """Change the given fields of a memory; the others stay. If this memory is read-only, it changes nothing.

        Raises:
            MemoryNotFoundError: The user has none with this id in the root scope.
        """
        record = self._store.get_record(record_id)
        if record is None or not inside(record.scope, self.root_scope):
            raise MemoryNotFoundError(record_id)
        if self.read_only:
            return record
        given = {"content": content, "categories": categories, "metadata": metadata, "importance": importance}
        changes = {name: value for name, value in given.items() if value is not None}
        if scope is not None:
            changes["scope"] = self._path(scope)
        return self._store.update(record.model_copy(update=changes))

    def _labels(
        self,
        scope: str | None,
        root_scope: str | None,
        categories: list[str] | None,
        importance: float | None,
        **fields: Any,
    ) -> Labels:
        fields["scope"] = join_scope_paths(self.root_scope if root_scope is None else root_scope, scope)
        fields["importance"] = self.default_importance if importance is None else importance
        return Labels.checked({**fields, "categories": categories or ()})

    def _save(
        self, contents: Sequence[str], labels: Labels, metadata: dict[str, Any] | None, agent_role: str | None
    ) -> list[MemoryRecord]:
        value = str(contents[0]) if len(contents) == 1 else f"{len(contents)} memories"
        event = {"value": value, "metadata": metadata or {}, "agent_role": agent_role}
        with announced("saving", self, self._store.failures, **event):
            return [record for content in contents for record in self._store.remember(content, labels, metadata)]

    def _save_for(self, memory: Memory, *arguments: Any) -> None:
        with self._store.bound(memory):
            self._save(*arguments)

    def _logging_errors(self, work: Callable[..., object], *arguments: Any) -> None:
        try:
            work(*arguments)
        except Exception as error:  # noqa: BLE001 - no caller waits
            self._store.failures.logger.error("What a user said to a crew could not be kept: %s", log_line(error))

    # for async code: CrewAI's own versions of these block the event loop

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        """The same as `recall`, in a thread."""
        return await in_thread(functools.partial(self.recall, query, *args, **kwargs), lane="search")

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        """The same as `remember`, in a thread."""
        return await in_thread(functools.partial(self.remember, content, *args, **kwargs), lane="llm")

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        """The same as `remember_many`, in a thread; the write is done when it returns."""
        return await in_thread(functools.partial(self.remember_many, contents, *args, **kwargs), lane="llm")


def _fail(error: Exception) -> None:
    raise error


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

"""MemweldMemory: the memory that a CrewAI Crew, Agent or Flow takes, bounded to one user."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from crewai.llms.base_llm import BaseLLM
from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.unified_memory import Memory as CrewMemory
from crewai.memory.utils import join_scope_paths
from pydantic import PrivateAttr

from ..adapters.failures import OnError, validate_on_error
from ..errors import MemoryNotFoundError
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET
from ..models import JSON, Kind
from .binding import Whose
from .checkpointing import UNDUMPABLE, kept_in_dumps, quieten
from .errors import stopping_errors
from .events import announced_query, announced_save
from .records import Labels, inside
from .storage import MemweldStorage, not_ours
from .store import Said
from .task_parser import Turn

__all__ = ["MemweldMemory"]

_log = logging.getLogger("memweld.crewai")


def _no_vectors(_texts: object) -> list[list[float]]:
    raise not_ours()


@kept_in_dumps
class MemweldMemory(CrewMemory):
    """A user's memory for ``Crew(memory=…)``, ``Agent(memory=…)`` and ``Flow(memory=…)``.

    It needs no LLM, no embedder and no key of CrewAI's. Before a task the memories that fit are put into the prompt,
    marked as data; after it, what the user said in the task is remembered; and the agents have CrewAI's own tools
    ``search_memory`` and ``save_to_memory`` over it. CrewAI's scopes are folders within the user's memory: memories
    from elsewhere lie at the root, ``/``. Resetting it deletes the user's memories, and nobody else's.

    Args:
        memory: One user's memory; or a backend, then the user is the one that ``memweld.user_scope`` names around the
            kickoff. Without one the kickoff fails with a `ConfigurationError`.
        said: What the user said in a task, given the task's description (or the input of ``Agent.kickoff``): a function
            that returns None for tasks in which the user said nothing. Without it the whole description counts.
        capture: Whether what was said is remembered when a task is done.
        budget: How many characters of memories a recall puts before a model at most.
        kinds: Only these kinds of memories are recalled; all if not given.
        llm: A model of CrewAI's that extracts the facts of a finished task, such as the crew's own, or its name.
            Without one memweld's own LLM does (`memweld.connect`); without that what was said is kept as it is.
        root_scope: CrewAI's root scope: this object sees and writes only what lies in it.
        read_only: Nothing is written; the agents are not offered ``save_to_memory``.
        on_error: When the store fails during recall or capture: ``warn`` logs it, and the crew goes on without memory,
            as CrewAI's ways are; ``raise`` stops the crew with the error.

    Raises:
        InvalidInputError: ``memory`` is neither a memory nor a backend, or an option breaks a rule.
    """

    _on_error: OnError = PrivateAttr(default="warn")

    def __init__(
        self,
        memory: Memory | Backend,
        *,
        said: Said | None = None,
        capture: bool = True,
        budget: int = DEFAULT_BUDGET,
        kinds: Kind | Sequence[Kind] | None = None,
        root_scope: str | None = None,
        read_only: bool = False,
        on_error: OnError = "warn",
        llm: BaseLLM | str | None = None,
    ) -> None:
        validate_on_error(on_error)
        storage = MemweldStorage(Whose(memory), said=said, capture=capture, budget=budget, kinds=kinds, llm=llm)
        super().__init__(
            storage=cast("Any", storage),
            embedder=_no_vectors,
            llm=cast("Any", UNDUMPABLE),
            root_scope=root_scope,
            read_only=read_only,
        )
        self._on_error = on_error

    def model_post_init(self, context: Any, /) -> None:
        """What CrewAI's own does, and once more the silence about dumps."""
        super().model_post_init(context)
        quieten(MemweldMemory)

    def _dump(self) -> dict[str, JSON]:
        """What a checkpoint says of it: where memory is, whose, and the options."""
        return {**self._store.dump(), "on_error": self._on_error}

    def _load(self, dump: Mapping[str, Any], context: Any) -> None:
        """Become, out of CrewAI's own class, the memory that a checkpoint refers to."""
        options = dict(dump)
        on_error = options.pop("on_error", "warn")
        fields = {"storage": MemweldStorage.load(options), "embedder": _no_vectors, "llm": UNDUMPABLE}
        cast("dict[str, Any]", self.__dict__).update(fields)
        self.model_post_init(context)
        self._on_error = on_error

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> MemweldMemory:
        # The store is shared by all copies. CrewAI's own version fails before Python 3.13 (1.15.30).
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
            # In a loop this would stop everybody in it until other users' writes are done.
            self.drain_writes()
        with stopping_errors("Recall failed", self._on_error), announced_query(self, query, limit) as matches:
            found = self._store.recall(
                query,
                limit=limit,
                scope=self._path(scope),
                categories=categories,
                source=source,
                include_private=include_private,
            )
            matches.extend(found)
        return matches

    # writing

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
            The record that holds it; None if this memory is read-only, or if a finished task held nothing to keep.

        Raises:
            ConfigurationError: The memory is a backend's, and no user is named.
            MemweldError: What the memory raises.
        """
        if self.read_only:
            return None
        labels = self._labels(
            scope, root_scope, categories=categories, importance=importance, source=source, private=private
        )
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
        blocks nobody. `drain_writes`, which a crew calls at its end, waits for it.

        Returns:
            The records; an empty list if the write goes on, or if this memory is read-only.
        """
        if not contents or self.read_only:
            return []
        labels = self._labels(
            scope, root_scope, categories=categories, importance=importance, source=source, private=private
        )
        if not _in_event_loop():
            return self._save(contents, labels, metadata, agent_role)
        # Found now: when the write begins, the block that names the user may have ended.
        memory = self._store.memory()
        self._submit_save(self._save_in_background, memory, contents, labels, metadata, agent_role)
        return []

    def extract_memories(self, content: str) -> list[str]:
        """What is to be remembered of a text. Stores nothing.

        Of CrewAI's dump of a finished task this is what the user said, with the answer at hand for an LLM of memweld's,
        if one is configured; of any other text, the text.
        """
        turn = self._store.turn_in(content)
        kept = content.strip() if turn is None else turn
        return [kept] if kept else []

    def update(  # noqa: PLR0917 - CrewAI's signature
        self,
        record_id: str,
        content: str | None = None,
        scope: str | None = None,
        categories: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        importance: float | None = None,
    ) -> MemoryRecord:
        """Change a memory; what is not given stays. If this memory is read-only, everything stays.

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
        return self._store.replace(record.model_copy(update=changes))

    def _labels(
        self,
        scope: str | None,
        root_scope: str | None,
        *,
        categories: list[str] | None,
        importance: float | None,
        source: str | None,
        private: bool,
    ) -> Labels:
        fields: dict[str, Any] = {
            "scope": join_scope_paths(self.root_scope if root_scope is None else root_scope, scope),
            "categories": categories or (),
            "importance": self.default_importance if importance is None else importance,
            "source": source,
            "private": private,
        }
        return Labels.checked(fields)

    def _save(
        self, contents: Sequence[str], labels: Labels, metadata: dict[str, Any] | None, agent_role: str | None
    ) -> list[MemoryRecord]:
        records: list[MemoryRecord] = []
        saved = announced_save(self, contents, metadata, agent_role)
        with stopping_errors("Saving to memory failed", self._on_error), saved:
            for content in contents:
                if isinstance(content, Turn):
                    records += self._store.capture(content, labels, metadata)
                else:
                    records.append(self._store.remember(content, labels, metadata))
        return records

    def _save_in_background(self, memory: Memory, *arguments: Any) -> None:
        try:
            with self._store.pinned(memory):
                self._save(*arguments)
        except Exception as error:  # noqa: BLE001 - there is nobody to raise to
            _log.error("What a crew said could not be kept for %s: %s", memory.scope, error)

    # for async code: CrewAI's own versions of these block the event loop

    async def arecall(self, query: str, *args: Any, **kwargs: Any) -> list[MemoryMatch]:
        """The same as `recall`, in a thread."""
        return await asyncio.to_thread(self.recall, query, *args, **kwargs)

    async def aremember(self, content: str, *args: Any, **kwargs: Any) -> MemoryRecord | None:
        """The same as `remember`, in a thread."""
        return await asyncio.to_thread(self.remember, content, *args, **kwargs)

    async def aremember_many(self, contents: list[str], *args: Any, **kwargs: Any) -> list[MemoryRecord]:
        """The same as `remember_many`, in a thread; the write is done when it returns."""
        return await asyncio.to_thread(self.remember_many, contents, *args, **kwargs)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

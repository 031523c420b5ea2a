"""CrewAI's storage backend over one user's memory: recall, capture, listings and resets, always within that user."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from crewai.hooks.dispatch import HookAborted
from crewai.llms.base_llm import BaseLLM
from crewai.memory.types import MemoryRecord, ScopeInfo
from crewai.memory.utils import normalize_scope_path
from typing_extensions import Self

from ..adapters.binding import bind_user
from ..adapters.capture import TurnCapture
from ..adapters.failures import FailurePolicy
from ..adapters.options import TurnOptions
from ..adapters.recall import TurnRecall
from ..adapters.saved_config import SavedMemory
from ..engine.filters import validate_conditions, value_filter
from ..engine.operations import AddItems, GetEpoch
from ..errors import MemoryNotFoundError
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..memory.profile import NO_PROFILE
from ..memory.recall import recall_query
from ..memory.recall_counts import count_recalls
from ..models import JSON, ChatMessage, Hit, Kind, MemoryItem
from ..validation import MAX_LIMIT, validate_limit
from .binding import MemoryBinding
from .errors import not_ours
from .extraction import extract_facts
from .records import (
    Labels,
    RecalledMatch,
    all_items,
    as_record,
    has_category,
    inside,
    labels_of,
    marked_matches,
    naive_utc,
    profile_match,
)
from .runs import current_run, follow_runs
from .task_parser import Turn, parse_turn, without_history
from .user_texts import load_notes, note_texts, saved_notes, user_text

__all__ = ["MemweldStorage", "Said"]

Said: TypeAlias = Callable[[str], "str | None"]
"""From a task's description (or a kickoff's input) to what the user said in it; None where the user said nothing."""

_logger = logging.getLogger("memweld.crewai")

_WIDER = 4
# A deletion by criteria leaves state alone, as `Memory.clear` does.
_FACTS: tuple[Kind, ...] = ("item", "source", "preference", "task")


class MemweldStorage:
    """A `StorageBackend` that is bounded to one user, or to the current user on a backend.

    Scope paths are folders in that user's memory, and an id of another user's memory does not exist.

    Args:
        binding: Finds the memory.
        options: The options of the memory.
        said: What the user said in a task's description; all of it, if not given.
        llm: A model of CrewAI's that extracts facts from finished tasks, in place of memweld's own LLM.
    """

    def __init__(
        self,
        binding: MemoryBinding,
        options: TurnOptions,
        *,
        said: Said | None = None,
        llm: BaseLLM | str | None = None,
    ) -> None:
        note_texts()
        follow_runs()
        self.options = options
        self.failures = FailurePolicy(options.on_error, _logger, passing=(HookAborted,))
        self._turns = TurnRecall(options, self.failures)
        self._binding = binding
        self._said = said or without_history
        self._llm = llm
        # `announced` decides which errors stop a crew.
        # CrewAI takes the records of what is remembered; it has threads of its own for slow writes.
        capture = "awaited" if options.capture is None else options.capture
        self._capture = TurnCapture(replace(options, capture=capture), FailurePolicy("raise", _logger))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._binding!r}>"

    # checkpoints

    def dump(self) -> dict[str, JSON]:
        """The form in which a checkpoint saves it. Of functions and models it notes only that there were some."""
        return {
            "source": self._binding.saved.model_dump(exclude_none=True),
            "options": self.options.dump(),
            "llm": self._llm if isinstance(self._llm, str) else None,
            "lost": [name for name, is_lost in self._undumpable() if is_lost],
            "notes": saved_notes(self),
        }

    def _undumpable(self) -> list[tuple[str, bool]]:
        return [
            ("said", self._said is not without_history),
            ("llm", self._llm is not None and not isinstance(self._llm, str)),
        ]

    @classmethod
    def load(cls, dump: Mapping[str, Any]) -> Self:
        """The storage that `dump` wrote down."""
        lost: list[str] = dump.get("lost", [])
        options: dict[str, Any] = dict(dump["options"])
        if lost:
            _logger.warning(
                "A checkpoint cannot hold %s of a MemweldMemory%s; give the restored crew or agent a new one.",
                " and ".join(f"{name}=" for name in lost),
                ", so nothing is captured" if "said" in lost else "",
            )
        if "said" in lost:
            # Without it, the text of a prompt would count as the user's.
            options["capture"] = False
        binding = MemoryBinding(SavedMemory.model_validate(dump["source"]))
        storage = cls(binding, TurnOptions.load(options), llm=dump["llm"])
        load_notes(storage, dump.get("notes", []))
        return storage

    # recall and capture

    def resolve(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named.
        """
        return self._binding.resolve()

    def bound(self, memory: Memory) -> contextlib.AbstractContextManager[None]:
        """Work for the user of this memory inside the block."""
        return bind_user(self._binding.source, memory)

    def recall(
        self,
        query: str,
        *,
        limit: int,
        scope: str | None = None,
        categories: Sequence[str] | None = None,
        source: str | None = None,
        include_private: bool = False,
        in_turn: bool = False,
    ) -> list[RecalledMatch]:
        """The memories that fit, best first, marked as data; at most ``limit``, and no more than the budget holds.

        In a turn the model sees the query anyway: a task that is tried again has left it as a memory. Before a turn's
        memories stands the user's profile, if the options ask for it.
        """
        memory = self.resolve()
        limit = min(validate_limit(limit), self.options.recall_limit)
        query = without_history(user_text(query))
        text = recall_query(self._said(query) or query)

        def fits(item: MemoryItem) -> bool:
            record = as_record(item)
            if record.private and not include_private and (source is None or record.source != source):
                return False
            return inside(record.scope, scope) and has_category(record, categories)

        profile = NO_PROFILE
        if in_turn:
            run = current_run()
            profile = self._turns.profile(memory, shown=[text], place=run and run.place)
            profile = profile.without(lambda item: not fits(item))
        matches = [profile_match(profile)] if profile else []
        if not text or not limit:
            return matches
        in_profile = profile.whole_ids
        found = self._hits(memory, text, limit, lambda item: item.id not in in_profile and fits(item))
        hits = self.options.fitting(found, text)
        if in_turn:
            hits = [hit for hit in hits if hit.text != text]
        budget, timezone = self.options.recall_budget, memory.timezone
        recalled = marked_matches(hits, budget=budget, query=text, timezone=timezone, notice=not matches)
        shown = {match.record.id for match in recalled}
        count_recalls(memory, [hit for hit in hits if hit.id in shown])
        return [*matches, *recalled]

    def _hits(self, memory: Memory, query: str, limit: int, fits: Callable[[MemoryItem], bool]) -> list[Hit]:
        requested = min(limit * _WIDER, MAX_LIMIT)
        found = memory.search(query, limit=requested, **self.options.search)
        hits = [hit for hit in found if fits(hit)]
        if len(hits) >= limit or len(found) < requested:
            return hits[:limit]
        # Few memories fit, or far down: choose them first, and rank them alone.
        ids = [item.id for item in all_items(memory, self.options.search.get("kinds")) if fits(item)]
        return memory.search(query, limit=limit, ids=ids, **self.options.search)

    def begin(self, text: str, labels: Labels) -> Callable[[], object] | None:
        """What the user says when an agent begins, as CrewAI hands over finished tasks alone.

        Returns:
            The write that keeps it. None where the user says nothing, and where an LLM is to read the finished turn:
            then the run keeps the words of a turn that does not finish.
        """
        said = self._said(without_history(user_text(text))) if self.options.captures else None
        if not said or not said.strip():
            return None
        memory = self.resolve()
        message = ChatMessage(role="user", content=said)
        if self._llm is None and not (memory.can_extract and self.options.infer is not False):
            kept = {"session_id": None, "keep": "facts", "metadata": labels.metadata({})}
            return functools.partial(self._capture.end, memory, [message], **kept)
        if run := current_run():
            rescue = functools.partial(self._rescue, memory, message, _epoch(memory), labels)
            run.begin((memory.scope, said), rescue)
        return None

    def _rescue(self, memory: Memory, message: ChatMessage, epoch: int, labels: Labels) -> None:
        with self.failures.rescue("what the user said"):
            # An erasure takes along what was said before it.
            if _epoch(memory) == epoch:
                self._capture.rescue(memory, [message], session_id=None, keep="facts", metadata=labels.metadata({}))

    def finish(self, memory: Memory, content: str) -> bool:
        """Let the run know that a turn is kept; whether the run is over and has kept the user's words itself."""
        run = current_run()
        return run is not None and isinstance(content, Turn) and run.finish((memory.scope, str(content)))

    def turn_in(self, content: str) -> Turn | None:
        """The turn that CrewAI's text holds; None if it is any other text. An empty turn has nothing to keep."""
        turn = parse_turn(content)
        if turn is None:
            return None
        said = self._said(turn) if turn and self.options.captures else None
        return Turn(said or "", answer=turn.answer, agent=turn.agent)

    def remember(self, content: str, labels: Labels, metadata: dict[str, Any] | None) -> list[MemoryRecord]:
        """Keep a statement as it stands, and of a `Turn` its facts. An equal one is kept once, and comes back."""
        memory, labelled = self.resolve(), labels.metadata(metadata)
        if not isinstance(content, Turn):
            # A program or a model has made the statement: there is nothing left to extract from it.
            return [as_record(item) for item in memory.add(content, metadata=labelled, infer=False, source="agent")]
        if self.finish(memory, content):
            return []
        if self._llm is not None:
            epoch = _epoch(memory)
            if (drafts := extract_facts(content, self._llm)) is not None:
                # An erasure takes along what the model reads meanwhile.
                add = AddItems(drafts=drafts, metadata=labelled, epoch=epoch, is_extracted=True)
                items = memory._engine.run(memory.scope, add)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
                return [as_record(item) for item in items]
        turn = [ChatMessage(role="user", content=str(content))]
        if content.answer:
            turn.append(ChatMessage(role="assistant", content=content.answer))
        items = self._capture.end(memory, turn, session_id=None, keep="facts", metadata=labelled)
        return [as_record(item) for item in items or ()]

    # records

    def _records(
        self, ids: Sequence[str] | None = None, *, kinds: Sequence[Kind] | None = None
    ) -> Iterator[MemoryRecord]:
        """The user's memories, of these kinds if given, oldest first; with ids, those of them that the user has."""
        memory = self.resolve()
        if ids is None:
            yield from map(as_record, all_items(memory, kinds))
            return
        for memory_id in dict.fromkeys(ids):
            with contextlib.suppress(MemoryNotFoundError):
                yield as_record(memory.get(memory_id))

    def _within(self, scope: str | None) -> list[MemoryRecord]:
        return [record for record in self._records() if inside(record.scope, scope)]

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """The memory with this id, or None where the user has none."""
        return next(self._records([record_id]), None)

    def update(self, record: MemoryRecord) -> MemoryRecord:
        """Change text, labels and metadata of a memory.

        Raises:
            MemoryNotFoundError: The user has none with this id.
        """
        metadata = labels_of(record).metadata(record.metadata)
        return as_record(self.resolve().update(record.id, record.content, metadata=metadata))

    # CrewAI's protocol

    def save(self, *_: Any, **__: Any) -> None:
        """Refuse: only CrewAI's own `Memory` calls it, and it would store what its model made of the text.

        Raises:
            ConfigurationError: Always.
        """
        raise not_ours()

    def search(self, *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        """Refuse: only CrewAI's own `Memory` calls it, with a vector in place of the query.

        Raises:
            ConfigurationError: Always.
        """
        raise not_ours()

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the user's memories that meet all criteria, or all of them where there is no criterion; how many.

        Raises:
            InvalidInputError: ``metadata_filter``, which may have operators, breaks a rule.
        """
        narrowed = categories or older_than or metadata_filter or record_ids is not None
        if not narrowed and inside("/", scope_prefix):
            return self.resolve().clear()
        before = None if older_than is None else naive_utc(older_than)
        fits = value_filter(validate_conditions(metadata_filter) or {})
        chosen = [
            record.id
            for record in self._records(record_ids, kinds=_FACTS)
            if inside(record.scope, scope_prefix)
            and has_category(record, categories)
            and fits(record.metadata)
            and (before is None or record.created_at < before)
        ]
        return self.resolve().delete_many(chosen)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Memories in a scope, newest first."""
        return self._within(scope_prefix)[::-1][offset : offset + limit]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """The contents of a scope and the scopes below it."""
        path = normalize_scope_path(scope)
        base = path.rstrip("/")
        records = self._within(path)
        children = {record.scope[len(base) + 1 :].partition("/")[0] for record in records} - {""}
        times = [record.created_at for record in records]
        return ScopeInfo(
            path=path,
            record_count=len(records),
            categories=sorted({category for record in records for category in record.categories}),
            oldest_record=min(times, default=None),
            newest_record=max(times, default=None),
            child_scopes=sorted(f"{base}/{child}" for child in children),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes right below a path."""
        return self.get_scope_info(parent).child_scopes

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Categories in a scope, with how many memories have them."""
        return dict(Counter(category for record in self._within(scope_prefix) for category in record.categories))

    def count(self, scope_prefix: str | None = None) -> int:
        """How many memories lie in a scope."""
        return len(self._within(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete the memories in a scope; None: every memory of the user, and of no other."""
        self.delete(scope_prefix=scope_prefix)

    async def asave(self, records: list[MemoryRecord]) -> None:
        """The same as `save`."""
        self.save(records)

    async def asearch(self, *args: Any, **kwargs: Any) -> list[tuple[MemoryRecord, float]]:
        """The same as `search`."""
        return self.search(*args, **kwargs)

    async def adelete(self, *args: Any, **kwargs: Any) -> int:
        """The same as `delete`, in a thread."""
        return await in_thread(lambda: self.delete(*args, **kwargs))


def _epoch(memory: Memory) -> int:
    return memory._engine.run(memory.scope, GetEpoch())  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

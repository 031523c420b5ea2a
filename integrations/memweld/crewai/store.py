"""One user's memory in CrewAI's terms: recall, remember and capture, always within that user."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from crewai.llms.base_llm import BaseLLM
from crewai.memory.types import MemoryRecord
from typing_extensions import Self

from ..adapters.saved_config import SavedMemory
from ..errors import MemoryNotFoundError
from ..memory.memory import Memory
from ..memory.recall import DEFAULT_BUDGET, QUERY_CHARACTERS
from ..models import JSON, Hit, Kind, MemoryItem
from ..validation import MAX_LIMIT, validate_kinds, validate_limit
from .binding import Whose
from .extraction import extracted
from .records import Labels, RecalledMatch, as_record, inside, labels_of, marked_matches
from .task_parser import Turn, parse_turn, without_history

__all__ = ["Said", "UserStore"]

Said: TypeAlias = Callable[[str], "str | None"]
"""From a task's description (or a kickoff's input) to what the user said in it; None where the user said nothing."""

_log = logging.getLogger("memweld.crewai")

_PAGE = 1_000


class UserStore:
    """What a crew remembers of one user, or of the current user on a backend.

    Scope paths are folders in that user's memory, and an id of somebody else's memory does not exist.

    Args:
        whose: Whose memory it is.
        said: What the user said in a task's description; all of it, if not given.
        capture: Whether finished tasks are remembered.
        budget: How many characters of memories a recall returns at most.
        kinds: Only these kinds of memories are recalled.
        llm: What extracts facts from finished tasks, in place of memweld's own LLM.
    """

    def __init__(
        self,
        whose: Whose,
        *,
        said: Said | None = None,
        capture: bool = True,
        budget: int = DEFAULT_BUDGET,
        kinds: Kind | Sequence[Kind] | None = None,
        llm: BaseLLM | str | None = None,
    ) -> None:
        self._whose = whose
        self._llm = llm
        self._said = said or without_history
        self._capture = capture
        self._budget = validate_limit(budget, name="budget", maximum=10_000_000)
        self._kinds = validate_kinds(kinds)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._whose!r}>"

    def dump(self) -> dict[str, JSON]:
        """What a checkpoint says of it. Functions and models cannot be written: it says only that there were some."""
        return {
            "source": self._whose.reference().model_dump(exclude_none=True),
            "capture": self._capture,
            "budget": self._budget,
            "kinds": None if self._kinds is None else list(self._kinds),
            "llm": self._llm if isinstance(self._llm, str) else None,
            "lost": [name for name, is_lost in self._unwritten() if is_lost],
        }

    def _unwritten(self) -> list[tuple[str, bool]]:
        return [
            ("said", self._said is not without_history),
            ("llm", self._llm is not None and not isinstance(self._llm, str)),
        ]

    @classmethod
    def load(cls, dump: Mapping[str, Any]) -> Self:
        """The store that `dump` told of."""
        options = dict(dump)
        lost = options.pop("lost", [])
        if lost:
            _log.warning(
                "A checkpoint cannot hold %s of a MemweldMemory%s; give the restored crew or agent a new one.",
                " and ".join(f"{name}=" for name in lost),
                # Without it, what a prompt says would be taken for what the user said.
                ", so nothing is captured" if "said" in lost else "",
            )
        options["capture"] = options.get("capture", True) and "said" not in lost
        return cls(Whose.referred(SavedMemory.model_validate(options.pop("source"))), **options)

    def recall(
        self,
        query: str,
        *,
        limit: int,
        scope: str | None = None,
        categories: Sequence[str] | None = None,
        source: str | None = None,
        include_private: bool = False,
    ) -> list[RecalledMatch]:
        """The memories that fit, best first, marked as data; at most ``limit``, and no more than the budget holds."""
        memory = self._whose.memory()
        limit = validate_limit(limit)
        text = (self._said(query) or query).strip()[-QUERY_CHARACTERS:]
        if not text:
            return []

        def wanted(item: MemoryItem) -> bool:
            record = as_record(item)
            if record.private and not include_private and (source is None or record.source != source):
                return False
            return inside(record.scope, scope) and has_category(record, categories)

        return marked_matches(self._hits(memory, text, limit, wanted), budget=self._budget)

    def _hits(self, memory: Memory, query: str, limit: int, wanted: Callable[[MemoryItem], bool]) -> list[Hit]:
        asked = limit
        while True:
            found = memory.search(query, limit=asked, kinds=self._kinds)
            hits = [hit for hit in found if wanted(hit)]
            if len(hits) >= limit or len(found) < asked or asked == MAX_LIMIT:
                return hits[:limit]
            asked = min(asked * 8, MAX_LIMIT)

    def memory(self) -> Memory:
        """The memory of the user that this call is for.

        Raises:
            ConfigurationError: A backend was given and no user is named.
        """
        return self._whose.memory()

    def pinned(self, memory: Memory) -> contextlib.AbstractContextManager[None]:
        """Work on this memory inside the block."""
        return self._whose.pinned(memory)

    def remember(self, content: str, labels: Labels, metadata: dict[str, Any] | None) -> MemoryRecord:
        """Keep one statement as it stands. An equal one is kept once, and comes back."""
        # Whoever says "remember this" has made the statement: there is nothing left to extract from it.
        items = self._whose.memory().add(content, metadata=labels.metadata(metadata), infer=False)
        return as_record(items[0])

    def capture(self, turn: Turn, labels: Labels, metadata: dict[str, Any] | None) -> list[MemoryRecord]:
        """Keep the facts of a finished task: what the user said, or what the LLM makes of question and answer."""
        if self._llm is not None and (facts := extracted(turn, self._llm)) is not None:
            memory = self._whose.memory()
            kept = (memory.add(fact, metadata=labels.metadata(metadata), infer=False) for fact in facts)
            return [as_record(item) for items in kept for item in items]
        messages = [{"role": "user", "content": str(turn)}]
        if turn.answer:
            messages.append({"role": "assistant", "content": turn.answer})
        # What CrewAI's model could not read is not worth another's time: it is kept as it was said.
        infer = None if self._llm is None else False
        items = self._whose.memory().capture(messages, metadata=labels.metadata(metadata), infer=infer)
        return [as_record(item) for item in items]

    def turn_in(self, content: str) -> Turn | None:
        """The turn that CrewAI's text holds; None if it is any other text. Of an empty turn nothing is to be kept."""
        turn = parse_turn(content)
        if turn is None:
            return None
        said = self._said(turn) if turn and self._capture else None
        return Turn((said or "").strip(), answer=turn.answer, agent=turn.agent)

    def records(self, ids: Sequence[str] | None = None) -> Iterator[MemoryRecord]:
        """The user's memories, oldest first; with ids, those of them that the user has."""
        memory = self._whose.memory()
        if ids is None:
            after: str | None = None
            while page := memory.all(limit=_PAGE, after=after):
                yield from map(as_record, page)
                after = page[-1].id
            return
        for memory_id in dict.fromkeys(ids):
            try:
                yield as_record(memory.get(memory_id))
            except MemoryNotFoundError:
                continue

    def replace(self, record: MemoryRecord) -> MemoryRecord:
        """Change text, labels and metadata of a memory.

        Raises:
            MemoryNotFoundError: The user has none with this id.
        """
        metadata = labels_of(record).metadata(record.metadata)
        return as_record(self._whose.memory().update(record.id, record.content, metadata=metadata))

    def remove(self, memory_id: str) -> None:
        """Delete a memory.

        Raises:
            MemoryNotFoundError: The user has none with this id.
        """
        self._whose.memory().delete(memory_id)

    def clear(self) -> int:
        """Delete all memories of the user; how many there were."""
        return self._whose.memory().clear()


def has_category(record: MemoryRecord, categories: Sequence[str] | None) -> bool:
    """Whether the record has one of the categories; any record where none is asked for."""
    return not categories or not set(categories).isdisjoint(record.categories)

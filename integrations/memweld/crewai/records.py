"""Between memory items and CrewAI's memory records: labels, scope paths, and what a model reads of a match."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any

from crewai.memory.types import MemoryMatch, MemoryRecord
from crewai.memory.utils import normalize_scope_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from ..errors import invalid
from ..memory.memory import Memory
from ..memory.profile import Profile
from ..memory.recall import recall_lines, write_block
from ..models import JSON, Hit, Kind, MemoryItem
from ..tools import arguments_error

__all__ = [
    "Labels",
    "RecalledMatch",
    "all_items",
    "as_record",
    "has_category",
    "inside",
    "labels_of",
    "marked_matches",
    "naive_utc",
    "profile_match",
]

_KEY = "crewai"


class Labels(BaseModel):
    """The fields of CrewAI's record beside its text, under one key of the memory's metadata.

    Attributes:
        scope: CrewAI's path (``/crew/research``), a folder within the user's memory; it decides nothing about users.
        categories: Tags.
        importance: From 0 to 1.
        source: Where it came from.
        private: Whether only a recall that names the same source finds it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scope: Annotated[str, AfterValidator(normalize_scope_path)] = "/"
    categories: tuple[str, ...] = ()
    importance: float = Field(default=0.5, ge=0.0, le=1.0)
    source: str | None = None
    private: bool = False

    @classmethod
    def checked(cls, fields: Mapping[str, Any]) -> Labels:
        """The labels that a caller gave.

        Raises:
            InvalidInputError: One breaks its rule.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            raise arguments_error("a memory record", error) from error

    def metadata(self, own: Mapping[str, Any] | None) -> dict[str, JSON]:
        """The metadata of the memory: the caller's own, and the labels that differ from the defaults.

        Raises:
            InvalidInputError: The caller's metadata has our key.
        """
        metadata = dict(own or {})
        if _KEY in metadata:
            raise invalid("metadata", metadata, f"the key {_KEY!r} is taken", "Rename it.")
        labels = self.model_dump(mode="json", exclude_defaults=True)
        return {**metadata, _KEY: labels} if labels else metadata


def as_record(item: MemoryItem) -> MemoryRecord:
    """A memory item, from whatever framework, as CrewAI's record. Unlabelled ones lie at the root."""
    metadata = dict(item.metadata)
    labels = Labels()
    # Another program may use the key for something else, which must not spoil the recall.
    with contextlib.suppress(ValidationError):
        labels = Labels.model_validate(metadata.get(_KEY, {}))
        metadata.pop(_KEY, None)
    return MemoryRecord(
        id=item.id,
        content=item.text,
        metadata=metadata,
        created_at=naive_utc(item.created_at),
        last_accessed=naive_utc(item.updated_at),
        **labels.model_dump(mode="json"),
    )


def labels_of(record: MemoryRecord) -> Labels:
    """The labels of a record.

    Raises:
        InvalidInputError: One breaks its rule.
    """
    return Labels.checked({name: getattr(record, name) for name in Labels.model_fields})


def naive_utc(moment: datetime) -> datetime:
    """A time as CrewAI keeps them: naive, and meant as UTC."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment


def inside(path: str, prefix: str | None) -> bool:
    """Whether a scope path lies in another, by whole segments: ``/user/10`` is not in ``/user/1``."""
    folder = normalize_scope_path(prefix or "/")
    return folder in ("/", path) or path.startswith(folder + "/")


def has_category(record: MemoryRecord, categories: Sequence[str] | None) -> bool:
    """Whether the record has one of the categories; True where none is asked for."""
    return not categories or not set(categories).isdisjoint(record.categories)


class RecalledMatch(MemoryMatch):
    """A match that CrewAI writes into a prompt or a tool's result as data."""

    _shown: str = PrivateAttr(default="")

    @classmethod
    def showing(cls, shown: str, item: MemoryItem, score: float) -> RecalledMatch:
        """The match of a memory that a model reads as ``shown``."""
        match = cls(record=as_record(item), score=score)
        match._shown = shown
        return match

    def format(self) -> str:
        """The memory in a block of its own, marked as data."""
        return self._shown or super().format()


def marked_matches(
    hits: Sequence[Hit], *, budget: int, query: str, timezone: str | None, notice: bool = True
) -> list[RecalledMatch]:
    """The hits as matches, as far as they fit into the budget (see `memweld.memory.recall.recall_lines`).

    CrewAI joins the results of ``format``, and its search tool leaves out a match that an earlier query found. So each
    match is a whole block; the first has the notice that it is data, not instructions, unless a profile before it has.
    """
    lines = recall_lines(hits, budget=budget, query=query, timezone=timezone)
    return [
        RecalledMatch.showing(write_block([line], notice=notice and place == 0), hit, hit.score)
        for place, (hit, line) in enumerate(lines)
    ]


def profile_match(profile: Profile) -> RecalledMatch:
    """A profile that is not empty as one match: its record is the first memory."""
    return RecalledMatch.showing(str(profile), profile.sections[0].lines[0].item, 1.0)


def all_items(memory: Memory, kinds: Sequence[Kind] | None) -> Iterator[MemoryItem]:
    """All memories of these kinds, page by page."""
    cursor: str | None = None
    while True:
        page = memory.all(limit=1_000, cursor=cursor, kinds=kinds)
        yield from page
        cursor = page.next
        if cursor is None:
            return

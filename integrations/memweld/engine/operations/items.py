"""Operations on memory items, and on the graph that links them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal

from ...errors import invalid
from ...models import JSON, Hit, Kind, MemoryItem, Related
from ...validation import validate_recency, validate_time
from .base import (
    Filters,
    ItemSource,
    ItemSources,
    Key,
    Kinds,
    Lane,
    Limit,
    Metadata,
    Operation,
    Query,
    Text,
    Version,
    between,
    unnamed,
)
from .operands import (
    ItemDraft,
    validate_drafts,
    validate_keyed_metadata,
    validate_keys,
    validate_timeout,
    validate_window,
)

__all__ = [
    "AddItems",
    "ClearItems",
    "DeleteItem",
    "DeleteItems",
    "DeleteKeyed",
    "DeleteMatching",
    "GetEpoch",
    "GetItem",
    "GetKeyed",
    "ItemPage",
    "ListItems",
    "PutKeyed",
    "RelatedItems",
    "Search",
    "SettleGraph",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddItems(Operation[list[MemoryItem]]):
    """Store the drafts, or the facts that the LLM finds in them; an equal text in the same scope is stored once.

    A text that is there already gets the session, the metadata and the time, too. The texts behind extracted facts are
    kept as sources. If the LLM fails, the texts are stored as they are.

    An erasure also ends what waits for the LLM: nothing of it is stored. With ``epoch`` nothing is stored if the scope
    was erased after `GetEpoch` answered that number.

    The answer holds the stored items in order; for a text that was there already, the item that holds it. It is empty
    only if the LLM found, well-formed, nothing to keep, or if the scope was erased or ``expires_at`` passed meanwhile.

    Attributes:
        drafts: The texts.
        infer: Whether the LLM extracts.
        metadata: The caller's data for all of them.
        session_id: Their conversation.
        created_at: The time of drafts without one of their own; None: that of the latest, else now.
        valid_from: When they become true; None: without a beginning.
        valid_until: When they stop being true; None: without an end.
        supersedes: The ids of items of the scope that the first stored item takes the place of, from ``valid_from`` on
            (or ``created_at``, or now). What they say stays, and is left out of lists and searches. None: those that
            the rule for relations finds; the caller names all others.
        pinned: Whether the stored items are pinned, also those that were there already; sources are not.
        expires_at: When they are deleted, with their versions and sources; None: never. A text that is there already
            ends when it was last added with an end, and never if it was last added without one.
        epoch: See above.
        is_explicit: Whether the caller asks to remember these very texts: if the LLM finds no new fact in them, they
            become items themselves, else only sources.
        is_extracted: Whether an LLM of the caller's has extracted the drafts; the role of each is then the speaker from
            whom it was learnt.
        source: Where they come from; None: from the speaker of each, and an extracted fact from the speaker of the
            text that it was learnt from.
        timezone: The zone of the day that the LLM is told (see `Search.timezone`).
    """

    changes_items = True

    drafts: Annotated[Sequence[ItemDraft], validate_drafts]
    infer: bool = False
    metadata: Metadata = field(default_factory=dict[str, JSON])
    session_id: Key | None = None
    created_at: Annotated[datetime, validate_time] | None = None
    valid_from: Annotated[datetime, validate_time] | None = None
    valid_until: Annotated[datetime, validate_time] | None = None
    supersedes: Annotated[Sequence[str], validate_keys] | None = None
    pinned: bool = False
    expires_at: Annotated[datetime, validate_time] | None = None
    epoch: Version | None = None
    is_explicit: bool = False
    is_extracted: bool = False
    source: ItemSource | None = None
    timezone: Key | None = None

    @property
    def lane(self) -> Lane:
        """The reason why it may wait: the LLM if that extracts the facts, else the embedder."""
        return "llm" if self.infer else "write"

    def validate_together(self) -> None:
        """A validity ends after it begins."""
        if self.valid_from is not None and self.valid_until is not None and self.valid_until <= self.valid_from:
            raise invalid("valid_until", self.valid_until, "it is not after valid_from", "Pass a later time.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEpoch(Operation[int]):
    """A number that differs after each erasure of the scope."""

    read_only = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Search(Operation[list[Hit]]):
    """The items of the scope that fit best, best first.

    Attributes:
        query: The text to search for; of a long text its last 4,000 characters.
        limit: How many at most.
        kinds: Only these kinds; None: all, of sources those whose facts do not cover them.
        sources: Only from these sources; None: all; ``trusted``: see `memweld.models.Sources`.
        filters: Conditions that the metadata of one occurrence, or all metadata together, must meet (see ``filters``).
        session_id: Only this session's; None: all.
        after: Only items that were said at this time or later; of a text that was added several times one occurrence.
        before: Only items that were said before this time.
        recency: The age at which a score counts half; None: age does not count.
        ids: Only the items with these ids; None: all.
        explain: Whether each hit gets the parts of its score.
        include_inactive: Whether superseded items and those that are not valid now are found, too.
        as_of: Find what was held true at this time instead of now.
        now: The moment from which a time in the query counts, such as "last week"; None: now.
        timezone: The zone in which it counts, of the IANA database. None, or one that the engine's machine lacks: that
            of ``now``, else UTC.
    """

    read_only = True
    usual_lane = "search"

    query: Query
    limit: Limit = 5
    kinds: Kinds | None = None
    sources: ItemSources | None = None
    filters: Filters = field(default_factory=dict[str, JSON])
    session_id: Key | None = None
    after: Annotated[datetime, validate_time] | None = None
    before: Annotated[datetime, validate_time] | None = None
    recency: Annotated[timedelta, unnamed(validate_recency)] | None = None
    ids: Annotated[Sequence[str], validate_keys] | None = None
    explain: bool = False
    include_inactive: bool = False
    as_of: Annotated[datetime, validate_time] | None = None
    now: Annotated[datetime, validate_time] | None = None
    timezone: Key | None = None

    def validate_together(self) -> None:
        """A window ends after it begins."""
        validate_window(self.after, self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetItem(Operation[MemoryItem]):
    """The item with this id."""

    read_only = True

    memory_id: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Items, and the cursor of the page behind them.

    Attributes:
        items: The items, in the order of the operation.
        next: The cursor; None where no more follow.
    """

    items: Sequence[MemoryItem]
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListItems(Operation[ItemPage]):
    """Items in the order in which they were stored, oldest first unless ``newest_first``.

    Attributes:
        limit: How many at most.
        cursor: The `ItemPage.next` of the page before, which stays valid when items are deleted; or the id of an item.
        kinds: Only these kinds; None: all but sources.
        sources: See `Search`.
        filters: See `Search`.
        session_id: Only this session's; None: all.
        pinned: Only pinned items.
        after: See `Search`.
        before: See `Search`.
        newest_first: Whether the order is reversed; a cursor continues in the order of its page.
        include_inactive: See `Search`.
        as_of: See `Search`.
    """

    read_only = True

    limit: Limit = 100
    cursor: Key | None = None
    kinds: Kinds | None = None
    sources: ItemSources | None = None
    filters: Filters = field(default_factory=dict[str, JSON])
    session_id: Key | None = None
    pinned: bool = False
    after: Annotated[datetime, validate_time] | None = None
    before: Annotated[datetime, validate_time] | None = None
    newest_first: bool = False
    include_inactive: bool = False
    as_of: Annotated[datetime, validate_time] | None = None

    def validate_together(self) -> None:
        """A window ends after it begins."""
        validate_window(self.after, self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteItem(Operation[None]):
    """Delete the item, its vector and its keywords; of a record its value, too.

    An extracted fact takes its sources along, which say the same. A source takes along the facts that come from it
    alone. An item takes along those that it supersedes.
    """

    changes_items = True
    overwrites = True

    memory_id: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteItems(Operation[int]):
    """Delete those of the items that the scope has, as `DeleteItem` does, all or none; how many."""

    changes_items = True
    overwrites = True

    memory_ids: Annotated[Sequence[str], validate_keys]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMatching(Operation[int]):
    """Delete the items that meet all conditions, superseded ones among them, as `DeleteItem` does, all or none.

    The answer counts them: an item and those that it supersedes as one, and sources only where ``kinds`` names them.

    Attributes:
        kinds: Only these kinds; None: all but records.
        sources: See `Search`.
        filters: See `Search`.
        session_id: Only this session's; None: all.
        after: See `Search`.
        before: See `Search`.
    """

    changes_items = True
    overwrites = True

    kinds: Kinds | None = None
    sources: ItemSources | None = None
    filters: Filters = field(default_factory=dict[str, JSON])
    session_id: Key | None = None
    after: Annotated[datetime, validate_time] | None = None
    before: Annotated[datetime, validate_time] | None = None

    def validate_together(self) -> None:
        """There is a condition, and a window ends after it begins."""
        given = (self.kinds, self.sources, self.session_id, self.after, self.before)
        if not self.filters and all(each is None for each in given):
            rule = "it names no condition, and would delete every memory"
            raise invalid("delete_all", {}, rule, "Pass a condition, or call clear() to delete all facts.")
        validate_window(self.after, self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteKeyed(Operation[bool]):
    """Delete the item under a key in exactly this scope; whether there was one."""

    changes_items = True
    overwrites = True

    kind: Literal["preference", "task"]
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearItems(Operation[int]):
    """Delete all items of the scope but records, which belong to state; how many."""

    changes_items = True
    overwrites = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PutKeyed(Operation[MemoryItem]):
    """Store a preference or a task's outcome under its key in exactly this scope, replacing what was there.

    Another value that was there becomes an earlier one. Without ``expires_at`` it never expires.
    """

    changes_items = True
    overwrites = True
    usual_lane = "write"

    kind: Literal["preference", "task"]
    key: Key
    text: Text
    metadata: Annotated[Mapping[str, JSON], validate_keyed_metadata] = field(default_factory=dict[str, JSON])
    expires_at: Annotated[datetime, validate_time] | None = None
    source: ItemSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetKeyed(Operation[MemoryItem | None]):
    """The item under a key in exactly this scope, or None."""

    read_only = True

    kind: Kind
    key: Key


# the graph, where there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedItems(Operation[list[Related]]):
    """The items of the scope that the graph links to an entity or to an item, the closest first.

    Without a graph it raises `ConfigurationError`.

    Attributes:
        about: The id of an item of the scope, or else the name of an entity.
        limit: How many at most.
    """

    read_only = True
    usual_lane = "search"

    about: Key
    limit: Annotated[int, between(1, 1_000)] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleGraph(Operation[bool]):
    """Wait until the graph has all earlier changes of the scope; whether it has. True where there is no graph.

    Attributes:
        timeout: Seconds to wait and to try at most, up to 60. None: some seconds, and none where the graph is known to
            be down.
    """

    read_only = True
    usual_lane = "flush"

    timeout: Annotated[float, validate_timeout] | None = None

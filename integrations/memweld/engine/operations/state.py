"""Operations on state: values, exact by namespace and key in exactly this scope.

A value with a text has an item of the kind ``record``, by which a search finds it; the item's metadata are the value's
namespace and key. Engines write, change, expire and delete value and record together. An expired value is absent from
every answer, and so is its record, whether it is purged already or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from ...models import JSON, ValueEntry, ValueHit, ValueWrite
from ..filters import validate_conditions
from .base import (
    ItemSource,
    Key,
    Lane,
    Limit,
    ManyLimit,
    Operation,
    Prefix,
    Query,
    Text,
    Ttl,
    Version,
    between,
    unnamed,
)
from .operands import Place, StoredValue, validate_places, validate_value, validate_writes

__all__ = [
    "DeleteValue",
    "FindValues",
    "GetValue",
    "ListKeys",
    "ListNamespaces",
    "PurgeExpired",
    "PutValue",
    "ReadValues",
    "ScanValues",
    "SearchValues",
    "WriteValues",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetValue(Operation[StoredValue | None]):
    """The value with its version, or None where there is none (a stored null is ``StoredValue(None, …)``)."""

    read_only = True

    namespace: Key
    key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class PutValue(Operation[int | None]):
    """Store a value; the answer is its new version, or None where the stored version is not ``if_version``.

    The value replaces what was stored whole: without ``text`` its record goes, without ``ttl`` its end.

    Attributes:
        namespace: Its namespace.
        key: Its key.
        value: Any JSON value.
        if_version: Write only if the stored version is this one (0: nothing is stored).
        text: The text of its record, by which a search finds it.
        ttl: Seconds until it expires; None: never.
        in_place: Change the value alone: a stored record and a stored end stay.
        source: Where the text comes from; None: from the user.
    """

    changes_items = True
    overwrites = True

    namespace: Key
    key: Key
    value: Annotated[JSON, validate_value]
    if_version: Version | None = None
    text: Text | None = None
    ttl: Ttl | None = None
    in_place: bool = False
    source: ItemSource | None = None

    @property
    def is_repeatable(self) -> bool:
        """Not with a version: a second attempt cannot tell its own first from another writer's."""
        return self.if_version is None

    @property
    def lane(self) -> Lane:
        """The reason why it may wait."""
        return "quick" if self.text is None else "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteValues(Operation[None]):
    """Do all writes in order, or none of them; ``source`` says where their texts come from."""

    changes_items = True
    overwrites = True

    writes: Annotated[Sequence[ValueWrite], validate_writes]
    source: ItemSource | None = None

    @property
    def lane(self) -> Lane:
        """The reason why it may wait."""
        return "quick" if all(write.text is None for write in self.writes) else "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteValue(Operation[bool]):
    """Delete the value; with ``if_version`` only if the stored version is that one. Whether it was deleted."""

    changes_items = True
    overwrites = True

    namespace: Key
    key: Key
    if_version: Version | None = None

    @property
    def is_repeatable(self) -> bool:
        """Not with a version: a second attempt cannot tell its own first from another writer's."""
        return self.if_version is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeys(Operation[list[str]]):
    """The keys of a namespace, sorted."""

    read_only = True

    namespace: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNamespaces(Operation[list[str]]):
    """The namespaces that hold values, in the order of the oldest value that each holds.

    Attributes:
        under: Only this namespace and those below it, where a slash separates levels; all if it is empty.
    """

    read_only = True

    under: Prefix = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadValues(Operation[list[ValueEntry | None]]):
    """The values at these places, in this order, None where there is none.

    Attributes:
        places: Pairs of namespace and key.
        refresh: Let each that expires live its whole time again from now.
    """

    read_only = True

    places: Annotated[Sequence[Place], validate_places]
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanValues(Operation[list[ValueEntry]]):
    """The values of a namespace whose keys begin with ``prefix``, sorted by key, from behind the key ``after``."""

    read_only = True

    namespace: Key
    prefix: Prefix = ""
    after: Key | None = None
    limit: Limit = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FindValues(Operation[list[ValueEntry]]):
    """The values of all namespaces under ``under``, in the order of `ListNamespaces`, the oldest of each first.

    Attributes:
        under: See `ListNamespaces`.
        where: Conditions on the values (see ``filters.py``); None: all values.
        offset: How many of those that fit to leave out at the beginning.
        limit: How many at most; None: all.
        refresh: See `ReadValues`; for the values in the answer.
    """

    read_only = True

    under: Prefix = ""
    where: Annotated[Mapping[str, JSON], unnamed(validate_conditions)] | None = None
    offset: Annotated[int, between(0, 1_000_000)] = 0
    limit: ManyLimit | None = None
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchValues(Operation[list[ValueHit]]):
    """The values that `FindValues` would find: first those with a text, best first, then the others in their order.

    Attributes:
        query: The text to search for; of a long text its last 4,000 characters.
        under: See `ListNamespaces`.
        where: See `FindValues`.
        offset: How many to leave out at the beginning.
        limit: How many at most.
        refresh: See `FindValues`.
    """

    read_only = True
    usual_lane = "search"

    query: Query
    under: Prefix = ""
    where: Annotated[Mapping[str, JSON], unnamed(validate_conditions)] | None = None
    offset: Annotated[int, between(0, 1_000_000)] = 0
    limit: ManyLimit = 10
    refresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeExpired(Operation[int]):
    """Delete the expired values of the scope; how many. It only frees room: engines also do it by themselves."""

    changes_items = True
    overwrites = True

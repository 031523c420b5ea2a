"""Operations on items that change: texts, versions, superseding and conflicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from ...models import Conflict, MemoryItem
from .base import ItemSource, Key, Limit, Metadata, Operation, Text
from .operands import validate_keys

__all__ = ["ItemVersions", "KeepBoth", "ListConflicts", "SupersedeItems", "UpdateItem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemVersions(Operation[list[MemoryItem]]):
    """All items of the chain in which items of the scope supersede each other and this one stands, oldest first.

    The earlier texts of each are among them.
    """

    read_only = True

    memory_id: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class SupersedeItems(Operation[MemoryItem]):
    """Put an item of the scope in the place of others; the item.

    They end when it begins, or now if one of them is younger.

    Attributes:
        memory_ids: The others.
        by: The item.
    """

    changes_items = True

    memory_ids: Annotated[Sequence[str], validate_keys]
    by: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepBoth(Operation[None]):
    """Note that two items of the scope are both true: they are no conflict. One that the other supersedes holds again.

    Attributes:
        memory_id: One of them.
        other_id: The other one.
    """

    changes_items = True

    memory_id: Key
    other_id: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConflicts(Operation[list[Conflict]]):
    """Pairs of valid items that give one relation different values, and of which no user said that both are true."""

    read_only = True

    limit: Limit = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateItem(Operation[MemoryItem]):
    """Replace the text of an item, and its metadata; what is None stays. Another text before becomes an earlier one.

    ``source`` says where another text comes from; None: from the user.
    """

    changes_items = True
    overwrites = True
    usual_lane = "write"

    memory_id: Key
    text: Text | None = None
    metadata: Metadata | None = None
    source: ItemSource | None = None

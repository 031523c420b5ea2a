"""Operations on pins, on the counts of recalls, and on the items of a profile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from ...models import MemoryItem
from ...validation import validate_time
from .base import Key, Limit, Operation
from .operands import validate_counts

__all__ = ["CountRecalls", "PinItem", "ProfileItems", "ReadProfile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinItem(Operation[MemoryItem]):
    """Pin an item that is no source and has no other in its place, or take its pin away."""

    changes_items = True

    memory_id: Key
    is_pinned: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRecalls(Operation[int]):
    """Add to the numbers of times that items of the scope were put before a model; how many items it has of them.

    It is no change of the items: neither their times nor the versions of indexes move.

    Attributes:
        counts: How many times, by id.
    """

    counts: Annotated[Mapping[str, int], validate_counts]

    @property
    def is_repeatable(self) -> bool:
        """A second time counts again."""
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileItems:
    """The items of a profile. One item may be in several lists.

    Attributes:
        pinned: Pinned items, the latest pin first.
        preferences: The preferences of exactly the scope, the latest change first.
        changed: Facts and task outcomes, the latest change first.
        recalled: What was recalled at least twice, most often first.
        before: The text in whose place an item stands since ``changed_since``, by the item's id.
    """

    pinned: Sequence[MemoryItem] = ()
    preferences: Sequence[MemoryItem] = ()
    changed: Sequence[MemoryItem] = ()
    recalled: Sequence[MemoryItem] = ()
    before: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadProfile(Operation[ProfileItems]):
    """The items of the scope that a profile is made of: no source, and nothing that is not valid now.

    Attributes:
        changed_since: The earliest change that is a recent one.
        limit: How many of each list at most.
    """

    read_only = True

    changed_since: Annotated[datetime, validate_time]
    limit: Limit = 50

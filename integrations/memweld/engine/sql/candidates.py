"""What a database does for a user with too many memories to be read into RAM: it counts words and finds candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Archive", "Wanted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows may be found.

    Attributes:
        owner: Only this owner's; None: all of the root.
        condition: More SQL on ``items``, beginning with AND.
        variables: Of the condition.
    """

    owner: int | None
    condition: str
    variables: Sequence[Any]


class Archive(Protocol):
    """The memories of one root."""

    def total(self, owner: int | None) -> int:
        """How many there are, of this owner or of all of the root."""
        ...

    def counts(self, terms: Sequence[str], owner: int | None) -> Mapping[str, int]:
        """How many memories say each term, of this owner or of all of the root."""
        ...

    def candidates(self, weights: Mapping[str, float], vector: bytes, wanted: Wanted) -> list[tuple[Any, ...]]:
        """Memories that may fit best, by words or by meaning, and their neighbours in their sessions, in order.

        Args:
            weights: What each term of the query weighs.
            vector: The query's vector.
            wanted: Which may be found; neighbours may be others.

        Returns:
            seq, owner, kind, session_id, created_at, text, vector, the seq of the memory before in the session, and
            whether it may be found.
        """
        ...

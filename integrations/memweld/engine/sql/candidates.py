"""The search for a user with too many memories for RAM: the database counts words and finds candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["CandidateSearch", "RowFilter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """The rows that a search may find.

    Attributes:
        owner: Only this owner's; None: all of the root.
        condition: More SQL on ``items``, beginning with AND.
        variables: Of the condition.
        among: The places of the rows, where a caller has chosen them; None: all.
        count: How many rows the search is for.
    """

    owner: int | None
    condition: str
    variables: Sequence[Any]
    among: Sequence[int] | None = None
    count: int = 0


class CandidateSearch(Protocol):
    """A search among the memories of one root."""

    def total(self, owner: int | None) -> int:
        """How many memories there are, of this owner or of all of the root."""
        ...

    def counts(self, terms: Sequence[str], owner: int | None) -> Mapping[str, int]:
        """How many memories contain each term, of this owner or of all of the root."""
        ...

    def find(self, weights: Mapping[str, float], vector: bytes, rows: RowFilter) -> list[tuple[Any, ...]]:
        """Memories that may fit best, by words or by meaning, and their neighbours in their sessions, in order.

        Args:
            weights: The weight of each term of the query.
            vector: The query's vector.
            rows: The rows that may be found; neighbours may be others.

        Returns:
            seq, owner, kind, session_id, created_at, text, vector, the seq of the memory before in the session, and
            whether it may be found.
        """
        ...

"""Validity of items: which were held true at a moment.

``valid_from`` and ``valid_until`` are seconds since 1970; NULL: without a beginning or an end. A superseded item has an
end, too, so that the two columns alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .database import Connection
from .ttl import now

__all__ = ["DATED", "SAID_AT", "Validity"]

DATED = "(items.valid_from IS NOT NULL OR items.valid_until IS NOT NULL)"
"""The rows with a validity, as their index has them."""

SAID_AT = "CASE WHEN items.key IS NULL THEN items.created_at ELSE items.updated_at END"
"""The ISO time at which a row was said first. A value under a key was said when the key got it."""


@dataclass(frozen=True, slots=True)
class Validity:
    """The items that are held true at a moment.

    Attributes:
        moment: Seconds since 1970.
        is_past: Whether a caller chose the moment: items that were learnt later are left out, unless they have a
            beginning of their own.
    """

    moment: float
    is_past: bool = False

    @staticmethod
    def of(as_of: datetime | None, *, include_inactive: bool = False) -> Validity | None:
        """The items that an operation asks for; None: all."""
        if as_of is not None:
            return Validity(as_of.timestamp(), is_past=True)
        return None if include_inactive else Validity(now())

    def condition(self) -> tuple[str, list[float]]:
        """The condition on rows of ``items``, beginning with AND, with its variables."""
        sql = " AND (items.valid_until IS NULL OR items.valid_until > ?)"
        if self.is_past:
            return f"{sql} AND coalesce(items.valid_from, seconds_of({SAID_AT})) <= ?", [self.moment] * 2
        return f"{sql} AND (items.valid_from IS NULL OR items.valid_from <= ?)", [self.moment] * 2

    def inactive(self, connection: Connection, root: int) -> tuple[list[int], list[int]]:
        """The places of the root's rows with a validity that does not hold, and of those that have a beginning."""
        rows: Sequence[tuple[int, float | None, float | None]] = connection.execute(
            f"SELECT seq, valid_from, valid_until FROM items WHERE root = ? AND {DATED}", (root,)
        ).fetchall()
        moment = self.moment
        over = [seq for seq, start, end in rows if (start or 0) > moment or (end is not None and end <= moment)]
        return over, [seq for seq, start, _ in rows if start is not None]

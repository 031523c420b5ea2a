"""Validity of items: which were held true at a moment.

``valid_from`` and ``valid_until`` are seconds since 1970; NULL: without a beginning or an end. A superseded item has an
end, too, so that the two columns alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .ttl import now

__all__ = ["DATED", "LEARNT", "SAID_AT", "Validity"]

DATED = "(items.valid_from IS NOT NULL OR items.valid_until IS NOT NULL)"
"""The rows with a validity, as their index has them."""

SAID_AT = "CASE WHEN items.key IS NULL THEN items.created_at ELSE items.updated_at END"
"""The ISO time at which a row was said first. A value under a key was said when the key got it."""

LEARNT = f"seconds_of({SAID_AT})"
"""The same in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Validity:
    """The items that are held true at a moment.

    Attributes:
        moment: Seconds since 1970.
        is_past: Whether a caller chose the moment: items that were learnt later are left out, unless they have a
            beginning of their own.
        window: Beginning and end of a time whose items are asked for, too, although they do not hold at the moment.
    """

    moment: float
    is_past: bool = False
    window: tuple[float, float] | None = None

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
            return f"{sql} AND coalesce(items.valid_from, {LEARNT}) <= ?", [self.moment] * 2
        sql += " AND (items.valid_from IS NULL OR items.valid_from <= ?)"
        if self.window is None:
            return sql, [self.moment] * 2
        held = f"(items.valid_until IS NULL OR items.valid_until > ?) AND coalesce(items.valid_from, {LEARNT}) < ?"
        return f" AND (({sql.removeprefix(' AND ')}) OR ({held}))", [self.moment, self.moment, *self.window]

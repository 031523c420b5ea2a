"""A year in a user's life: moves, changes of mind, corrections, things that held for a time; and questions about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..memory.memory import Memory
from ..models import MemoryItem
from ..validation import utc_now

__all__ = ["HOMES", "Year", "live_a_year"]

HOMES = ("I live in Porto", "I live in Lisbon", "I live in Faro")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Year:
    """The year before a moment.

    Attributes:
        now: Its end.
    """

    now: datetime

    def month(self, ago: int) -> datetime:
        """The middle of a month."""
        total = 12 * self.now.year + self.now.month - 1 - ago
        return self.now.replace(year=total // 12, month=total % 12 + 1, day=15, hour=12, minute=0)

    def name(self, ago: int) -> str:
        """A month as people name it: ``March 2025``."""
        month = self.month(ago)
        return f"{_MONTHS[month.month - 1]} {month.year}"


def live_a_year(memory: Memory) -> Year:
    """Have a memory learn what a user said in the year before now, in the order of time.

    The user lived in `HOMES`, and moved eight and three months ago, which nothing but the texts says; worked from a
    beach hut six months ago alone; took another favourite colour five months ago, a conflict until the user decides;
    and corrected a name. The metadata ``ago`` is the month.
    """
    year = Year(utc_now())

    def add(text: str, ago: int, *, until: int | None = None) -> MemoryItem:
        (item,) = memory.add(
            text,
            created_at=year.month(ago),
            valid_from=None if until is None else year.month(ago),
            valid_until=None if until is None else year.month(until),
            metadata={"ago": ago},
            session_id=f"month-{ago}",
            infer=False,
        )
        return item

    add(HOMES[0], 12)
    add("I am allergic to peanuts", 12)
    sister = add("My sister is called Clara", 11)
    green = add("My favourite colour is green", 10)
    add(HOMES[1], 8)
    add("I work from a beach hut", 6, until=5)
    blue = add("My favourite colour is blue", 5)
    assert blue.conflicts == (green.id,)
    memory.supersede(green.id, by=blue.id)
    memory.preferences.set("coffee", "with milk")
    add(HOMES[2], 3)
    memory.update(sister.id, "My sister is called Klara")
    memory.preferences.set("coffee", "black")
    return year

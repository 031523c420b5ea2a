"""The SQL that differs between SQLite and Postgres, as named fragments.

Both databases understand all other statements, with ``?`` for variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...models import JSON

if TYPE_CHECKING:
    from .selection import Fragment, Selection

__all__ = ["UNLIMITED", "Dialect"]

UNLIMITED = 2**63 - 1
"""The value for LIMIT when there is no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The fragments of one database.

    Attributes:
        in_namespace: A condition: rows of ``state`` in a namespace. Its variable is the namespace.
        key_between: A condition: rows of ``items`` whose key is at least the first variable and below the second.
        metadata_fit: Makes a condition: rows of ``items`` whose metadata meet the filters.
        occurrences_fit: Makes a condition: rows of ``items`` with an occurrence that fits the session, the window and
            the filters of a selection.
        skip_locked: A suffix of a SELECT before an UPDATE: skips rows that another writer has locked.
        leave_vector_index: A suffix of the SET of an UPDATE of ``items`` or ``owners``: takes the vectors out of the
            index of large users.
        purge_seconds: Seconds between two writes that look for expired state.
        purges_all: Whether a write may delete the expired state of all users; true where one writer at a
            time writes.
        swaps_at_once: Whether a reindex replaces all vectors in one transaction; true where no other writer
            waits long for it.
    """

    in_namespace: str
    key_between: str
    metadata_fit: Callable[[Mapping[str, JSON]], Fragment]
    occurrences_fit: Callable[[Selection], Fragment]
    skip_locked: str
    leave_vector_index: str
    purge_seconds: float
    purges_all: bool
    swaps_at_once: bool

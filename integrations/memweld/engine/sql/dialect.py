"""What the SQL of the stores says in one database otherwise than in the other, as named fragments.

All other statements are what SQLite and Postgres both understand, with ``?`` for variables.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNLIMITED", "Dialect"]

UNLIMITED = 2**63 - 1
"""The variable of a LIMIT that limits nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The fragments of one database.

    Attributes:
        in_namespace: Which rows of ``state`` lie in a namespace; its variable is the name.
        key_between: Which rows of ``items`` have a key from the first variable on and below the second.
        skip_locked: Behind a SELECT for rows that are changed next: leaves out rows that another writer is changing.
        leave_vector_index: Behind the SET of an UPDATE of ``items`` or ``owners``: vectors leave the index of large
            users.
        purge_seconds: How often a write looks for expired state.
        purges_all: Whether a write may delete the expired state of all users: where one writer at a time writes.
        swaps_at_once: Whether new vectors replace the old ones in one transaction: where no other writer waits long.
    """

    in_namespace: str
    key_between: str
    skip_locked: str
    leave_vector_index: str
    purge_seconds: float
    purges_all: bool
    swaps_at_once: bool

"""The protocol of a store that receives the changes of an outbox, and its errors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ...errors import BackendUnavailableError
from ..sql.outbox import Entry

__all__ = ["NewerLeaseError", "RefusedError", "Target"]


class RefusedError(BackendUnavailableError):
    """The target does not take these entries. It may take others."""


class NewerLeaseError(Exception):
    """Another process delivers meanwhile. ``fence`` is the number of its lease."""

    def __init__(self, fence: int) -> None:
        super().__init__(fence)
        self.fence = fence


class Target(Protocol):
    """A store that receives changes. To deliver the same again changes nothing."""

    @property
    def batch(self) -> int:
        """How many changes one call of `deliver` gets at most."""
        ...

    @property
    def knows_fences(self) -> bool:
        """Whether the store refuses a holder of the lease that another one has overtaken.

        If not, the deliverer repeats later what an overtaken holder may have delivered last.
        """
        ...

    def deliver(self, fence: int, entries: Sequence[Entry], deleted: Sequence[int]) -> Collection[int]:
        """Store these entries in the place of what the store has of them, and remove the deleted items.

        Args:
            fence: The number of the lease under which they are delivered.
            entries: Items as they are now.
            deleted: Items (``seq``) that do not exist any more.

        Returns:
            The items (``seq``) for which it is too early: the store cannot find yet what it received of them before.

        Raises:
            RefusedError: The store does not take some of them.
            BackendUnavailableError: The store does not answer.
            ConfigurationError: The store refuses the login.
            NewerLeaseError: The store has seen a newer lease.
        """
        ...

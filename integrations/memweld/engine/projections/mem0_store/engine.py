"""The engine whose vectors are in a mem0 store: the embedded engine's tables, and a copy of each item over there.

A write is committed to the file, together with a note that the store is to be told; then the store is told. What it
cannot take now it is told later, by the next call that writes or searches. So the order is always: the file first.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, TypeVar

from ....errors import BackendUnavailableError, MemweldError
from ....models import EraseReceipt
from ....scope import Scope
from ...extraction.mem0.side_effects import require_mem0
from ...fork import call_in_child
from ...operations import ClearItems, DeleteItem, Erase, Operation, Search
from ...protocol import EngineAdmin
from ...sql.database import Database
from ...sql.outbox import Outbox
from ...sql_engine import SqlAdmin, SqlEngine
from .configuration import read_configuration

__all__ = ["Mem0Engine"]

T = TypeVar("T")

logger = logging.getLogger("memweld.mem0")

_left_to_the_parent: list[object] = []


class Mem0Engine(SqlEngine):
    """Memory in one SQLite file, with its vectors in a store of mem0's or in mem0's hosted service.

    Args:
        database: The file.
        mem0: A mem0 configuration or ``"platform"`` (see ``configuration.read_configuration``).
        llm: What extracts facts, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `memweld.connect` takes it.
        cache_mb: How much RAM the words of the users that searched last may take.

    Raises:
        ConfigurationError: The configuration lacks something, or has what cannot be used here.
        MissingExtraError: mem0 is not installed.
    """

    def __init__(
        self,
        database: Database,
        *,
        mem0: Any,
        llm: Any,
        llm_timeout: float,
        embedder: Any,
        cache_mb: int = 512,
    ) -> None:
        configuration = read_configuration(mem0)
        require_mem0()
        super().__init__(database, llm=llm, llm_timeout=llm_timeout, embedder=embedder, cache_mb=cache_mb)
        self._options["mirror"] = configuration
        call_in_child(self._leave)

    def _leave(self) -> None:
        # In the child of a fork: what the parent has open is the parent's, and must not be closed here.
        _left_to_the_parent.append(self._loaded)
        self._loaded = None

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the file and its store."""
        return Mem0Admin(self)

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope; the store receives the changes.

        Raises:
            BackendUnavailableError: The store does not answer a deletion. The item is gone here, and nobody can read
                it any more; its copy goes when the store answers.
        """
        kind = type(operation)
        if kind is Search:
            self._wake()
        answer = super().run(scope, operation)
        if kind in (DeleteItem, ClearItems):
            self._forgotten("The memory is" if kind is DeleteItem else "The memories are")
        elif kind is not Erase and operation.changes_items:
            self.settle_changes()
        return answer

    def settle_changes(self) -> None:
        """Have the store receive what waits. Failures are logged by the deliverer, and the changes go on waiting."""
        try:
            if self._waits() and (projection := self.facts.projection) is not None:
                projection.settle_changes()
        except MemweldError as error:
            logger.warning("%s", error)

    def _wake(self) -> None:
        """Begin to deliver: a process that was killed may have left changes, and nobody may write any more."""
        if (projection := self.facts.projection) is not None:
            projection.deliverer.wake()

    def deliver_all(self) -> int:
        """Have the store receive all changes that wait; how many.

        Raises:
            BackendUnavailableError: It does not take some of them; these go on waiting.
        """
        projection = self.facts.projection
        return 0 if projection is None else projection.repair()

    def _settle_deletions(self) -> int:
        """Have the store delete copies of deleted items; how many may still be there because it is too early.

        Raises:
            BackendUnavailableError: It does not answer.
        """
        if not self._waits() or (projection := self.facts.projection) is None:
            return 0
        return projection.settle_deletions()

    def _waits(self) -> bool:
        return Outbox(self._database, "mem0").pending().count > 0

    def _forgotten(self, what: str) -> None:
        try:
            self._settle_deletions()
        except MemweldError as error:
            raise BackendUnavailableError(
                f"{what} deleted here and cannot be read any more, but the copy in the store is still there: {error} "
                "It is deleted when the store answers."
            ) from error

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, here and in the store.

        The receipt says ``overwritten=False`` where the store has not confirmed it yet, or may keep copies of its own.
        """
        receipt = super().erase(scope)
        try:
            left = self._settle_deletions()
        except MemweldError as error:
            logger.warning("What was erased has copies in the store until it answers: %s", error)
            left = -1
        projection = None if self._loaded is None else self._loaded.projection
        if left or (projection is not None and projection.store.keeps_copies):
            return replace(receipt, overwritten=False)
        return receipt

    def close(self) -> None:
        """Close the file and give the store back."""
        with self._loading:
            loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.projection is not None:
            loaded.projection.close()
        super().close()


class Mem0Admin(SqlAdmin):
    """The operator's view of a file and its store."""

    def __init__(self, engine: Mem0Engine) -> None:
        super().__init__(engine)
        self._mem0 = engine

    def purge_expired(self) -> int:
        """Delete the expired values of all users, here and in the store."""
        count = super().purge_expired()
        self._mem0.settle_changes()
        return count

    def sync_projections(self) -> int:
        """Have the store receive all changes that wait; how many."""
        return self._mem0.deliver_all()

"""A mem0 store as a projection of an engine: the tables of a file, and a copy of each item over there.

A write is committed to the file first. Then the caller waits until the store has it, for some seconds at most. What
the store does not take is delivered later.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ....errors import BackendUnavailableError, MemweldError
from ....models import EraseReceipt, Hit
from ....scope import Scope
from ...fork import call_in_child
from ...operations import (
    ClearItems,
    DeleteItem,
    DeleteItems,
    DeleteKeyed,
    Erase,
    Operation,
    RelatedItems,
    Search,
    SettleGraph,
)
from ...protocol import EngineAdmin
from ...sql.outbox import Outbox
from ..engine import Run

if TYPE_CHECKING:
    from ...sql_engine import SqlEngine
    from .projection import Mem0Projection

__all__ = ["StoreProjection"]

logger = logging.getLogger("memweld.mem0")

_parents_facts: list[object] = []  # kept, because collecting them would close the parent's store


class StoreProjection:
    """The mem0 store that holds the vectors of an engine's file.

    Args:
        engine: The engine; its facts open the store when they are first needed.
    """

    is_graph = False

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine
        self._outbox = Outbox(engine.database, "mem0")
        call_in_child(self._leave_to_parent)

    def _leave_to_parent(self) -> None:
        _parents_facts.append(self._engine.release_facts())

    @property
    def opened(self) -> Mem0Projection:
        """The store; the first use opens it."""
        return cast("Mem0Projection", self._engine.facts.projection)

    @contextlib.contextmanager
    def changing(self, operation: Operation[Any] | None) -> Generator[None]:
        """Have the store receive the changes that are made inside.

        Raises:
            BackendUnavailableError: It was a deletion, and the store does not answer. The item is gone from the file,
                and no search finds it; its copy goes when the store answers.
        """
        yield
        if isinstance(operation, (DeleteItem, DeleteItems, DeleteKeyed, ClearItems)):
            try:
                self._settle_deletions()
            except MemweldError as error:
                what = "The memory is" if isinstance(operation, (DeleteItem, DeleteKeyed)) else "The memories are"
                raise BackendUnavailableError(
                    f"{what} deleted here and cannot be read any more, but the copy in the store is still there: "
                    f"{error} It is deleted when the store answers."
                ) from error
            return
        try:
            if self._outbox.pending().count:
                self.opened.settle_changes()
        except MemweldError as error:
            logger.warning("%s", error)

    def _settle_deletions(self) -> int:
        """Have the store delete copies; how many may still be there (see ``Mem0Projection.settle_deletions``)."""
        return self.opened.settle_deletions() if self._outbox.pending().count else 0

    def search(self, scope: Scope, operation: Search, run: Run) -> list[Hit]:
        """Search the file with the vectors of the store."""
        # A killed process may have left changes behind; deliver them although no process writes now.
        self.opened.deliverer.wake()
        return run(scope, operation)

    def erase(self, scope: Scope, operation: Erase, run: Run) -> EraseReceipt:
        """Remove all that the scope contains, here and in the store.

        The receipt says ``overwritten=False`` where the store has not confirmed it yet, or may keep copies of its own.
        """
        receipt: EraseReceipt = run(scope, operation)
        try:
            left = self._settle_deletions()
        except MemweldError as error:
            logger.warning("What was erased has copies in the store until it answers: %s", error)
            left = -1
        if left or (self._engine.is_loaded and self.opened.store.keeps_copies):
            return replace(receipt, overwritten=False)
        return receipt

    def answer(self, scope: Scope, operation: RelatedItems | SettleGraph) -> Any:
        """Never asked: a store of vectors is no graph."""
        raise NotImplementedError

    # for the operator

    def sync(self) -> int:
        """Have the store receive all changes that wait; how many.

        Raises:
            BackendUnavailableError: It does not take some of them; these go on waiting.
        """
        return self.opened.repair()

    def health(self) -> None:
        """None: a store of vectors is no graph."""

    def repair(self, scope: Scope | None, *, whole: bool) -> int:
        """Never asked: a store of vectors is no graph."""
        raise NotImplementedError

    def detach(self, inner: EngineAdmin) -> int:
        """Drop the changes that wait for a graph, which may be another process's."""
        return inner.detach_graph()

    def close(self) -> None:
        """End the delivery, and give the store back."""
        facts = self._engine.release_facts(is_end=True)
        if facts is not None and facts.projection is not None:
            facts.projection.close()

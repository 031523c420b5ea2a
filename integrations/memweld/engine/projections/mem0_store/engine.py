"""The engine whose vectors are in a mem0 store: the embedded engine's tables, and a copy of each item over there.

A write is committed to the file, together with a note that the store is to be told; then the store is told. What it
cannot take now it is told later, by the next call that writes or searches. So the order is always: the file first.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ....errors import BackendUnavailableError, MemweldError
from ....models import EraseReceipt
from ....scope import Scope
from ...extraction.mem0.side_effects import require_mem0
from ...sql.outbox import Outbox
from ...sql_engine import SqlEngine
from ...sqlite.pool import Durability
from .configuration import read_configuration

__all__ = ["Mem0Engine"]

logger = logging.getLogger("memweld.mem0")

_left_to_the_parent: list[object] = []


class Mem0Engine(SqlEngine):
    """Memory in one SQLite file, with its vectors in a store of mem0's or in mem0's hosted service.

    Args:
        url: ``sqlite://…`` (see ``stores.sqlite.path_of``).
        mem0: A mem0 configuration or ``"platform"`` (see ``configuration.read_configuration``).
        llm: What extracts facts, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `memweld.connect` takes it.
        durability: What an acknowledged write survives, as `memweld.connect` takes it.
        cache_mb: How much RAM the words of the users that searched last may take.

    Raises:
        ConfigurationError: The configuration lacks something, or has what cannot be used here.
        MissingExtraError: mem0 is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        mem0: Any,
        llm: Any,
        llm_timeout: float,
        embedder: Any,
        durability: Durability = "normal",
        cache_mb: int = 512,
    ) -> None:
        configuration = read_configuration(mem0)
        require_mem0()
        super().__init__(
            url,
            llm=llm,
            llm_timeout=llm_timeout,
            embedder=embedder,
            durability=durability,
            cache_mb=cache_mb,
        )
        self._options["mirror"] = configuration
        self._database.after_fork.append(self._leave)

    def _leave(self) -> None:
        # In the child of a fork: what the parent has open is the parent's, and must not be closed here.
        _left_to_the_parent.append(self._loaded)
        self._loaded = None

    def _settle_changes(self) -> None:
        """Have the store receive what waits. Failures are logged by the deliverer, and the changes go on waiting."""
        try:
            if self._waits() and (projection := self._facts.projection) is not None:
                projection.settle_changes()
        except MemweldError as error:
            logger.warning("%s", error)

    def _wake(self) -> None:
        """Begin to deliver: a process that was killed may have left changes, and nobody may write any more."""
        if (projection := self._facts.projection) is not None:
            projection.deliverer.wake()

    def deliver_all(self) -> int:
        """Have the store receive all changes that wait; how many.

        Raises:
            BackendUnavailableError: It does not take some of them; these go on waiting.
        """
        projection = self._facts.projection
        return 0 if projection is None else projection.repair()

    def _settle_deletions(self) -> int:
        """Have the store delete copies of deleted items; how many may still be there because it is too early.

        Raises:
            BackendUnavailableError: It does not answer.
        """
        if not self._waits() or (projection := self._facts.projection) is None:
            return 0
        return projection.settle_deletions()

    def _waits(self) -> bool:
        return Outbox(self._database, "mem0").pending().count > 0

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item, here and in the store.

        Raises:
            BackendUnavailableError: The store does not answer. The item is gone here, and nobody can read it any more;
                its copy goes when the store answers.
        """
        super().delete_item(scope, memory_id)
        self._forgotten("The memory is")

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope, here and in the store (see `delete_item`)."""
        count = super().clear_items(scope)
        self._forgotten("The memories are")
        return count

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


def _delivered(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def method(self: Mem0Engine, *arguments: Any, **options: Any) -> Any:
        self._wake()  # pyright: ignore[reportPrivateUsage]
        return plain(self, *arguments, **options)

    return method


def _delivering(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def method(self: Mem0Engine, *arguments: Any, **options: Any) -> Any:
        answer = plain(self, *arguments, **options)
        self._settle_changes()  # pyright: ignore[reportPrivateUsage]
        return answer

    return method


# What changes items; a test finds one that is forgotten here.
for _name in "add_items put_keyed update_item put_value write_values delete_value sweep_values restore".split():
    setattr(Mem0Engine, _name, _delivering(getattr(Mem0Engine, _name)))
Mem0Engine.search_items = _delivered(Mem0Engine.search_items)

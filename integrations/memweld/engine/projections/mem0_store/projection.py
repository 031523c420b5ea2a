"""The projection to a mem0 store: delivers vectors to it, and delivers again those that it has lost.

The table of items holds a new vector until the store has it. Searches find it there meanwhile, and a delivery does not
embed its text again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from ....errors import BackendUnavailableError
from ...search.embedder_check import EmbedderCheck
from ...search.embedders import GuardedEmbedding
from ...sql.database import Database
from ...sql.outbox import Entry, Outbox
from ..delivery import Deliverer
from ..protocol import RefusedError
from .configuration import Mem0Configuration
from .item_store import ProjectedItemStore
from .protocol import ItemCopy, Mem0Store, Records

__all__ = ["Mem0Projection", "Mem0Target"]

logger = logging.getLogger("memweld.mem0")

_BATCH = 128
_CHUNK = 500
_PATIENCE_SECONDS = 10.0
_DELETION_SECONDS = 300.0


class Mem0Target:
    """A store of mem0's that receives changes.

    Args:
        database: The tables.
        store: The store.
        embedding: Makes the vectors that do not wait with their items.
    """

    batch = _BATCH

    def __init__(self, database: Database, store: Mem0Store, embedding: GuardedEmbedding) -> None:
        self._database = database
        self.store = store
        self._embedding = embedding

    @property
    def knows_fences(self) -> bool:
        """Whether no process can deliver after another one has taken over."""
        return self.store.is_exclusive

    def deliver(self, fence: int, entries: Sequence[Entry], deleted: Sequence[int]) -> Collection[int]:
        """Put entries with their vectors, and drop deleted items (see ``Target.deliver``)."""
        early: set[int] = set()
        try:
            if deleted:
                early |= set(self.store.drop(deleted))
            if entries:
                waiting = self._waiting_vectors([entry.seq for entry in entries])
                early |= set(self.store.put(self._with_vectors(entries, waiting)))
                self._take_out(waiting, early)
        except BackendUnavailableError as error:
            # Whether the store refuses an item or everything, no store says in a way that all share.
            raise RefusedError(str(error)) from error
        return early

    def _waiting_vectors(self, items: Sequence[int]) -> dict[int, tuple[int, bytes]]:
        """The stamps and vectors of those items whose vectors the table still has."""
        with self._database.reading_all() as connection:
            rows = connection.execute(
                "SELECT seq, stamp, vector FROM items WHERE length(vector) > 0 "
                f"AND seq IN ({', '.join('?' * len(items))})",
                list(items),
            )
            return {row[0]: (row[1], row[2]) for row in rows}

    def _with_vectors(self, entries: Sequence[Entry], waiting: dict[int, tuple[int, bytes]]) -> list[ItemCopy]:
        vectors: dict[int, Any] = {item: np.frombuffer(packed, dtype="<f4") for item, (_, packed) in waiting.items()}
        without = [entry for entry in entries if entry.seq not in vectors]
        if without:
            made = self._embedding.embed_batch([entry.text for entry in without])
            vectors |= {entry.seq: vector for entry, vector in zip(without, made, strict=True)}
        return [ItemCopy(entry, vectors[entry.seq]) for entry in entries]

    def _take_out(self, waiting: dict[int, tuple[int, bytes]], early: Collection[int]) -> None:
        """Take vectors out of the table that the store has now, unless the item has changed since."""
        stamps = [(item, stamp) for item, (stamp, _) in waiting.items() if item not in early]
        if stamps:
            with self._database.writing_all() as connection:
                connection.executemany("UPDATE items SET vector = x'' WHERE seq = ? AND stamp = ?", stamps)


class Mem0Projection:
    """The store of a file's vectors, with what delivers to it.

    Args:
        configuration: Names the store.
        database: The tables.
        embedding: Makes vectors.
        check: Says which embedder the vectors are of, and where they are.

    Raises:
        ConfigurationError: The configuration is wrong, or for vectors of another length.
        MissingExtraError: A package is not installed.
        BackendUnavailableError: The store does not answer.
    """

    def __init__(
        self,
        configuration: Mem0Configuration,
        database: Database,
        embedding: GuardedEmbedding,
        check: EmbedderCheck,
    ) -> None:
        self._database = database
        self._embedding = embedding
        self._check = check
        self.outbox = Outbox(database, "mem0")
        # A database that is closed must open no store.
        records = Records(self.outbox.name())
        self.store = _open(configuration, database, len(embedding.embed("memory")), records)
        self.deliverer = Deliverer(self.outbox, Mem0Target(database, self.store, embedding))
        if self.store.is_exclusive:
            # The process that held the lease has closed the store, or is dead.
            self.deliverer.lease.release()

    def make_item_store(self, *, cache_bytes: int) -> ProjectedItemStore:
        """The items table, searched through the vectors of this store."""
        parts = (self._database, self._check, self._embedding)
        return ProjectedItemStore(self.store, *parts, cache_bytes=cache_bytes)

    def settle_changes(self) -> None:
        """Wait some seconds for the delivery of what waits. Where the store is known to fail, do not wait."""
        self.deliverer.settle(timeout=_PATIENCE_SECONDS)

    def settle_deletions(self) -> int:
        """Have the store delete the copies of deleted items; how many may still be there because it is too early.

        Raises:
            BackendUnavailableError: The store does not answer, and has copies that wait for their deletion.
        """
        try:
            self.deliverer.settle_or_fail(_DELETION_SECONDS)
        except BackendUnavailableError as error:
            if self.outbox.pending(deleted=True).count:
                raise
            logger.warning("%s", error)
        return self.outbox.pending(deleted=True).count

    def repair(self) -> int:
        """Deliver all that waits, also what is put off; how many changes were delivered.

        Raises:
            BackendUnavailableError: The store does not take some of them; these go on waiting.
        """
        self.outbox.bring_forward()
        before = self.outbox.pending().count
        self.deliverer.settle_or_fail(_DELETION_SECONDS)
        return before - self.outbox.pending().count

    def rebuild(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Deliver what the store lacks: everything for a new embedder or store, else what it has lost; how many items.

        Raises:
            BackendUnavailableError: The store does not take some of them; these go on waiting.
        """
        named = self._check.name(len(self._embedding.embed("memory")))
        with self._database.writing_all() as connection:
            if self._check.stored(connection) not in (None, named):
                connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (named,))
                connection.execute("DELETE FROM outbox WHERE target = 'mem0'")
                connection.execute("UPDATE items SET vector = x''")
                self.outbox.fill()
                # Every cached index is read anew.
                connection.execute("UPDATE owners SET version = version + 1, cleared = version + 1")
        self._put_lost()
        before = self.outbox.pending().count
        last, most = self.outbox.pending().last, self.deliverer.failures

        def is_over() -> bool:
            if progress is not None:
                progress(before - self.outbox.pending(up_to=last).count, before)
            return self.deliverer.failures > most

        if not self.deliverer.settle(timeout=float("inf"), urge=True, give_up=is_over):
            raise BackendUnavailableError(
                self.deliverer.lease.state().problem or f"{self.store.where} does not answer."
            )
        if progress is not None and before:
            progress(before, before)
        return before - self.outbox.pending().count

    def _put_lost(self) -> None:
        last = 0
        while True:
            with self._database.reading_all() as connection:
                rows = connection.execute(
                    f"SELECT seq FROM items WHERE {self.outbox.projected} AND seq > ? "
                    "AND seq NOT IN (SELECT item FROM outbox WHERE target = ?) ORDER BY seq LIMIT ?",
                    (last, self.outbox.target, _CHUNK),
                ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            self.outbox.put(self.store.missing([row[0] for row in rows]))

    def close(self) -> None:
        """End the delivery, and give the store back."""
        self.deliverer.stop(_PATIENCE_SECONDS)
        self.store.close()


def _open(configuration: Mem0Configuration, database: Database, dimensions: int, records: Records) -> Mem0Store:
    if configuration.provider == "platform":
        from .hosted import HostedStore

        return HostedStore(configuration.details, database, records)
    from .vectors import VectorStore

    return VectorStore(configuration.provider, configuration.details, dimensions, records)

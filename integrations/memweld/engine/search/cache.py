"""The indexes of all users in RAM, below a number of bytes together. The least recently used go first."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from ..fork import call_in_child
from ..sql.database import Connection
from .snapshot import Snapshot
from .vector_index import VectorIndex

__all__ = ["IndexCache", "StaleTransactionError"]

# The cache remembers whom this many erasures concerned. If more of them happen during one search, it drops every index.
_REMEMBERED_ERASURES = 256


class StaleTransactionError(Exception):
    """The index knows rows that this transaction does not see, because a later transaction has read them in."""


class IndexCache:
    """The indexes that searches used last. Thread-safe.

    Args:
        maximum_bytes: The limit for all indexes together; the one in use may exceed it.
        has_vectors: Whether the indexes hold vectors, or only words.

    Attributes:
        maximum_bytes: The same.
        erasures: How many times `forget` was called.
    """

    def __init__(self, *, maximum_bytes: int = 512 * 1024 * 1024, has_vectors: bool = True) -> None:
        self.maximum_bytes = maximum_bytes
        self._has_vectors = has_vectors
        self._begin()
        call_in_child(self._begin)

    def _begin(self) -> None:
        """Hold nothing, as at first; also in a forked child, whose parent may have been changing an index."""
        self._lock = threading.Lock()
        self._indexes: OrderedDict[int, VectorIndex] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self.erasures = 0
        self._last_erased: deque[int] = deque(maxlen=_REMEMBERED_ERASURES)

    @property
    def bytes(self) -> int:
        """About how much RAM the indexes take."""
        return self._bytes

    def __len__(self) -> int:
        """The number of indexes."""
        return len(self._indexes)

    def read(self, connection: Connection, root: int, *, anew: bool = False) -> Snapshot | None:
        """The root's rows as this connection's transaction sees them; None if there are none.

        Args:
            connection: In a transaction.
            root: The root owner.
            anew: Whether to drop the index and read all rows again.

        Raises:
            StaleTransactionError: The transaction is older than the index; never with ``anew``.
        """
        if anew:
            index = VectorIndex(has_vectors=self._has_vectors)
            index.refresh(connection, root)
            snapshot, size = index.snapshot(), index.bytes
            with self._lock:
                self._indexes[root] = index
            self._account(root, index, size)
            return snapshot
        with self._lock:
            index = self._indexes.setdefault(root, VectorIndex(has_vectors=self._has_vectors))
            self._indexes.move_to_end(root)
        with index.lock:
            if not index.refresh(connection, root):
                raise StaleTransactionError
            snapshot, size = index.snapshot(), index.bytes
        self._account(root, index, size)
        return snapshot

    def forget(self, root: int) -> None:
        """Drop one root's index; the root's next search reads anew."""
        with self._lock:
            self.erasures += 1
            self._last_erased.append(root)
            self._drop(root)

    def forget_again(self, since: int) -> None:
        """Drop the indexes forgotten since ``erasures`` had this value: an older search may have read one in again."""
        with self._lock:
            count = self.erasures - since
            for root in list(self._last_erased)[-count:] if count <= _REMEMBERED_ERASURES else list(self._indexes):
                self._drop(root)

    def _drop(self, root: int) -> None:
        self._indexes.pop(root, None)
        self._bytes -= self._sizes.pop(root, 0)

    def _account(self, root: int, index: VectorIndex, size: int) -> None:
        with self._lock:
            if self._indexes.get(root) is not index:
                return
            self._bytes += size - self._sizes.get(root, 0)
            self._sizes[root] = size
            while self._bytes > self.maximum_bytes and len(self._indexes) > 1:
                oldest, _ = self._indexes.popitem(last=False)
                self._bytes -= self._sizes.pop(oldest, 0)

"""The indexes in RAM, of all users together below a number of bytes: the ones used longest ago go first."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from ..sql.database import Connection
from .snapshot import Snapshot
from .vector_index import Index

__all__ = ["IndexCache", "OutrunError"]

# So many erasures during one search are known by their user; during more of them everything is dropped.
_KNOWN_ERASURES = 256


class OutrunError(Exception):
    """The index knows rows that the transaction does not see: another that began later has read them in."""


class IndexCache:
    """The indexes that were used last. Thread-safe.

    Args:
        maximum_bytes: What all of them together may take; the one in use may go beyond it.

    Attributes:
        maximum_bytes: The same.
        forgotten: How often something was forgotten.
    """

    def __init__(self, *, maximum_bytes: int = 512 * 1024 * 1024) -> None:
        self.maximum_bytes = maximum_bytes
        self.begin()

    @property
    def bytes(self) -> int:
        """About how much RAM they take."""
        return self._bytes

    def __len__(self) -> int:
        """How many there are."""
        return len(self._indexes)

    def read(self, connection: Connection, root: int, *, anew: bool = False) -> Snapshot | None:
        """The root's rows as this connection's transaction sees them; None if there are none.

        Args:
            connection: In a transaction.
            root: Whose.
            anew: Whether to read them all, and to forget what is known of them.

        Raises:
            OutrunError: The transaction is older than what is known of the root; not with ``anew``.
        """
        if anew:
            index = Index()
            index.refresh(connection, root)
            snapshot, size = index.snapshot(), index.bytes
            with self._lock:
                self._indexes[root] = index
            self._account(root, index, size)
            return snapshot
        with self._lock:
            index = self._indexes.setdefault(root, Index())
            self._indexes.move_to_end(root)
        with index.lock:
            if not index.refresh(connection, root):
                raise OutrunError
            snapshot, size = index.snapshot(), index.bytes
        self._account(root, index, size)
        return snapshot

    def forget(self, root: int) -> None:
        """Drop one root's index; the root's next search reads anew."""
        with self._lock:
            self.forgotten += 1
            self._last_forgotten.append(root)
            self._drop(root)

    def forget_again(self, since: int) -> None:
        """Drop what was forgotten since ``forgotten`` said this: a search that began before may have read it anew."""
        with self._lock:
            count = self.forgotten - since
            for root in list(self._last_forgotten)[-count:] if count <= _KNOWN_ERASURES else list(self._indexes):
                self._drop(root)

    def _drop(self, root: int) -> None:
        self._indexes.pop(root, None)
        self._bytes -= self._sizes.pop(root, 0)

    def begin(self) -> None:
        """Hold nothing, as at first: in a forked child, where no other thread runs."""
        self._lock = threading.Lock()
        self._indexes: OrderedDict[int, Index] = OrderedDict()
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self.forgotten = 0
        self._last_forgotten: deque[int] = deque(maxlen=_KNOWN_ERASURES)

    def _account(self, root: int, index: Index, size: int) -> None:
        with self._lock:
            if self._indexes.get(root) is not index:
                return
            self._bytes += size - self._sizes.get(root, 0)
            self._sizes[root] = size
            while self._bytes > self.maximum_bytes and len(self._indexes) > 1:
                oldest, _ = self._indexes.popitem(last=False)
                self._bytes -= self._sizes.pop(oldest, 0)

"""The last item of each page: the next page begins behind it, even if that item is deleted meanwhile."""

from __future__ import annotations

import threading

from cachetools import LRUCache

from ...scope import Scope
from ..fork import call_in_child

__all__ = ["PageCursors"]

_MOST = 4096


class PageCursors:
    """The last items of the latest pages, with their places. Thread-safe; in RAM alone."""

    def __init__(self) -> None:
        self._renew()
        call_in_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._places: LRUCache[tuple[Scope, str], int] = LRUCache(_MOST)

    def add(self, scope: Scope, memory_id: str, place: int) -> None:
        """A page of this scope ended with this item."""
        with self._lock:
            self._places[scope, memory_id] = place

    def find(self, scope: Scope, memory_id: str) -> int | None:
        """The place of an item with which a page of this scope ended."""
        with self._lock:
            return self._places.get((scope, memory_id))

    def forget(self, scope: Scope) -> None:
        """Forget what the scope contains."""
        with self._lock:
            for key in [key for key in self._places if scope.contains(key[0])]:
                del self._places[key]

"""Where pages of items ended, so that the next page begins there although the last item is gone meanwhile."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ...scope import Scope

__all__ = ["PageEnds"]

_MOST = 4096


class PageEnds:
    """The last items of the pages that were handed out latest, with their places. Thread-safe; kept in RAM alone."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Know of none, with a lock of its own: also in the child of a fork."""
        self._lock = threading.Lock()
        self._places: OrderedDict[tuple[Scope, str], int] = OrderedDict()

    def note(self, scope: Scope, memory_id: str, place: int) -> None:
        """A page of this scope ended with this item."""
        with self._lock:
            self._places[scope, memory_id] = place
            self._places.move_to_end((scope, memory_id))
            if len(self._places) > _MOST:
                self._places.popitem(last=False)

    def find(self, scope: Scope, memory_id: str) -> int | None:
        """The place of an item with which a page of this scope ended."""
        with self._lock:
            return self._places.get((scope, memory_id))

    def forget(self, scope: Scope) -> None:
        """Forget what the scope contains."""
        with self._lock:
            for key in [key for key in self._places if scope.contains(key[0])]:
                del self._places[key]

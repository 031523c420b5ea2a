"""A lock for what is imported or made when it is first needed, which a fork waits for."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType

__all__ = ["Loading"]

_PATIENCE_SECONDS = 10.0


class Loading:
    """Held while something is loaded. What another thread is importing at a fork stays half imported in the child."""

    def __init__(self) -> None:
        self.start_anew()
        _all.add(self)

    def start_anew(self) -> None:
        """In the child of a fork: nobody holds it."""
        # Not a plain lock: who forks while loading must not wait for itself.
        self._lock = threading.RLock()

    def hold(self) -> bool:
        """Wait for who is loading, but not for ever; whether it is held now."""
        return self._lock.acquire(timeout=_PATIENCE_SECONDS)

    def release(self) -> None:
        """Let others load."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


_all: weakref.WeakSet[Loading] = weakref.WeakSet()
_held: list[Loading] = []


def _hold_all() -> None:
    _held[:] = [loading for loading in list(_all) if loading.hold()]


def _release_all() -> None:
    while _held:
        _held.pop().release()


def _start_anew() -> None:
    _held.clear()
    for loading in list(_all):
        loading.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_release_all, after_in_child=_start_anew)

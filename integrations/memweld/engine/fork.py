"""Steps of a forked child before its first thread: it renews locks and leaves the parent's connections alone.

The child has one thread. A lock that another thread of the parent held stays locked in the child for ever, and an
object that was being changed stays half changed. The parent waits for nothing of this.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from types import MethodType, TracebackType
from typing import Any, cast

__all__ = ["BackgroundThread", "RenewedLock", "call_in_child"]

_logger = logging.getLogger("memweld.background")
_calls: weakref.WeakKeyDictionary[Any, list[Callable[[Any], None]]] = weakref.WeakKeyDictionary()


def call_in_child(method: Callable[[], None]) -> None:
    """Call a bound method in every forked child, as long as its object lives."""
    bound = cast("MethodType", method)
    _calls.setdefault(bound.__self__, []).append(bound.__func__)


def _call_all() -> None:
    for instance, functions in list(_calls.items()):
        for function in functions:
            function(instance)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_call_all)


class BackgroundThread(threading.Thread):
    """A thread of memweld's own, which no program knows of. A fork waits a moment until it has left its file.

    Args:
        run: The work.
        name: Its name, behind ``memweld-``.
    """

    def __init__(self, run: Callable[[], object], name: str) -> None:
        super().__init__(target=run, name=f"memweld-{name}", daemon=True)

    def try_start(self) -> bool:
        """Start it, unless the system has no more threads, or the program ends; whether it runs.

        A write that is stored does not fail because of the work behind it.
        """
        try:
            self.start()
        except (RuntimeError, MemoryError) as error:
            _logger.warning("memweld: no thread can be started for work in the background: %s", error)
            return False
        return True


class RenewedLock:
    """A reentrant lock that a forked child finds free."""

    def __init__(self) -> None:
        self._renew()
        call_in_child(self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, timeout: float) -> bool:
        """Wait until no other thread holds it, for so many seconds at most; whether that is so."""
        is_free = self._lock.acquire(timeout=timeout)
        if is_free:
            self._lock.release()
        return is_free

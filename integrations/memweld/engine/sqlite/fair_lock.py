"""A reentrant lock that no waiting thread gets too late: threads get it in the order in which they came."""

from __future__ import annotations

import collections
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

__all__ = ["FairLock"]

# A thread that has just released the lock may take it again at once, which saves two changes of threads, until another
# one has waited this long.
_PATIENCE_SECONDS = 0.01


@dataclass(slots=True, eq=False)
class _Waiter:
    thread: int
    since: float
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class FairLock:
    """A reentrant lock with a queue."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._owner: int | None = None
        self._depth = 0
        self._queue: collections.deque[_Waiter] = collections.deque()

    def acquire(self, *, blocking: bool = True, timeout: float | None = None, last: bool = False) -> bool:
        """Take the lock, in turn; whether it was taken.

        Args:
            blocking: Whether to wait for it.
            timeout: Seconds to wait; None for as long as it takes.
            last: Whether to let all threads go first that wait now.
        """
        thread = threading.get_ident()
        if self._owner == thread:  # which no other thread changes
            self._depth += 1
            return True
        with self._guard:
            if self._owner is None and not (last and self._queue):
                self._owner, self._depth = thread, 1
                return True
            if not blocking:
                return False
            waiter = _Waiter(thread, time.monotonic())
            self._queue.append(waiter)
        try:
            if self._wait(waiter, timeout):
                return True
        except BaseException:  # a signal interrupts
            if self._leave(waiter):
                self.release()
            raise
        return self._leave(waiter)

    def release(self) -> None:
        """Give the lock back, or one level of it."""
        self._depth -= 1
        if self._depth:
            return
        with self._guard:
            self._owner = None
            if not self._queue:
                return
            first = self._queue[0]
            if time.monotonic() - first.since > _PATIENCE_SECONDS:
                self._give(first)
            first.turn.release()

    def _give(self, waiter: _Waiter) -> None:
        self._queue.remove(waiter)
        self._owner, self._depth = waiter.thread, 1

    def _wait(self, waiter: _Waiter, timeout: float | None) -> bool:
        deadline = None if timeout is None else waiter.since + timeout
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not waiter.turn.acquire(timeout=left):
                return False
            with self._guard:
                if self._owner is None:
                    self._give(waiter)
                if self._owner == waiter.thread:
                    return True

    def _leave(self, waiter: _Waiter) -> bool:
        """Wait no longer; whether the thread got the lock in the last moment."""
        with self._guard:
            if waiter not in self._queue:
                return True
            self._queue.remove(waiter)
            # It may have been woken in vain.
            if self._owner is None and self._queue:
                self._queue[0].turn.release()
            return False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

"""Work that nobody waits for: done in order within a session, within bounds, and finished before the program ends.

One `Background` belongs to each engine. What is submitted is done by daemon threads that live while there is work;
`memweld.Backend.close` and the end of the program wait for what was begun. A killed process loses what was not done.
"""

from __future__ import annotations

import atexit
import collections
import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]
import logging
import os
import threading
import weakref
from collections.abc import Callable, Hashable

from .engine import Engine

__all__ = ["Background", "background_of"]

Work = Callable[[], object]

logger = logging.getLogger("memweld.background")

_WORKERS = 4
_CAPACITY = 1_000


class Background:
    """A bounded queue with threads of its own. Thread-safe.

    Args:
        workers: How many threads at most.
        capacity: How much work may be pending; who submits more waits until there is room.
    """

    def __init__(self, *, workers: int = _WORKERS, capacity: int = _CAPACITY) -> None:
        self._most_workers = workers
        self._capacity = capacity
        self.reset()

    def reset(self) -> None:
        """Begin anew: with nothing pending, no thread, and locks that nobody holds."""
        self._changed = threading.Condition()
        self._queues: dict[Hashable, collections.deque[tuple[int, Work]]] = {}
        # Keys that have work and none in progress, so that the work of one key is never done by two threads.
        self._ready: collections.deque[Hashable] = collections.deque()
        self._workers = 0
        self._last = 0
        self._pending: set[int] = set()

    def submit(self, key: Hashable, work: Work) -> None:
        """Have ``work`` done soon, after all that was submitted under the same key. An error in it is logged.

        Blocks while as much as ``capacity`` is pending.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._pending) < self._capacity)
            self._last += 1
            self._pending.add(self._last)
            waiting = self._queues.get(key)
            if waiting is None:
                waiting = self._queues[key] = collections.deque()
                self._ready.append(key)
            waiting.append((self._last, work))
            if self._workers < min(self._most_workers, len(self._queues)):
                self._workers += 1
                threading.Thread(target=self._run, name="memweld-background", daemon=True).start()

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all that was submitted before is done.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether it is done.
        """
        with self._changed:
            last = self._last
            return self._changed.wait_for(lambda: min(self._pending, default=last + 1) > last, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._ready:
                    self._workers -= 1
                    return
                key = self._ready.popleft()
                number, work = self._queues[key].popleft()
            try:
                work()
            except BaseException:  # SystemExit too: the thread goes on with what others have submitted
                logger.warning("memweld: work in the background failed", exc_info=True)
            # Not kept alive until the next work comes: it holds the engine.
            del work
            with self._changed:
                self._pending.discard(number)
                if self._queues[key]:
                    self._ready.append(key)
                else:
                    del self._queues[key]
                self._changed.notify_all()


_lock = threading.Lock()
_of_engines: weakref.WeakKeyDictionary[Engine, Background] = weakref.WeakKeyDictionary()
_running: weakref.WeakSet[Background] = weakref.WeakSet()


def background_of(engine: Engine) -> Background:
    """The engine's background; made when first asked for."""
    with _lock:
        found = _of_engines.get(engine)
        if found is None:
            found = _of_engines[engine] = Background()
            _running.add(found)
        return found


def _finish_all() -> None:
    for background in list(_running):
        background.flush()


def _forget_the_parents() -> None:
    global _lock  # noqa: PLW0603 - a lock that the parent held at the fork stays locked in the child
    _lock = threading.Lock()
    for background in list(_running):
        background.reset()


# What is registered last is done first: this before concurrent.futures shuts down, whose threads mem0 2.2 and the
# clients of LLMs use, and which is therefore imported above. `atexit` comes too late.
getattr(threading, "_register_atexit", atexit.register)(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_the_parents)

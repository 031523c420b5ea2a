"""The queue of captures in the background: in order within a session, bounded, and finished before the program ends.

Each engine has one `CaptureQueue`. Daemon threads do its work and end when there is none. `memweld.Backend.close` and
the end of the program wait for the queue for a while; then they do the rest in its quicker way. A killed process loses
the work that was not done.
"""

from __future__ import annotations

import atexit
import collections
import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]
import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..engine.cancellation import CancelSignal
from ..engine.delegate import innermost
from ..engine.fork import BackgroundThread
from ..engine.mem0_import import wait_for_mem0_import
from ..engine.protocol import Engine
from ..engine.tracing import span, span_origin
from ..errors import for_log

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

__all__ = ["GRACE_SECONDS", "CaptureQueue", "capture_queue_of"]

Work = Callable[[], object]

logger = logging.getLogger("memweld.background")

GRACE_SECONDS = 10.0
"""How long the end of the program waits for LLMs."""

_WORKERS = 4
_CAPACITY = 1_000
_PATIENCE_SECONDS = 2.0
_STUCK_SECONDS = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    work: Work
    instead: Work | None
    origin: SpanContext | None = field(default_factory=span_origin)

    def run(self, *, quickly: bool) -> None:
        """Do the work, or what takes its place; in a trace of its own, linked to the run that asked for it."""
        with span("memweld.capture", "internal", {}, origin=self.origin, is_root=True):
            (self.instead if quickly and self.instead is not None else self.work)()


class CaptureQueue:
    """A bounded queue with threads of its own. Thread-safe.

    Args:
        workers: How many threads at most.
        capacity: How much work may be pending; a caller that submits more waits until there is room.
        patience: Seconds for which such a caller waits, if there is a quicker way to do the work.
    """

    def __init__(
        self, *, workers: int = _WORKERS, capacity: int = _CAPACITY, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._most_workers = workers
        self._capacity = capacity
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Begin anew: with nothing pending, no thread, and free locks."""
        self._changed = threading.Condition()
        self._queues: dict[Hashable, collections.deque[int]] = {}
        # Keys that have work and none in progress: two threads never do the work of one key.
        self._ready: collections.deque[Hashable] = collections.deque()
        self._pending: dict[int, _Task] = {}
        self._workers = 0
        self._last = 0
        self._is_stalled = False
        self._cancel = CancelSignal()

    def submit(self, key: Hashable, work: Work, *, instead: Work | None = None) -> None:
        """Do ``work`` soon, after all earlier work of the same key. The queue logs an error in it.

        Blocks while as much as ``capacity`` is pending. If no thread can be started, the caller does the work itself.

        Args:
            key: The queue does the work of one key in order.
            work: What to do.
            instead: A quicker way to do it, which waits for nothing. The caller takes it if there is no room after
                ``patience``; the queue takes it at the end of the program.
        """
        with self._changed:
            has_room = self._wait_for_room(instead)
            works_here = has_room and not self._begin(key, _Task(work, instead))
        if not has_room and instead is not None:
            logger.warning("memweld: %d captures wait for an LLM: this one is kept as it is", self._capacity)
            _done(instead)
        if works_here:
            self._run()

    def _wait_for_room(self, instead: Work | None) -> bool:
        def has_room() -> bool:
            return len(self._pending) < self._capacity

        if instead is None:
            return self._changed.wait_for(has_room)
        # After one caller has waited in vain, the next does not wait as long until some work is done.
        found = self._changed.wait_for(has_room, 0 if self._is_stalled else self._patience)
        self._is_stalled = not found
        return found

    def _begin(self, key: Hashable, task: _Task) -> bool:
        """Put the task in its queue; whether a thread will do it. If not, the caller counts as a worker."""
        self._last += 1
        self._pending[self._last] = task
        waiting = self._queues.get(key)
        if waiting is None:
            waiting = self._queues[key] = collections.deque()
            self._ready.append(key)
        waiting.append(self._last)
        if self._workers >= min(self._most_workers, len(self._queues)):
            return True
        self._workers += 1
        if not BackgroundThread(self._run, "background").try_start():
            if self._workers == 1:
                return False
            self._workers -= 1
        return True

    def drop(self, concerns: Callable[[Hashable], bool], *, patience: float = 0.0) -> None:
        """Forget the waiting work of the keys for which ``concerns`` is true.

        Work in progress goes on; the call waits for it at most ``patience`` seconds.
        """
        with self._changed:
            for key in [key for key in self._queues if concerns(key)]:
                for number in self._queues[key]:
                    del self._pending[number]
                self._queues[key].clear()
                if key in self._ready:
                    self._ready.remove(key)
                    del self._queues[key]
            self._changed.notify_all()
            if patience:
                self._changed.wait_for(lambda: not any(map(concerns, self._queues)), patience)

    def count(self) -> int:
        """How much work is not done."""
        return len(self._pending)

    def has(self, key: Hashable) -> bool:
        """Whether work of the key is not done."""
        return key in self._queues

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until all work that was submitted before is done.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Returns:
            Whether it is done.
        """
        with self._changed:
            last = self._last
            return self._changed.wait_for(lambda: min(self._pending, default=last + 1) > last, timeout)

    def finish(self, grace: float = GRACE_SECONDS) -> None:
        """Do all submitted work: for ``grace`` seconds as it should be, then in the quicker way."""
        if self.flush(grace):
            return
        with self._changed:
            logger.warning("memweld: %d captures are kept as they are, without the LLM", len(self._pending))
        self._cancel.give()
        while left := len(self._pending):
            with self._changed:
                if self._changed.wait_for(lambda: len(self._pending) < left, _STUCK_SECONDS):
                    continue
                # The threads hang: take the work out of their hands.
                tasks, self._pending, self._queues = list(self._pending.values()), {}, {}
                self._ready.clear()
                self._changed.notify_all()
            _do_quickly(tasks)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._ready:
                    self._workers -= 1
                    return
                key = self._ready.popleft()
                waiting = self._queues[key]
                number = waiting.popleft()
                task = self._pending[number]
            with self._cancel.covering_thread():
                _done(functools.partial(task.run, quickly=self._cancel.is_given))
            # The task holds the engine: let it go before the next work comes.
            del task
            with self._changed:
                self._pending.pop(number, None)
                self._is_stalled = False
                # `finish` may have taken the queue away, and the key may have a new one.
                if self._queues.get(key) is waiting:
                    if waiting:
                        self._ready.append(key)
                    else:
                        del self._queues[key]
                self._changed.notify_all()


def _done(work: Work) -> bool:
    try:
        work()
    except BaseException as error:  # SystemExit too: the thread goes on with the work of other callers
        logger.warning("memweld: work in the background failed", exc_info=for_log(error))
        return False
    return True


def _do_quickly(tasks: Sequence[_Task]) -> None:
    for place, task in enumerate(tasks):
        begun = time.monotonic()
        if not _done(functools.partial(task.run, quickly=True)) and time.monotonic() - begun > _STUCK_SECONDS:
            logger.error("memweld: %d captures are lost, because the backend does not answer", len(tasks) - place)
            return


_lock = threading.Lock()
_of_engines: weakref.WeakKeyDictionary[Engine, CaptureQueue] = weakref.WeakKeyDictionary()
_running: weakref.WeakSet[CaptureQueue] = weakref.WeakSet()


def capture_queue_of(engine: Engine) -> CaptureQueue:
    """The engine's queue; the first call makes it."""
    with _lock:
        engine = innermost(engine)
        found = _of_engines.get(engine)
        if found is None:
            found = _of_engines[engine] = CaptureQueue()
            _running.add(found)
        return found


def _finish_all() -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    with _lock:
        running = list(_running)
    for background in running:
        background.finish(max(deadline - time.monotonic(), 0.0))
    wait_for_mem0_import()


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

"""A thread that deletes expired items from time to time."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from ..engine.fork import BackgroundThread
from ..errors import for_log

__all__ = ["Sweeper"]

_log = logging.getLogger("memweld.langchain")
_LOOK_SECONDS = 0.5  # how soon the thread notices that the store was closed


class Sweeper:
    """Calls a function at an interval, in a thread of its own, until it is stopped or its store is closed.

    Args:
        sweep: The function; it returns how many items it deleted. Its errors are logged, and it is called again.
        is_closed: Whether the store was closed.
    """

    def __init__(self, sweep: Callable[[], int], is_closed: Callable[[], bool]) -> None:
        self._sweep = sweep
        self._is_closed = is_closed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._ended: list[Future[None]] = []

    def start(self, seconds: float) -> Future[None]:
        """Begin, unless it runs already.

        Returns:
            A future that is done when the sweeping ends. Cancelling it ends the sweeping.
        """
        ended: Future[None] = Future()
        with self._lock:
            if self._thread is None or not self._thread.is_alive() or self._stop.is_set():
                self._stop, self._ended = threading.Event(), []
                work = functools.partial(self._run, self._stop, seconds, self._ended)
                self._thread = BackgroundThread(work, "sweeper")
                self._thread.start()
            stop = self._stop
            self._ended.append(ended)
        ended.add_done_callback(lambda future: stop.set() if future.cancelled() else None)
        return ended

    def stop(self, timeout: float | None) -> bool:
        """End the sweeping; whether it has ended within ``timeout`` seconds (None: wait for it)."""
        with self._lock:
            thread = self._thread
            self._stop.set()
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _run(self, stop: threading.Event, seconds: float, ended: list[Future[None]]) -> None:
        while self._wait(stop, seconds):
            try:
                if swept := self._sweep():
                    _log.info("Swept %d expired items", swept)
            except Exception as error:  # noqa: BLE001 - a database that cannot be reached now may be there next time
                if not self._is_closed():
                    _log.error("Sweeping expired items failed; it is tried again", exc_info=for_log(error))
        with self._lock:
            stop.set()  # the next start begins a thread of its own
            futures = list(ended)
        for future in futures:
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def _wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until the next sweep; False where there is none any more."""
        due = time.monotonic() + seconds
        while not self._is_closed():
            left = due - time.monotonic()
            if stop.wait(min(max(left, 0.0), _LOOK_SECONDS)):
                return False
            if left <= _LOOK_SECONDS:
                return not self._is_closed()
        return False

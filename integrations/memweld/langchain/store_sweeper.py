"""A thread that deletes expired items from time to time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

__all__ = ["Sweeper"]

_log = logging.getLogger("memweld.langchain")


class Sweeper:
    """Calls a function at an interval, in a thread of its own, until it is stopped.

    Args:
        sweep: The function; it returns how many items it deleted. Its errors are logged, and it is called again.
    """

    def __init__(self, sweep: Callable[[], int]) -> None:
        self._sweep = sweep
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> Future[None]:
        """Begin, unless it runs already.

        Returns:
            A future that is done when the sweeping ends. Cancelling it ends the sweeping.
        """
        with self._lock:
            ended: Future[None] = Future()
            if self._thread is None or not self._thread.is_alive():
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop, seconds, ended), name="memweld-sweeper", daemon=True
                )
                self._thread.start()
            stop = self._stop
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

    def _run(self, stop: threading.Event, seconds: float, ended: Future[None]) -> None:
        while not stop.wait(seconds):
            try:
                if swept := self._sweep():
                    _log.info("Swept %d expired items", swept)
            except Exception:  # noqa: BLE001 - a database that cannot be reached now may be there next time
                _log.exception("Sweeping expired items failed; it is tried again")
        if ended.set_running_or_notify_cancel():
            ended.set_result(None)

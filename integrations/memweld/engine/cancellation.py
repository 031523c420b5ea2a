"""A signal to threads that wait for something slow, such as an LLM's answer, to go on without it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

__all__ = ["CancelSignal", "on_cancel"]


class CancelSignal:
    """Given once, for good. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self.is_given = False

    def give(self) -> None:
        """Call all listeners, and from now on each new one at once."""
        with self._lock:
            self.is_given = True
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    @contextlib.contextmanager
    def covering_thread(self) -> Generator[None]:
        """Let the signal reach what the current thread waits for inside (see `on_cancel`)."""
        before, _current.signal = _current.signal, self
        try:
            yield
        finally:
            _current.signal = before

    @contextlib.contextmanager
    def calling(self, listener: Callable[[], object]) -> Generator[None]:
        """Call ``listener`` when the signal is given inside, or was before."""
        with self._lock:
            self._listeners.add(listener)
            is_given = self.is_given
        try:
            if is_given:
                listener()
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Current(threading.local):
    signal: CancelSignal | None = None


_current = _Current()


def on_cancel(listener: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """Call ``listener`` if a signal reaches the current thread inside."""
    return contextlib.nullcontext() if _current.signal is None else _current.signal.calling(listener)

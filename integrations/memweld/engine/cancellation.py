"""A sign to threads that wait for something slow, an LLM's answer, that they are to go on without it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

__all__ = ["Hurry", "hurried"]


class Hurry:
    """Given once, for good. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self.is_given = False

    def give(self) -> None:
        """Tell those who wait, and all who come later."""
        with self._lock:
            self.is_given = True
            told = list(self._listeners)
        for listener in told:
            listener()

    @contextlib.contextmanager
    def reaching_here(self) -> Generator[None]:
        """Let the sign reach what the current thread waits for inside."""
        before, _here.hurry = _here.hurry, self
        try:
            yield
        finally:
            _here.hurry = before

    @contextlib.contextmanager
    def telling(self, listener: Callable[[], object]) -> Generator[None]:
        """Call ``listener`` when the sign is given inside, or was before."""
        with self._lock:
            self._listeners.add(listener)
            given = self.is_given
        try:
            if given:
                listener()
            yield
        finally:
            with self._lock:
                self._listeners.discard(listener)


class _Here(threading.local):
    hurry: Hurry | None = None


_here = _Here()


def hurried(listener: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """Call ``listener`` if the current thread is told to hurry while it is inside."""
    return contextlib.nullcontext() if _here.hurry is None else _here.hurry.telling(listener)

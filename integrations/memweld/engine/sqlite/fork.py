"""A fork waits for whoever is using SQLite, and keeps others out meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from threading import get_ident

__all__ = ["FORK_SECONDS", "Gate", "gate", "on_fork"]

FORK_SECONDS = 5.0
"""How long a fork waits for others that read or write; then it goes ahead without them."""


class Gate:
    """Who is using SQLite at this moment, by thread. While it is closed nobody begins, and who is inside may go on."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._inside: dict[int, int] = {}
        self._closed = 0

    # Each read and write passes here: no lock is taken while nobody forks. A thread changes its own entry alone, and
    # looks whether the gate is closed after it has said that it is inside; who closes it looks in the other order.

    def enter(self) -> None:
        """Begin to use SQLite; may be nested."""
        me = get_ident()
        inside = self._inside
        if me in inside:
            inside[me] += 1
            return
        inside[me] = 1
        while self._closed:
            del inside[me]
            with self._changed:
                self._changed.notify_all()
                while self._closed:
                    self._changed.wait()
            inside[me] = 1

    def leave(self) -> None:
        """End what `enter` began."""
        me = get_ident()
        inside = self._inside
        # In a child that was forked inside there is nothing to end.
        left = inside.pop(me, 1) - 1
        if left:
            inside[me] = left
        elif self._closed:
            with self._changed:
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until everybody else is out, for some seconds at most."""
        deadline = time.monotonic() + FORK_SECONDS
        me = get_ident()
        with self._changed:
            self._closed += 1
            while any(each != me for each in list(self._inside)) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def open(self) -> None:
        """Let others in again."""
        with self._changed:
            self._closed -= 1
            self._changed.notify_all()

    def renew(self) -> None:
        """In a child, whose only thread is this one: forget the others."""
        self._begin()


gate = Gate()


def on_fork(*, rest: Callable[[], None], parent: Callable[[], None], child: Callable[[], None]) -> None:
    """What is done while nobody uses SQLite: before the fork, after it in the parent, and after it in the child."""
    if not hasattr(os, "register_at_fork"):
        return

    def before() -> None:
        gate.close()
        rest()

    def after_in_parent() -> None:
        parent()
        gate.open()

    def after_in_child() -> None:
        gate.renew()
        child()

    os.register_at_fork(before=before, after_in_parent=after_in_parent, after_in_child=after_in_child)

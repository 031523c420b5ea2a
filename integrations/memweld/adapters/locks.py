"""Locks by key: what threads do for one session or user at the same time, one of them does after the other."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable

__all__ = ["lock_for"]

_guard = threading.Lock()
_locks: weakref.WeakValueDictionary[Hashable, threading.Lock] = weakref.WeakValueDictionary()


def lock_for(key: Hashable) -> threading.Lock:
    """The lock of this key, the same one for all threads that use it at the same time."""
    with _guard:
        return _locks.setdefault(key, threading.Lock())

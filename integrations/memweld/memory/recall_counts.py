"""Counts of recalls: how often each memory was put before a model.

A recall reads, and must not wait for a write. So counts wait in RAM, and are written with the next profile, at a flush,
when the backend closes, or in the background when many wait. A process that is killed loses what waits.
"""

from __future__ import annotations

import functools
import logging
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..engine.delegate import innermost
from ..engine.fork import RenewedLock, call_in_child
from ..engine.operations import CountRecalls
from ..engine.protocol import Engine
from ..engine.read_only import is_read_only
from ..errors import MemweldError, log_line
from ..models import MemoryItem
from ..scope import Scope
from .capture_queue import capture_queue_of

if TYPE_CHECKING:
    from .memory import Memory

__all__ = ["count_recalls", "write_all_recalls", "write_recalls"]

_MANY, _MOST = 500, 10_000
_BUSY = 100
_KEY = "recall counts"
_logger = logging.getLogger("memweld.memory")


class _Waiting:
    """The counts of one engine that are not written yet. Thread-safe; a forked child begins with none."""

    def __init__(self) -> None:
        self._lock = RenewedLock()
        self._forget()
        call_in_child(self._forget)

    def _forget(self) -> None:
        self._counts: dict[Scope, Counter[str]] = {}
        self._size = 0

    def add(self, scope: Scope, ids: Iterable[str]) -> bool:
        """Count; whether the number of counts has just become so large that they should be written."""
        with self._lock:
            before = self._size
            counts = self._counts.setdefault(scope, Counter())
            for memory_id in ids:
                if memory_id in counts or self._size < _MOST:
                    self._size += memory_id not in counts
                    counts[memory_id] += 1
            return before // _MANY < self._size // _MANY

    def scopes(self) -> list[Scope]:
        """The scopes whose counts wait."""
        with self._lock:
            return list(self._counts)

    def take(self, scope: Scope) -> Counter[str]:
        """The counts of a scope, which wait no more."""
        with self._lock:
            counts = self._counts.pop(scope, Counter[str]())
            self._size -= len(counts)
            return counts


_lock = RenewedLock()
_of_engines: weakref.WeakKeyDictionary[Engine, _Waiting] = weakref.WeakKeyDictionary()


def _waiting_of(engine: Engine) -> _Waiting:
    with _lock:
        found = _of_engines.get(innermost(engine))
        if found is None:
            found = _of_engines[innermost(engine)] = _Waiting()
        return found


def count_recalls(memory: Memory, items: Iterable[MemoryItem]) -> None:
    """Count memories that a model is shown because they fit. It reads and writes nothing.

    Sources are not counted: a profile shows their facts. Callers that may only read count nothing.
    """
    engine = memory._engine  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    ids = [item.id for item in items if item.kind != "source"]
    if not ids or is_read_only(engine):
        return
    has_many = _waiting_of(engine).add(memory.scope, ids)
    # A recall never waits for room in the queue.
    if has_many and capture_queue_of(engine).count() < _BUSY:
        write_all_recalls(engine)


def write_recalls(engine: Engine, scope: Scope) -> None:
    """Write the counts of a scope that wait. A failure is logged; it loses these counts and nothing else."""
    counts = _waiting_of(engine).take(scope)
    if not counts:
        return
    try:
        innermost(engine).run(scope, CountRecalls(counts=counts))
    except MemweldError as error:
        _logger.debug("memweld: counts of recalls are lost: %s", log_line(error))


def write_all_recalls(engine: Engine) -> None:
    """Let the queue of captures write all counts that wait; its `flush` waits for that."""
    if _waiting_of(engine).scopes():
        work = functools.partial(_write_each, innermost(engine))
        capture_queue_of(engine).submit(_KEY, work, instead=_drop)


def _write_each(engine: Engine) -> None:
    for scope in _waiting_of(engine).scopes():
        write_recalls(engine, scope)


def _drop() -> None:
    """Write nothing: the program ends, and the store does not answer."""

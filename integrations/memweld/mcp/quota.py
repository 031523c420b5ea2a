"""The bytes that a user keeps on a server: counted in the database from time to time, estimated in between."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from cachetools import LRUCache

from ..engine.delegate import DelegatingEngine, deferred
from ..engine.operations import (
    AddItems,
    AppendMessages,
    CountStored,
    Operation,
    PutKeyed,
    PutValue,
    Restore,
    UndoConsolidation,
    UpdateItem,
    WriteValues,
)
from ..engine.protocol import Engine
from ..engine.sql.counts import ROW_BYTES
from ..errors import AccessDeniedError
from ..memory.backend import Backend
from ..memory.memory import Memory, over_engine
from ..scope import Scope
from .budget import CURRENT

__all__ = ["with_quota"]

T = TypeVar("T")

_ADDING = frozenset({AddItems, AppendMessages, PutKeyed, PutValue, Restore, UndoConsolidation, UpdateItem, WriteValues})
_MAX_USERS = 100_000
_COUNT_AGAIN_SECONDS = 5.0


@dataclass(slots=True)
class _Usage:
    """What a user keeps: the bytes at the last count, when that was, and the bytes received since."""

    counted: int
    counted_at: float
    received: int = 0


class _QuotaEngine(DelegatingEngine):
    """Refuses to add to the memory of a user who keeps too much. Reading and deleting go on.

    A count reads all rows of the user. It is done at the first write, then after each hundredth of the limit that was
    received, and at most every five seconds above it. So a user can be above the limit by a hundredth. Only requests
    over HTTP are counted: another program is its one user's own.

    Args:
        engine: Stores the memory.
        limit: How many bytes a user may keep, the parts that agents keep included.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        super().__init__(engine)
        self._limit = limit
        self._users: LRUCache[Scope, _Usage] = LRUCache(_MAX_USERS)
        self._lock = threading.Lock()

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope.

        Raises:
            AccessDeniedError: It adds something, and the user keeps too much already.
        """
        self._check(scope, operation)
        return self.inner.run(scope, operation)

    def deferred(self, scope: Scope, operation: Operation[T]) -> Callable[[], T]:
        """The operation to be done later, when no request waits for it; it counts now.

        Raises:
            AccessDeniedError: It adds something, and the user keeps too much already.
        """
        self._check(scope, operation)
        return deferred(self.inner, scope, operation)

    def _check(self, scope: Scope, operation: Operation[Any]) -> None:
        if type(operation) in _ADDING and CURRENT.get() is not None:
            self._admit(Scope(user_id=scope.user_id) if scope.user_id is not None else scope, _size(operation))

    def _admit(self, owner: Scope, size: int) -> None:
        with self._lock:
            usage = self._users.get(owner)
            needs_count = usage is None or self._is_outdated(usage, size)
        if usage is None or needs_count:
            usage = _Usage(self.inner.run(owner, CountStored(with_bytes=True))["bytes"], time.monotonic())
        with self._lock:
            self._users[owner] = usage
            if usage.counted + usage.received + size <= self._limit:
                usage.received += size
                return
        raise AccessDeniedError(
            f"{owner} keeps {usage.counted:,} bytes, and the limit of this server is {self._limit:,}. "
            "Delete something first."
        )

    def _is_outdated(self, usage: _Usage, size: int) -> bool:
        if usage.counted + usage.received + size > self._limit:
            return time.monotonic() - usage.counted_at > _COUNT_AGAIN_SECONDS
        return usage.received > self._limit // 100


def _size(value: object) -> int:
    """About how many bytes an operation adds: its texts, its numbers, and as many for each record as a row takes."""
    if isinstance(value, str):
        return 2 + (len(value) if value.isascii() else len(value.encode(errors="surrogatepass")))
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value)
        return 2 + sum(2 + _size(key) + _size(each) for key, each in pairs.items())
    if dataclasses.is_dataclass(value):
        return ROW_BYTES + sum(_size(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, (list, tuple)):
        return 2 + sum(1 + _size(each) for each in cast("Iterable[object]", value))
    return 8 + value.bit_length() // 3 if isinstance(value, int) else 24


def with_quota(source: Backend | Memory, limit: int) -> Backend | Memory:
    """The same backend or memory, which refuses to add to the memory of users who keep too much."""
    engine = _QuotaEngine(source._engine, limit)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if isinstance(source, Backend):
        zone = source._timezone  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        return Backend(engine, url=source.url, timezone=zone)
    return over_engine(source, engine)

"""Limits of the key-value API, the size of a body and writes a day, and the refusal that a client gets above them."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager

from cachetools import TLRUCache
from starlette.requests import Request

from ..errors import InvalidInputError
from ..scope import Scope
from ..validation import utc_now

__all__ = ["DailyWrites", "RefusedError", "read_body"]

_DAY_SECONDS = 86_400
_MAX_COUNTED = 100_000

_DRAINED = 4
"""A body of up to this many times the limit is read to its end before the refusal. A client that is still sending when
the server hangs up sees a broken connection and not the answer."""


class RefusedError(Exception):
    """A request that is answered with an HTTP status other than success; the message is for the client."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers


async def read_body(request: Request, maximum: int) -> bytes:
    """The whole body.

    Raises:
        RefusedError: 413, it has more bytes than ``maximum``.
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else 0
    body = bytearray()
    if size <= _DRAINED * maximum:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > _DRAINED * maximum:
                break
            if size <= maximum:
                body += chunk
    if size > maximum:
        raise RefusedError(413, "BodyTooLargeError", f"The body has more than {maximum:,} bytes.")
    return bytes(body)


def _next_midnight(now: float) -> float:
    return (now // _DAY_SECONDS + 1) * _DAY_SECONDS


class DailyWrites:
    """Counts today's writes (UTC) to each namespace of each scope, in this process. Thread-safe.

    Args:
        limit: How many writes a namespace may take a day; None for no limit.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._counts: TLRUCache[tuple[Scope, str], int] = TLRUCache(
            _MAX_COUNTED, ttu=lambda _key, _count, now: _next_midnight(now), timer=lambda: utc_now().timestamp()
        )
        self._lock = threading.Lock()

    @contextmanager
    def count(self, scope: Scope, namespace: str) -> Generator[None]:
        """Count the write in the block, unless the store refuses its input.

        Raises:
            RefusedError: 429, the namespace has had its writes of today.
        """
        if self._limit is None:
            yield
            return
        place = (scope, namespace)
        with self._lock:
            writes = self._counts.get(place, 0)
            if writes >= self._limit:
                raise _too_many(namespace, self._limit)
            self._counts[place] = writes + 1
        try:
            yield
        except InvalidInputError:
            with self._lock:
                if place in self._counts:
                    self._counts[place] -= 1
            raise


def _too_many(namespace: str, limit: int) -> RefusedError:
    now = utc_now().timestamp()
    message = f"Namespace {namespace!a} has been written to {limit:,} times today; more from midnight UTC."
    seconds = int(_next_midnight(now) - now) + 1
    return RefusedError(429, "TooManyWritesError", message, {"Retry-After": str(seconds)})

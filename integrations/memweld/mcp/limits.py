"""What a client of the key-value API may not exceed, and the answer that it gets then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta, timezone

from starlette.requests import Request

from ..errors import InvalidInputError
from ..scope import Scope
from ..validation import utc_now

__all__ = ["DailyWrites", "RefusedError", "read_body"]

_DRAINED = 4
"""A body of up to this many times the limit is read to its end before it is refused: a client that is still sending
when the server hangs up sees a broken connection and not the answer."""


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


class DailyWrites:
    """How often the namespaces of each scope were written to today."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._day: date | None = None
        self._counts: Counter[tuple[Scope, str]] = Counter()

    @contextmanager
    def one(self, scope: Scope, namespace: str) -> Generator[None]:
        """Count the write in the block, unless its input is refused.

        Raises:
            RefusedError: 429, there were enough of them today.
        """
        if self._limit is None:
            yield
            return
        now = utc_now()
        if now.date() != self._day:
            self._day, self._counts = now.date(), Counter()
        counts, place = self._counts, (scope, namespace)
        if counts[place] >= self._limit:
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), timezone.utc)
            message = (
                f"Namespace {namespace!a} has been written to {self._limit:,} times today; more from midnight UTC."
            )
            seconds = int((midnight - now).total_seconds()) + 1
            raise RefusedError(429, "TooManyWritesError", message, {"Retry-After": str(seconds)})
        counts[place] += 1
        try:
            yield
        except InvalidInputError:
            counts[place] -= 1
            raise

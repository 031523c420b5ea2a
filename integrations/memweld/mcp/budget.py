"""The budgets of users: how many calls and sessions each may have at a time. All belong to one event loop."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Protocol

import anyio
from cachetools import LRUCache

from .limits import Limits

__all__ = ["BYTES_OF_A_CALL", "CURRENT", "OVER_BUDGET", "Budget", "Budgets", "OverBudgetError"]

TRUSTED_FACTOR = 10
"""How many users a trusted caller counts for: a service that acts for many, or programs on this machine."""

_MAX_USERS = 100_000
_WAIT_SECONDS = 30.0
_MAX_WAITING = 200
_REFUSAL_SECONDS = 1.0
_SMALL = 100
BYTES_OF_A_CALL = 32_768
_LARGE_IN_FLIGHT = 2

OVER_BUDGET = "memweld.over_budget"
"""The key by which an SSE message's ASGI scope has the `OverBudgetError` that answers it."""

CURRENT: ContextVar[Budget | None] = ContextVar("memweld_mcp_budget", default=None)
"""The budget of the caller of the HTTP request, and of the MCP session that it has opened."""


class OverBudgetError(Exception):
    """A user asks for more than the limits allow; the message is for the client.

    Attributes:
        seconds: When it may succeed, in whole seconds.
    """

    def __init__(self, message: str, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(f"{message} Try again in {self.seconds} second{'s' if self.seconds > 1 else ''}.")


class SessionActivity(Protocol):
    """A session, as far as a budget knows it: whether it waits for answers, and when it was last used."""

    @property
    def pending(self) -> bool: ...

    @property
    def used_at(self) -> float: ...


class Budget:
    """The budget of one user.

    Args:
        limits: Of the server.
        factor: How many users this caller counts for.

    Attributes:
        calls_in_flight: How many calls there may be at the same time.
        large_bodies: Slots for reading a large body, which holds up the event loop. Few are read at a time.
    """

    def __init__(self, limits: Limits, factor: int = 1) -> None:
        self._per_minute = limits.calls_per_minute * factor
        self.calls_in_flight = limits.calls_in_flight * factor
        self._max_sessions = limits.sessions * factor
        # What may come at once: ten seconds of calls, and of small limits everything.
        self._most = max(self._per_minute / 6, min(self._per_minute, _SMALL))
        self._calls, self._refilled_at = self._most, time.monotonic()
        self._slots = anyio.Semaphore(self.calls_in_flight)
        self.large_bodies = anyio.Semaphore(_LARGE_IN_FLIGHT * factor)
        self._waiting = 0
        self._open = 0
        # Neither one user nor one trusted caller takes all connections.
        most = min(limits.connections_per_address * factor, limits.connections)
        self._most_open = max(2, most // 2)
        self._sessions: dict[SessionActivity, anyio.CancelScope] = {}

    def count_call(self, worth: int = 1) -> None:
        """Take one call, or what is worth several.

        Raises:
            OverBudgetError: The calls of this minute are used up.
        """
        now, per_second = time.monotonic(), self._per_minute / 60
        self._calls = min(self._most, self._calls + (now - self._refilled_at) * per_second)
        self._refilled_at = now
        if self._calls < 1:
            text = f"Too many calls: a user may make {self._per_minute:,} a minute."
            raise OverBudgetError(text, (1 - self._calls) / per_second)
        self._calls -= worth

    def count_bytes(self, received: int) -> None:
        """Take as many calls as bytes of a body are worth."""
        self._calls -= received / BYTES_OF_A_CALL

    @contextmanager
    def request(self) -> Generator[None]:
        """Be one of the open requests for the block, streams and refused ones included.

        Raises:
            OverBudgetError: The user has too many.
        """
        if self._open >= self._most_open:
            raise OverBudgetError(f"Too many open requests: a user may have {self._most_open:,}.", 5)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def slow_down(self) -> None:
        """Wait before a refusal is sent, so that a client which repeats its call at once takes little of the server."""
        if self._waiting < _MAX_WAITING:
            with self._wait():
                await anyio.sleep(_REFUSAL_SECONDS)

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None]:
        """Be one of the calls in flight for the block; wait for a while if there are too many.

        Raises:
            OverBudgetError: Too many, still.
        """
        async with AsyncExitStack() as stack:
            has_slot = False
            if self._waiting < _MAX_WAITING:
                with self._wait(), anyio.move_on_after(_WAIT_SECONDS):
                    await stack.enter_async_context(self._slots)
                    has_slot = True
            if not has_slot:
                raise OverBudgetError(f"Too many calls at the same time: a user may have {self.calls_in_flight:,}.", 5)
            yield

    @contextmanager
    def _wait(self) -> Generator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    @contextmanager
    def session(self, activity: SessionActivity) -> Generator[None]:
        """Be one of the sessions for the block. The one that was idle longest ends if there are too many."""
        if len(self._sessions) >= self._max_sessions:
            oldest = min(self._sessions, key=lambda each: (each.pending, each.used_at))
            self._sessions.pop(oldest).cancel()
        with anyio.CancelScope() as scope:
            self._sessions[activity] = scope
            try:
                yield
            finally:
                self._sessions.pop(activity, None)


class Budgets:
    """The budgets of all users of a server.

    Args:
        limits: Of the server.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._budgets: LRUCache[tuple[str, bool], Budget] = LRUCache(_MAX_USERS)

    def of(self, subject: str, *, trusted: bool) -> Budget:
        """The budget of a user, or of a trusted caller."""
        budget = self._budgets.get((subject, trusted))
        if budget is None:
            budget = Budget(self._limits, TRUSTED_FACTOR if trusted else 1)
            self._budgets[subject, trusted] = budget
        return budget

"""``/health/live`` and ``/health/ready``: whether the process answers, and whether it can serve calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from .. import __version__
from ..engine.protocol import EngineAdmin
from ..errors import BackendUnavailableError, MemweldError, log_line
from ..tools.errors import OutageLog
from .traffic import Traffic

__all__ = ["Readiness", "health_routes"]

_SECONDS = 2.0
_KEPT_SECONDS = 1.0

_log = logging.getLogger("memweld.mcp")


class Readiness:
    """Whether the store answers. Many requests are one question: its answer holds for a second.

    Args:
        admin: Of the store.
    """

    def __init__(self, admin: Callable[[], EngineAdmin]) -> None:
        self._admin = admin
        self._outages = OutageLog(_log)
        self._locks: tuple[anyio.Lock, anyio.CapacityLimiter] | None = None
        self._is_ready = False
        self._asked_at = float("-inf")

    async def check(self) -> bool:
        """Whether the store answered within two seconds, now or just before."""
        # A thread of its own: all others can be those that slow requests have taken.
        self._locks = self._locks or (anyio.Lock(), anyio.CapacityLimiter(2))
        asking, threads = self._locks
        async with asking:
            if time.monotonic() - self._asked_at > _KEPT_SECONDS:
                self._is_ready = await self._ask(threads)
                self._asked_at = time.monotonic()
        return self._is_ready

    async def _ask(self, threads: anyio.CapacityLimiter) -> bool:
        problem: MemweldError = BackendUnavailableError(f"The store did not answer within {_SECONDS:g} seconds.")
        try:
            with anyio.move_on_after(_SECONDS) as waiting:
                await anyio.to_thread.run_sync(self._ping, limiter=threads, abandon_on_cancel=True)
            if not waiting.cancelled_caught:
                return True
        except MemweldError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 - whatever fails, it is not ready
            problem = BackendUnavailableError(f"The store cannot be asked: {log_line(error)}")
        # Strangers learn that it is not ready. The operator learns why.
        self._outages.note(problem)
        return False

    def _ping(self) -> None:
        self._admin().ping()


def health_routes(name: str, traffic: Traffic, readiness: Readiness) -> list[BaseRoute]:
    """The routes, which need no token. ``/health`` is ``/health/ready``.

    Args:
        name: Of the server.
        traffic: Says whether the server is about to end.
        readiness: Says whether the store answers.
    """

    def answer(status: str) -> JSONResponse:
        body = {"status": status, "name": name, "version": __version__}
        return JSONResponse(body, 200 if status == "ok" else 503)

    async def live(_: Request) -> JSONResponse:
        return answer("ok")

    async def ready(_: Request) -> JSONResponse:
        if traffic.closing:
            return answer("stopping")
        return answer("ok" if await readiness.check() else "unavailable")

    return [Route("/health", ready), Route("/health/ready", ready), Route("/health/live", live)]

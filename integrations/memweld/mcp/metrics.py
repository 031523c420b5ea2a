"""Metrics for Prometheus: calls, latencies, refusals, and numbers of the store. Every set of labels is bounded.

No label has a user, an agent, a key, a path or any other text of a client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from .. import __version__, errors
from ..engine.protocol import EngineAdmin, StoreUsage
from ..errors import log_line
from .call_records import KNOWN_TOOLS
from .principal import METRICS_SCOPE, Principal, token_of

__all__ = ["Metrics"]

_SECONDS = 2.0
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_OUTCOMES = frozenset({"ok", "disconnected", "CancelledError", "ToolError", "ToolNotFoundError", *errors.__all__})

_log = logging.getLogger("memweld.mcp")


class Metrics:
    """The metrics of one server, in a registry of their own. A `CallRecord`.

    Args:
        admin: Of the store.
    """

    def __init__(self, admin: Callable[[], EngineAdmin]) -> None:
        self._admin = admin
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._calls = Counter(
            "memweld_calls", "Calls, by way, tool and outcome.", ["way", "operation", "outcome"], registry=registry
        )
        self._latencies = Histogram(
            "memweld_call_seconds",
            "Time from a call to its answer.",
            ["way", "operation"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._refusals = Counter(
            "memweld_refusals",
            "Requests refused with 401 (no token), 403 (not allowed) or 429 (above a limit).",
            ["status"],
            registry=registry,
        )
        self._numbers: dict[str, Gauge] = {}
        info = Gauge("memweld_info", "Always 1; the version is a label.", ["version"], registry=registry)
        info.labels(__version__).set(1)
        self._store_up = self._gauge("memweld_store_up", "Whether the store answered this scrape.")
        self._index_bytes = self._gauge("memweld_index_bytes", "RAM that the indexes of users take.")
        self._waiting = Gauge(
            "memweld_waiting_changes", "Changes that wait for a projection.", ["projection"], registry=registry
        )

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self._registry)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a number that is read at each scrape."""
        if name not in self._numbers:
            self._numbers[name] = self._gauge(name, text)
        self._numbers[name].set_function(read)

    # a record of calls

    def require(self) -> None:
        """Calls can always be counted."""

    def write(self, way: str, operation: str, outcome: str, *, seconds: float = 0.0, **_: Any) -> None:
        """Count a call. Tools that are not memweld's are ``other``: a client makes their names up."""
        if way in ("mcp", "stdio") and operation not in KNOWN_TOOLS:
            operation = "other"
        is_known = outcome in _OUTCOMES or (len(outcome) == 3 and outcome.isdecimal())
        self._calls.labels(way, operation, outcome if is_known else "other").inc()
        self._latencies.labels(way, operation).observe(seconds)

    def refused(self, way: str, operation: str, status: int, **_: Any) -> None:  # noqa: ARG002
        """Count a refused request."""
        self._refusals.labels(str(status)).inc()

    def close(self) -> None:
        """Nothing waits."""

    # the page

    def route(self, identify: Callable[[HTTPConnection], Principal]) -> Route:
        """``/metrics``: for programs on this machine where there are no tokens, else for tokens with its scope.

        Args:
            identify: Says who makes a request (`AccessPolicy.identify`).
        """
        threads: list[anyio.CapacityLimiter] = []

        async def metrics(request: Request) -> Response:
            identify(request)
            token = token_of(request)
            if token is not None and METRICS_SCOPE not in token.scopes:
                challenge = f'Bearer error="insufficient_scope", scope="{METRICS_SCOPE}"'
                raise HTTPException(403, f"The token lacks: {METRICS_SCOPE}", headers={"WWW-Authenticate": challenge})
            if not threads:
                threads.append(anyio.CapacityLimiter(2))
            await self._read_store(threads[0])
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
            headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
            return Response(encode(self._registry), headers=headers)

        return Route("/metrics", metrics)

    async def _read_store(self, threads: anyio.CapacityLimiter) -> None:
        usage: StoreUsage | None = None
        try:
            with anyio.move_on_after(_SECONDS):
                usage = await anyio.to_thread.run_sync(self._usage, limiter=threads, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - the other numbers are known
            _log.debug("The numbers of the store are not known: %s", log_line(error))
        self._store_up.set(usage is not None)
        # A number that is not known now is not the last one that was.
        self._index_bytes.set(float("nan") if usage is None else usage.index_bytes)
        self._waiting.clear()
        waiting: Mapping[str, int] = {} if usage is None else usage.waiting
        for projection, count in waiting.items():
            self._waiting.labels(projection).set(count)

    def _usage(self) -> StoreUsage:
        admin = self._admin()
        admin.ping()
        return admin.usage()

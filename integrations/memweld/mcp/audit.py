"""The audit log: one JSON line for each call and each refused attempt, over MCP, SSE, REST and stdio.

A line says who did what with whose memory, from where, with how many results and with which outcome. It never holds
texts, keys, values, queries or tokens.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import mcp.types as mt
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..engine.operations import OPERATIONS
from ..errors import BackendUnavailableError, InvalidInputError
from ..files import open_private
from ..scope import Scope as MemoryScope
from ..scope import validate_identity
from ..tools import TOOLS
from ..validation import utc_now
from .access import current_request, record_scope
from .errors import error_object
from .principal import subject_of, token_of

__all__ = [
    "AUDITED",
    "REFUSED",
    "AuditLog",
    "AuditMiddleware",
    "AuditRefusals",
    "caller_of",
    "identity_in",
    "operation_of",
]

AUDITED = "memweld.audited"
"""The key by which a route marks a request's ASGI scope that has its line."""

REFUSED = (401, 403, 429)
"""The statuses of requests that are refused, of which equal ones are counted."""
_PATHS = ("mcp", "sse", "messages", "memory", "users", "health", "ui", "metrics")
_MAX_PENDING = 256 * 1024
_MAX_FORWARDED = 200
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_TOOLS = frozenset(TOOLS) | {f"engine_{name}" for name in (*OPERATIONS, "info", "list_scopes")}
_REPEATS = 30
_REPEAT_SECONDS = 60.0
_MAX_REPEATED = 10_000

_log = logging.getLogger("memweld.mcp")


class AuditLog:
    """A file of JSON lines, which only its owner can read. Thread-safe; several processes may share it.

    A file that was moved or deleted (as log rotation does) is made anew. While a line cannot be written, `require`
    refuses calls, and the log says so. The lines of calls that had begun wait in RAM.

    Args:
        path: The file.

    Raises:
        BackendUnavailableError: It cannot be opened for writing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._pending = bytearray()
        self._lost = 0
        self._repeats: dict[tuple[Any, ...], list[float]] = {}
        with self._lock:
            self._reopen()

    def write(self, way: str, operation: str, outcome: str, **fields: Any) -> None:
        """Add a line. It never raises.

        Args:
            way: ``mcp``, ``rest``, ``http`` or ``stdio``.
            operation: The tool, or the method and the beginning of the path.
            outcome: ``ok``, the type of the error, or the HTTP status.
            fields: ``subject``, ``address``, ``forwarded``, ``user``, ``agent``, ``count``; None leaves one out.
        """
        known = {name: value for name, value in fields.items() if value is not None}
        with self._lock:
            self._sum_up(time.monotonic() - _REPEAT_SECONDS)
            self._add({"way": way, "operation": operation, **known, "outcome": outcome})

    def refused(self, way: str, operation: str, status: int, **fields: Any) -> None:
        """Add a line about a refused request. Of equal ones in a minute, thirty have a line, the rest their number.

        The number follows with the next line after that minute, or when the server ends.
        """
        key = (way, operation, str(status), fields.get("address"), fields.get("subject"))
        with self._lock:
            now = time.monotonic()
            self._sum_up(now - _REPEAT_SECONDS)
            entry = self._repeats.setdefault(key, [now, 0])
            entry[1] += 1
            if entry[1] > _REPEATS:
                return
        self.write(way, operation, str(status), **fields)

    def require(self) -> None:
        """Make sure that calls can be recorded.

        Raises:
            BackendUnavailableError: A line waits, because the file cannot be written.
        """
        with self._lock:
            self._flush()
            if self._pending:
                raise BackendUnavailableError(
                    f"No call is served while the audit log {self._path} cannot be written: make room for it, or give "
                    "the server another file."
                )

    def close(self) -> None:
        """Write the numbers of repeated refusals, and close the file. A later line opens it again."""
        with self._lock:
            self._sum_up(math.inf)
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _sum_up(self, until: float) -> None:
        """Add the numbers of refusals that began to repeat before a time."""
        while self._repeats:
            key = next(iter(self._repeats))
            since, count = self._repeats[key]
            if since > until and len(self._repeats) < _MAX_REPEATED:
                return
            del self._repeats[key]
            if count > _REPEATS:
                names = ("way", "operation", "outcome", "address", "subject")
                known = {name: value for name, value in zip(names, key, strict=True) if value is not None}
                self._add({**known, "repeated": int(count - _REPEATS)})

    def _add(self, line: Mapping[str, Any]) -> None:
        now = utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = json.dumps({"time": now, **line}).encode() + b"\n"
        if len(self._pending) + len(text) > _MAX_PENDING:
            self._lost += 1
        else:
            self._pending += text
        self._flush()

    def _flush(self) -> None:
        """Write the lines that wait, as far as possible."""
        if not self._pending:
            return
        was_stuck = self._lost > 0
        try:
            self._reopen()
            assert self._descriptor is not None  # noqa: S101 - it is open now
            # A full disk takes a part of a line: the rest follows later, at its place.
            del self._pending[: os.write(self._descriptor, self._pending)]
        except (OSError, BackendUnavailableError) as error:
            _log.error("The audit log cannot be written, so calls are refused: %s", error)
            return
        if was_stuck and not self._pending:
            lost, self._lost = self._lost, 0
            self._add({"way": "audit", "operation": "lost", "outcome": "unwritten", "count": lost})

    def _reopen(self) -> None:
        """Open the file, also where it is another one now."""
        if self._descriptor is not None:
            try:
                named, opened = self._path.stat(), os.fstat(self._descriptor)
                if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
                    return
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
            self._descriptor = None
        self._descriptor = open_private(self._path, append=True)


def caller_of(request: HTTPConnection | None) -> dict[str, str | None]:
    """The subject and the addresses of a request, as fields of a line."""
    if request is None:
        return {}
    token = token_of(request)
    subject: str | None = None
    if token is not None:
        try:
            subject = subject_of(token)
        except InvalidInputError:
            subject = "(invalid)"
    # What a proxy reports, or a client pretends: the address is that of the connection.
    forwarded = request.headers.get("x-forwarded-for")
    return {
        "subject": subject,
        "address": None if request.client is None else request.client.host,
        "forwarded": None if forwarded is None else ascii(forwarded)[1:-1][:_MAX_FORWARDED],
    }


def operation_of(scope: Scope) -> str:
    """The method and the beginning of the path, which names no key and no user."""
    path = cast("str", scope["path"]).removeprefix(cast("str", scope.get("root_path", "")))
    first = path.strip("/").partition("/")[0]
    method = cast("str", scope["method"])
    return f"{method if method in _METHODS else '?'} /{first if first in _PATHS else '…'}"


class AuditMiddleware(Middleware):
    """Writes a line for each call of a tool, and serves none that could not have one.

    Args:
        log: The log.
    """

    def __init__(self, log: AuditLog) -> None:
        self._audit = log

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call and write its line.

        Raises:
            BackendUnavailableError: The line of an earlier call could not be written.
        """
        self._audit.require()
        name, arguments = context.message.name, context.message.arguments or {}
        known = name in _TOOLS
        request = current_request()
        fields: dict[str, Any] = caller_of(request)
        way = "stdio" if request is None else "mcp"
        # A tool of the application's own has a name like a Python function's.
        is_name = name.isidentifier() and len(name) <= 64 and not name.startswith("engine_")
        operation = name if known or is_name else "…"
        with record_scope() as used:
            try:
                result = await call_next(context)
            except BaseException as error:
                data: Any = error_object(error, tool=name).data if isinstance(error, Exception) else None
                outcome = data["type"] if data else type(error).__name__
                self._audit.write(way, operation, outcome, **fields, **_owner(used, arguments))
                raise
        count = count_of(result.structured_content) if known else None
        self._audit.write(way, operation, "ok", **fields, **_owner(used, arguments), count=count)
        return result


def _owner(used: Sequence[MemoryScope], arguments: Mapping[str, Any]) -> dict[str, str | None]:
    """The user and the agent whose memory a call used; of a refused call, those that it names."""
    if used:
        return {"user": used[-1].user_id, "agent": used[-1].agent_id}
    return {"user": identity_in(arguments.get("user_id")), "agent": identity_in(arguments.get("agent_id"))}


def identity_in(named: object) -> str | None:
    """An id that a call names, for a line."""
    try:
        return None if named is None else validate_identity("id", named)
    except InvalidInputError:
        return "(invalid)"


def count_of(answer: object) -> int:
    """How many things an answer is about: the length of its lists, its counts, or one."""
    if isinstance(answer, (list, tuple)):
        return len(cast("Sequence[Any]", answer))
    if not isinstance(answer, dict):
        return int(answer) if isinstance(answer, int) else int(answer is not None)
    fields = cast("dict[str, Any]", answer)
    if fields.get("found") is False:
        return 0
    for name in ("answer", "data", "counts", "deleted"):
        if name in fields:
            return count_of(fields[name])
    values: list[Any] = list(fields.values())
    if isinstance(fields.get("preferences"), dict):
        values = [list(fields["preferences"])]
    lengths = [len(cast("list[Any]", value)) for value in values if isinstance(value, list)]
    counts: list[int] = values if all(type(value) is int for value in values) else []
    return sum(lengths or counts or [1])


class AuditRefusals:
    """ASGI middleware that writes a line for each request that is refused (401, 403, 429) before it is a call.

    Args:
        app: The application behind it.
        log: The log.
    """

    def __init__(self, app: ASGIApp, *, log: AuditLog) -> None:
        self._app = app
        self._audit = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            if scope["type"] == "lifespan":
                self._audit.close()
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope.get(AUDITED):
                status = message["status"]
                # A JSON-RPC request above its user's limits has an error object in an answer of status 200.
                if status == 200 and "retry-after" in Headers(raw=message["headers"]):
                    status = 429
                if status in REFUSED:
                    self._audit.refused("http", operation_of(scope), status, **caller_of(HTTPConnection(scope)))
            await send(message)

        await self._app(scope, receive, watched)

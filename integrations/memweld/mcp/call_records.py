"""The record of each call and each refused request, over MCP, SSE, REST and stdio: for the audit log and the metrics.

A record says who did what with whose memory, from where, with how many results and with which outcome. It never holds
texts, keys, values, queries or tokens.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import mcp.types as mt
from fastmcp.resources import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..engine.operations import OPERATIONS
from ..errors import InvalidInputError
from ..scope import Scope as MemoryScope
from ..scope import validate_identity
from ..tools import TOOLS
from .access import current_request, record_scope
from .errors import error_object
from .principal import subject_of, token_of
from .profile_resource import PROFILE_URI

__all__ = [
    "KNOWN_TOOLS",
    "RECORDED",
    "REFUSED",
    "CallRecord",
    "CallRecords",
    "RecordMiddleware",
    "RecordRefusals",
    "caller_of",
    "identity_in",
    "operation_of",
]

T = TypeVar("T")

RECORDED = "memweld.recorded"
"""The key by which a route marks a request's ASGI scope that has its record."""

REFUSED = (401, 403, 429)
"""The statuses of requests that are refused, of which equal ones are counted."""

KNOWN_TOOLS = frozenset(TOOLS) | {f"engine_{name}" for name in (*OPERATIONS, "info", "list_scopes")}
"""The names of memweld's tools."""

_PATHS = ("mcp", "sse", "messages", "memory", "users", "health", "ui", "metrics")
_MAX_FORWARDED = 200
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class CallRecord(Protocol):
    """Keeps a record of calls. Thread-safe; no method but `require` raises."""

    def require(self) -> None:
        """Make sure that calls can be recorded.

        Raises:
            BackendUnavailableError: They cannot.
        """
        ...

    def write(self, way: str, operation: str, outcome: str, *, seconds: float, **fields: Any) -> None:
        """Record a call.

        Args:
            way: ``mcp``, ``rest``, ``http`` or ``stdio``.
            operation: The tool, or the method and the beginning of the path.
            outcome: ``ok``, the type of the error, or the HTTP status.
            seconds: How long it took.
            fields: ``subject``, ``address``, ``forwarded``, ``user``, ``agent``, ``count``; None leaves one out.
        """
        ...

    def refused(self, way: str, operation: str, status: int, **fields: Any) -> None:
        """Record a refused request."""
        ...

    def close(self) -> None:
        """Write what waits. A later record opens it again."""
        ...


class CallRecords:
    """Several records in one.

    Args:
        records: All of them.
    """

    def __init__(self, records: Sequence[CallRecord]) -> None:
        self._records = records

    def require(self) -> None:
        """Make sure that calls can be recorded (see `CallRecord.require`)."""
        for record in self._records:
            record.require()

    def write(self, way: str, operation: str, outcome: str, *, seconds: float, **fields: Any) -> None:
        """Record a call."""
        for record in self._records:
            record.write(way, operation, outcome, seconds=seconds, **fields)

    def refused(self, way: str, operation: str, status: int, **fields: Any) -> None:
        """Record a refused request."""
        for record in self._records:
            record.refused(way, operation, status, **fields)

    def close(self) -> None:
        """Write what waits."""
        for record in self._records:
            record.close()


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


class RecordMiddleware(Middleware):
    """Records each call of a tool, and serves none that could not be recorded.

    Args:
        record: The record.
    """

    def __init__(self, record: CallRecord) -> None:
        self._record = record

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call and record it.

        Raises:
            BackendUnavailableError: It could not be recorded.
        """
        name, arguments = context.message.name, context.message.arguments or {}
        known = name in KNOWN_TOOLS
        # A tool of the application's own has a name like a Python function's.
        is_name = name.isidentifier() and len(name) <= 64 and not name.startswith("engine_")
        operation = name if known or is_name else "…"
        count = _count_of_result if known else _uncounted
        return await self._recorded(operation, arguments, lambda: call_next(context), count)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mt.ReadResourceRequestParams],
        call_next: CallNext[mt.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource and record it.

        Raises:
            BackendUnavailableError: It could not be recorded.
        """
        uri = str(context.message.uri)
        operation = uri if uri == PROFILE_URI else "resource"
        return await self._recorded(operation, {}, lambda: call_next(context), _uncounted)

    async def _recorded(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        call: Callable[[], Awaitable[T]],
        count: Callable[[T], int | None],
    ) -> T:
        self._record.require()
        request = current_request()
        fields: dict[str, Any] = caller_of(request)
        way = "stdio" if request is None else "mcp"
        started_at = time.perf_counter()
        with record_scope() as used:
            try:
                result = await call()
            except BaseException as error:
                fields["seconds"] = time.perf_counter() - started_at
                data: Any = error_object(error, tool=operation).data if isinstance(error, Exception) else None
                outcome = data["type"] if data else type(error).__name__
                self._record.write(way, operation, outcome, **fields, **_owner(used, arguments))
                raise
        fields["seconds"] = time.perf_counter() - started_at
        self._record.write(way, operation, "ok", **fields, **_owner(used, arguments), count=count(result))
        return result


def _count_of_result(result: ToolResult) -> int:
    return count_of(result.structured_content)


def _uncounted(_result: object) -> None:
    """The count of an answer that is not known."""


def _owner(used: Sequence[MemoryScope], arguments: Mapping[str, Any]) -> dict[str, Any]:
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


class RecordRefusals:
    """ASGI middleware that records each request that is refused (401, 403, 429) before it is a call.

    Args:
        app: The application behind it.
        record: The record.
    """

    def __init__(self, app: ASGIApp, *, record: CallRecord) -> None:
        self._app = app
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            if scope["type"] == "lifespan":
                self._record.close()
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and not scope.get(RECORDED):
                status = message["status"]
                # A JSON-RPC request above its user's limits has an error object in an answer of status 200.
                if status == 200 and "retry-after" in Headers(raw=message["headers"]):
                    status = 429
                if status in REFUSED:
                    self._record.refused("http", operation_of(scope), status, **caller_of(HTTPConnection(scope)))
            await send(message)

        await self._app(scope, receive, watched)

"""A limit for the headers of requests, and headers of every answer that tell browsers and caches to keep out."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_errors import error_body, error_name

__all__ = ["SECURITY_HEADERS", "SafeHeaders", "answer_unexpected"]

_MAX_HEADERS = 100

_ALWAYS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_DATA = ("application/json", "text/event-stream", "text/plain")
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
SECURITY_HEADERS = tuple(
    (name.lower().encode(), value.encode())
    for name, value in (*_ALWAYS.items(), ("Content-Security-Policy", _DATA_POLICY), ("Cache-Control", "no-store"))
)
"""The headers of an answer that our application does not make."""

_TWO_YEARS = "max-age=63072000"


class SafeHeaders:
    """ASGI middleware that refuses too many headers (431), and adds security headers to every answer.

    An answer keeps headers of its own. Data are not stored by caches, and run nothing in a browser that shows them.

    Args:
        app: The application behind it.
        header_bytes: How long the path and the headers of a request may be together.
    """

    def __init__(self, app: ASGIApp, *, header_bytes: int) -> None:
        self._app = app
        self._header_bytes = header_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        secure = scope["scheme"] == "https"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message), secure=secure)
            await send(message)

        headers: list[tuple[bytes, bytes]] = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        size += len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        app = self._app
        if len(headers) > _MAX_HEADERS or size > self._header_bytes:
            text = (
                f"A request has at most {_MAX_HEADERS} headers, and {self._header_bytes:,} bytes of path and headers."
            )
            app = JSONResponse(error_body("HeadersTooLargeError", text), 431, {"Connection": "close"})
        await app(scope, receive, guarded)


def _add(headers: MutableHeaders, *, secure: bool) -> None:
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    if headers.get("content-type", _DATA[0]).startswith(_DATA):
        headers.setdefault("Content-Security-Policy", _DATA_POLICY)
        caching = headers.get("cache-control", "")
        if "no-store" not in caching and "max-age" not in caching:
            headers["Cache-Control"] = f"{caching}, no-store" if caching else "no-store"
    if secure:
        headers.setdefault("Strict-Transport-Security", _TWO_YEARS)


def answer_unexpected(_: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette logs it
    """The answer where the application has failed."""
    response = JSONResponse(error_body(error_name(500), "The server failed. Its log says why."), 500)
    response.raw_headers.extend(SECURITY_HEADERS)
    return response

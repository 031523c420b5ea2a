"""The outer edge of the HTTP application: CORS for allowed web pages, slashes at the end of a path, errors in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Cors", "Slashes", "answer_http_exception", "error_body", "error_name"]

_EXPOSED = ("Mcp-Session-Id", "Mcp-Protocol-Version", "WWW-Authenticate", "Retry-After")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_PORTS = {"http": 80, "https": 443}
_NAMES = {
    401: "AuthenticationError",
    403: "AccessDeniedError",
    404: "PathNotFoundError",
    405: "MethodNotAllowedError",
}
_NOT_FOUND = "The server has nothing at this path. MCP is at /mcp, unless the operator has moved it."


def _normalized(origin: str) -> str:
    """The origin as FastMCP's guard compares it: in small letters, with its port."""
    text = origin.strip().rstrip("/").lower()
    try:
        parts = urlsplit(text)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # A pattern for the port.
        return text
    if not parts.hostname or port is None:
        return text
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


class Cors(CORSMiddleware):
    """Lets web pages of allowed origins call every route. Other origins go on to the guard, which refuses them.

    Args:
        app: The application behind it.
        origins: The origins; ``*`` in one stands for any text, as in FastMCP's guard.
    """

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        # No cookies: pages send a bearer token, so that no page acts with a login that the browser keeps.
        super().__init__(app, allow_methods=_METHODS, allow_headers=["*"], expose_headers=_EXPOSED)
        self._patterns = [_normalized(origin) for origin in origins]

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of this origin may call."""
        found = _normalized(origin)
        return any(fnmatchcase(found, pattern) for pattern in self._patterns)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, and add the headers that the browser of the page asks for."""
        if scope["type"] == "http" and self.is_allowed_origin(Request(scope).headers.get("origin", "")):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Slashes:
    """Serves ``/mcp/`` as ``/mcp``, and so on. A redirect would name http:// behind a proxy that ends TLS.

    Args:
        app: The application behind it.
        routes: Its routes. Those with parameters in their path get it as it is.
    """

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._paths: Mapping[str, str] = {
            **{f"{route.path}/": route.path for route in routes if isinstance(route, Route) and "{" not in route.path},
            **{route.path: f"{route.path}/" for route in routes if isinstance(route, Mount)},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request at the path that exists."""
        if scope["type"] == "http":
            root = cast("str", scope.get("root_path", ""))
            path = self._paths.get(cast("str", scope["path"]).removeprefix(root))
            if path is not None:
                scope = {**scope, "path": root + path, "raw_path": (root + path).encode()}
        await self._app(scope, receive, send)


def error_body(kind: str, message: str) -> dict[str, dict[str, str]]:
    """The body of an error outside of MCP."""
    return {"error": {"type": kind, "message": message}}


def error_name(status: int) -> str:
    """The type that an error without one of its own has in its body."""
    return _NAMES.get(status, "HTTPError")


def answer_http_exception(_: Request, error: Exception) -> Response:
    """The JSON answer to Starlette's own exceptions, such as 404 for an unknown path."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for nothing else
    if error.status_code in (204, 304):
        return Response(status_code=error.status_code, headers=error.headers)
    plain = error.status_code == 404 and error.detail == "Not Found"
    body = error_body(error_name(error.status_code), _NOT_FOUND if plain else error.detail)
    return JSONResponse(body, error.status_code, error.headers)

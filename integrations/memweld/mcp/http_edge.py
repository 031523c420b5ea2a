"""The outer edge of the HTTP application: CORS for allowed web pages and slashes at the end of a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Cors", "Slashes"]

_EXPOSED = ("Mcp-Session-Id", "Mcp-Protocol-Version", "WWW-Authenticate", "Retry-After")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_PORTS = {"http": 80, "https": 443}


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

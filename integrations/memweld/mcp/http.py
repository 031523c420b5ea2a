"""The HTTP application: streamable HTTP, SSE, health, and the server's further routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.auth import AuthProvider
from fastmcp.server.http import StarletteWithLifespan, create_sse_app, create_streamable_http_app
from mcp.server.streamable_http import EventStore
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .call_records import CallRecord, RecordRefusals
from .health import Readiness, health_routes
from .http_budget import BudgetMiddleware
from .http_edge import Cors, Slashes
from .http_errors import JsonErrors, answer_http_exception
from .http_gate import Gate
from .http_headers import SafeHeaders, answer_unexpected
from .http_messages import MESSAGES_PATH, SSE_PATH, MessageMiddleware
from .inspector import InspectorEdge
from .limits import Limits
from .traffic import Traffic

__all__ = ["build_app"]


def _sse_routes(server: FastMCP[Any], auth: AuthProvider | None) -> list[BaseRoute]:
    own = (SSE_PATH, MESSAGES_PATH.rstrip("/"), f"/.well-known/oauth-protected-resource{SSE_PATH}")
    app = create_sse_app(server, MESSAGES_PATH, SSE_PATH, auth)
    return [route for route in app.routes if getattr(route, "path", None) in own]


def build_app(
    server: FastMCP[Any],
    *,
    auth: AuthProvider | None,
    open_to_anyone: bool = False,
    path: str = "/mcp",
    stateless: bool = False,
    json_response: bool = False,
    event_store: EventStore | None = None,
    retry_interval: int | None = None,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    middleware: Sequence[Middleware] = (),
    limits: Limits,
    readiness: Readiness,
    routes: Sequence[BaseRoute] = (),
    inspector: Sequence[BaseRoute] = (),
    record: CallRecord | None = None,
) -> StarletteWithLifespan:
    """Make the application of a server: ``path``, ``/sse``, ``/health`` and the server's own routes.

    Both endpoints share the server's lifespan. A stateless application has no SSE, whose sessions live in one process.

    Args:
        server: The server.
        auth: Verifies tokens; None for a server without authentication.
        open_to_anyone: Whether requests of other machines are served without a token.
        middleware: ASGI middleware around the endpoints, behind the guard and the verification of tokens.
        path: As in `MemweldServer.http_app`, like all that follow.
        stateless: Whether any replica may serve any request.
        json_response: Whether answers are plain JSON rather than a stream of one event.
        event_store: Keeps events for clients that come back.
        retry_interval: When these should come back, in milliseconds.
        allowed_hosts: Names that the Host header may have besides this machine's.
        allowed_origins: Origins of web pages that may call; they get the CORS headers that browsers ask for.
        limits: What one user may take.
        readiness: Says whether the store answers.
        routes: Further ones.
        inspector: The routes of the inspector (`inspector_routes`); none for a server without.
        record: Of refused requests.
    """
    traffic = Traffic()
    # Before the main endpoint: a provider protects the path that it is given last.
    sse_routes = [] if stateless else _sse_routes(server, auth)
    required = None if auth is None else auth.required_scopes
    app = create_streamable_http_app(
        server,
        path,
        event_store=event_store,
        retry_interval=retry_interval,
        auth=auth,
        json_response=json_response,
        stateless_http=stateless,
        routes=[*health_routes(server.name, traffic, readiness), *routes, *sse_routes, *inspector],
        middleware=[
            Middleware(Gate, required_scopes=required, open_to_anyone=open_to_anyone),
            # Outside of what rewrites responses, so that headers which it adds to an error stay.
            *middleware,
            Middleware(BudgetMiddleware, path=path, stateless=stateless, limits=limits),
            Middleware(MessageMiddleware, path=path, required_scopes=required, stateless=stateless, traffic=traffic),
        ],
        # A page of a foreign origin has no token to send. Without tokens, every request is examined.
        host_origin_protection="auto" if auth is not None else True,
        allowed_hosts=list(allowed_hosts) or None,
        # Where a proxy ends TLS, pages of the server's own name come from an origin that the server does not see.
        allowed_origins=[*allowed_origins, *(f"https://{host}" for host in allowed_hosts)] or None,
    )
    app.state.traffic = traffic
    _finish(app, allowed_origins, limits, record, ui=bool(inspector))
    return app


def _finish(
    app: StarletteWithLifespan, allowed_origins: Sequence[str], limits: Limits, record: CallRecord | None, *, ui: bool
) -> None:
    """Set what FastMCP's maker of applications takes no arguments for."""
    app.router.redirect_slashes = False
    app.add_exception_handler(HTTPException, answer_http_exception)
    app.add_exception_handler(Exception, answer_unexpected)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_middleware(JsonErrors)
    if ui:
        app.add_middleware(InspectorEdge)
    if record is not None:
        app.add_middleware(RecordRefusals, record=record)
    app.add_middleware(Slashes, routes=app.routes)
    if allowed_origins:
        app.add_middleware(Cors, origins=allowed_origins)
    app.add_middleware(SafeHeaders, header_bytes=limits.header_bytes)


def _answer_nobody(_request: Request, _error: Exception) -> Response:
    """The answer to a client that left before its body was there: nothing has failed."""
    return Response(status_code=400)

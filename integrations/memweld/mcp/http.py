"""The HTTP application: streamable HTTP and SSE beside it, who is let in, and every error in the contract's words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import anyio
import mcp.types as mt
from fastmcp import FastMCP
from fastmcp.server.auth import AuthProvider
from fastmcp.server.http import StarletteWithLifespan, create_sse_app, create_streamable_http_app
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, EventStore
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from ..errors import InvalidInputError
from .auth import is_loopback
from .errors import invalid_request, transport_error
from .jsonrpc import NOT_INITIALIZED, UnusableMessageError, error_message, read
from .principal import TRUSTED, subject_of, token_of

__all__ = ["MESSAGES_PATH", "SSE_PATH", "Traffic", "build_app"]

SSE_PATH = "/sse"
MESSAGES_PATH = "/messages/"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""The longest message that is read, which is mcp's own limit."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class _Quiet(logging.Filter):
    """Drops two records of mcp 1.30: what a client sent that is no message, in full, and every session's end."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg not in ("Failed to parse message", "Error in standalone SSE writer")


_QUIET = _Quiet()


class Traffic:
    """What is under way in an application, so that it can end without cutting an answer off.

    Attributes:
        closing: Whether new calls are refused.
        calls: How many calls are being read or answered.
    """

    def __init__(self) -> None:
        self.closing = False
        self.calls = 0
        self._streams: set[anyio.CancelScope] = set()

    @contextmanager
    def call(self) -> Generator[None]:
        """Count a call for the length of the block."""
        self.calls += 1
        try:
            yield
        finally:
            self.calls -= 1

    @contextmanager
    def stream(self) -> Generator[anyio.CancelScope]:
        """Run a stream, which ends only when its client goes, so that `close_streams` can end it."""
        with anyio.CancelScope() as scope:
            self._streams.add(scope)
            try:
                yield scope
            finally:
                self._streams.discard(scope)

    def close_streams(self) -> None:
        """End the streams on which nothing is answered any more."""
        for scope in list(self._streams):
            scope.cancel()


def _path(scope: Scope) -> str:
    return cast("str", scope["path"]).removeprefix(cast("str", scope.get("root_path", "")))


class _Gate:
    """Says who may come in at all; who they are is asked at each call.

    Args:
        app: The application behind it.
        auth: Whether a token is needed.
        open_to_anyone: Whether requests of other machines may come without one.
    """

    def __init__(self, app: ASGIApp, *, auth: bool, open_to_anyone: bool) -> None:
        self._app = app
        self._auth = auth
        self._open_to_anyone = open_to_anyone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._of_a_token(scope) if self._auth else self._without_token(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _of_a_token(self, scope: Scope) -> Response | None:
        token = token_of(HTTPConnection(scope))
        if token is None:
            return None
        try:
            subject = subject_of(token)
        except InvalidInputError as error:
            description = str(error)
            challenge = f'Bearer error="invalid_token", error_description="{ascii(description)[1:-1]}"'
            body = {"error": "invalid_token", "error_description": description}
            return JSONResponse(body, 401, {"WWW-Authenticate": challenge.replace("\\", "/")})
        # mcp binds a session to client, issuer and subject. FastMCP's verifiers leave the subject in the claims, so
        # users of one client program would share their sessions.
        scope["user"] = AuthenticatedUser(token.model_copy(update={"subject": subject}))
        return None

    def _without_token(self, scope: Scope) -> Response | None:
        client = cast("tuple[str, int] | None", scope.get("client"))
        local = client is not None and is_loopback(client[0])
        # A proxy on this machine calls from this machine, whoever calls the proxy.
        if not self._open_to_anyone and (not local or any(name in Headers(scope=scope) for name in _FORWARDED)):
            return JSONResponse(
                {"error": "This server has no authentication and answers only programs on its own machine."}, 403
            )
        scope[TRUSTED] = True
        return None


class _Messages:
    """Reads the one message of a POST before mcp does, and puts mcp's own refusals into the contract's words.

    mcp 1.30 answers what it cannot read with the id "server-error" and without data, and takes a request whose id it
    cannot use for a notification.
    """

    def __init__(
        self, app: ASGIApp, *, path: str, required_scopes: Sequence[str] | None, stateless: bool, traffic: Traffic
    ) -> None:
        self._app = app
        self._path = path
        self._required = required_scopes
        self._stateless = stateless
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) not in (self._path, SSE_PATH, MESSAGES_PATH):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._stream(scope, receive, send)
        elif _path(scope) != self._path:
            with self._traffic.call():
                await self._app(scope, receive, send)
        elif not self._admitted(scope):
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            with self._traffic.call():
                await self._message(scope, receive, send)
        else:
            await self._app(scope, receive, _translating(send, None))

    def _admitted(self, scope: Scope) -> bool:
        """Whether the endpoint will let the request in; it answers 401 and 403 itself."""
        if self._required is None:
            return True
        token = token_of(HTTPConnection(scope))
        return token is not None and set(self._required) <= set(token.scopes)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        to_do = {"http.response.start", "http.response.body"}

        async def watched(message: Message) -> None:
            if not message.get("more_body"):
                to_do.discard(message["type"])
            await send(message)

        sender = watched if _path(scope) != self._path or not self._admitted(scope) else _translating(watched, None)
        with self._traffic.stream() as stream:
            await self._app(scope, receive, sender)
        if stream.cancelled_caught and to_do == {"http.response.body"}:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        if body is None:
            details = f"a message has at most {MAX_BODY_BYTES} bytes"
            await _refuse(413, None, invalid_request(details))(scope, receive, send)
            return
        try:
            asked = read(body).root
        except UnusableMessageError as unusable:
            await _answer(400, unusable.answer)(scope, receive, send)
            return
        request_id = asked.id if isinstance(asked, mt.JSONRPCRequest) else None
        if self._traffic.closing:
            error = transport_error(mt.INTERNAL_ERROR, "the server is about to end")
            await _refuse(503, request_id, error, {"Retry-After": "1", "Connection": "close"})(scope, receive, send)
            return
        begins = isinstance(asked, mt.JSONRPCRequest) and asked.method == "initialize"
        if not (begins or self._stateless or MCP_SESSION_ID_HEADER in Headers(scope=scope)):
            await _refuse(400, request_id, invalid_request(NOT_INITIALIZED))(scope, receive, send)
            return
        await self._app(scope, _replaying(body, receive), _translating(send, request_id))


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):  # Or the client is gone, and nobody reads an answer.
            return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _answer(status: int, message: mt.JSONRPCMessage, headers: dict[str, str] | None = None) -> Response:
    text = message.model_dump_json(by_alias=True, exclude_none=True)
    return Response(text, status, headers, media_type="application/json")


def _refuse(status: int, request_id: object, error: mt.ErrorData, headers: dict[str, str] | None = None) -> Response:
    return _answer(status, error_message(request_id, error), headers)


def _translating(send: Send, request_id: object) -> Send:
    """A ``send`` that rewrites an error response of the transport's as the answer to the request."""
    start: list[Message] = []
    body = bytearray()

    async def translate(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            start.append(message)
            return
        if not start or message["type"] != "http.response.body":
            await send(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        kept = {name: value for name, value in Headers(raw=start[0]["headers"]).items() if name in _KEPT_HEADERS}
        response = _refuse(start[0]["status"], request_id, _transport_error(bytes(body)), kept)
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body})

    return translate


_KEPT_HEADERS = ("allow", "retry-after")


def _transport_error(body: bytes) -> mt.ErrorData:
    try:
        said = mt.JSONRPCError.model_validate_json(body).error
    except ValueError:
        return invalid_request(body.decode("utf-8", "replace"))
    return transport_error(said.code, said.message)


def _health(name: str, traffic: Traffic) -> Callable[[Request], JSONResponse]:
    def health(_: Request) -> JSONResponse:
        status = "stopping" if traffic.closing else "ok"
        return JSONResponse({"status": status, "name": name, "version": __version__}, 503 if traffic.closing else 200)

    return health


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
) -> StarletteWithLifespan:
    """Make the application of a server: ``path``, ``/sse``, ``/health`` and the server's own routes.

    Both endpoints share one lifespan, the server's. A stateless application has no SSE: each of its sessions lives in
    one process.

    Args:
        server: The server.
        auth: What verifies tokens.
        open_to_anyone: Whether requests of other machines are served without a token.
        path: Where streamable HTTP is.
        stateless: Whether a request needs nothing that an earlier one has left, so that any replica may serve it.
        json_response: Whether answers are plain JSON rather than a stream of one event.
        event_store: Where events are kept for clients that come back.
        retry_interval: When these should come back, in milliseconds.
        allowed_hosts: Names that the Host header may have besides this machine's.
        allowed_origins: Origins of web pages that may call.
        middleware: What wraps the endpoints, inside of ours.
    """
    for name in ("mcp.server.sse", "mcp.server.streamable_http"):
        logging.getLogger(name).addFilter(_QUIET)
    traffic = Traffic()
    # Before the main endpoint: a provider takes the path that it hears last for the resource that it protects.
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
        routes=[Route("/health", _health(server.name, traffic)), *sse_routes],
        middleware=[
            Middleware(_Gate, auth=auth is not None, open_to_anyone=open_to_anyone),
            Middleware(_Messages, path=path, required_scopes=required, stateless=stateless, traffic=traffic),
            *middleware,
        ],
        # A page of a strange origin has no token to send; without tokens, every request is looked at.
        host_origin_protection="auto" if auth is not None else True,
        allowed_hosts=list(allowed_hosts) or None,
        allowed_origins=list(allowed_origins) or None,
    )
    app.state.traffic = traffic
    return app

"""JSON-RPC messages over HTTP: each POST is validated before mcp reads it, and each refusal is a JSON-RPC error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import mcp.types as mt
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import invalid_request, transport_error
from .http_accept import JSON_TYPE, STREAM_TYPE, accepting, accepts, as_json, names, replacing
from .http_connections import streaming
from .jsonrpc import NOT_INITIALIZED, UnusableMessageError, error_message, read_message
from .principal import token_of
from .traffic import Traffic

__all__ = ["MAX_BODY_BYTES", "MESSAGES_PATH", "SSE_PATH", "MessageMiddleware", "read_body", "replaying"]

SSE_PATH = "/sse"
MESSAGES_PATH = "/messages/"
MAX_BODY_BYTES = 4 * 1024 * 1024
"""The longest message that is read, which is mcp's own limit."""

_KEPT_HEADERS = ("allow", "retry-after")


def _path(scope: Scope) -> str:
    return cast("str", scope["path"]).removeprefix(cast("str", scope.get("root_path", "")))


class MessageMiddleware:
    """ASGI middleware that reads the one message of a POST before mcp does, and rewrites mcp's refusals.

    mcp 1.30 answers an unreadable message with the id "server-error" and without data, and takes a request with an
    unusable id for a notification.

    Args:
        app: The application behind it.
        path: Where streamable HTTP is.
        required_scopes: The scopes that every token needs; None without authentication.
        stateless: Whether a request needs no session.
        traffic: Counts calls and streams.
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
        """Serve the request."""
        if scope["type"] != "http" or _path(scope) not in (self._path, SSE_PATH, MESSAGES_PATH):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._stream(scope, receive, send)
        elif _path(scope) != self._path:
            rewrites = _path(scope) == MESSAGES_PATH and self._admitted(scope)
            sender = _translating(send, None) if rewrites else send
            with self._traffic.call():
                await self._app(scope, receive, sender)
        elif not self._admitted(scope):
            await self._app(scope, receive, send)
        elif scope["method"] == "POST":
            with self._traffic.call():
                await self._message(scope, receive, send)
        else:
            await self._app(scope, receive, _translating(send, None))

    def _admitted(self, scope: Scope) -> bool:
        """Whether the endpoint admits the request; it answers 401 and 403 itself."""
        if self._required is None:
            return True
        token = token_of(HTTPConnection(scope))
        return token is not None and set(self._required) <= set(token.scopes)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        unsent = {"http.response.start", "http.response.body"}

        async def watched(message: Message) -> None:
            if not message.get("more_body"):
                unsent.discard(message["type"])
            await send(message)

        if accepts(scope, STREAM_TYPE):
            scope = accepting(scope, STREAM_TYPE)
        sender = watched if _path(scope) != self._path or not self._admitted(scope) else _translating(watched, None)
        with self._traffic.stream() as stream, streaming(scope):
            await self._app(scope, receive, sender)
        if stream.cancelled_caught and unsent == {"http.response.body"}:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _message(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        if body is None:
            details = f"a message has at most {MAX_BODY_BYTES} bytes"
            await _refuse(413, None, invalid_request(details))(scope, receive, send)
            return
        try:
            message = read_message(body).root
        except UnusableMessageError as unusable:
            await _answer(400, unusable.answer)(scope, receive, send)
            return
        request_id = message.id if isinstance(message, mt.JSONRPCRequest) else None
        if self._traffic.closing:
            error = transport_error(mt.INTERNAL_ERROR, "the server is about to end")
            await _refuse(503, request_id, error, {"Retry-After": "1", "Connection": "close"})(scope, receive, send)
            return
        begins = isinstance(message, mt.JSONRPCRequest) and message.method == "initialize"
        if not (begins or self._stateless or MCP_SESSION_ID_HEADER in Headers(scope=scope)):
            await _refuse(400, request_id, invalid_request(NOT_INITIALIZED))(scope, receive, send)
            return
        sender = send
        if accepts(scope, JSON_TYPE) or accepts(scope, STREAM_TYPE):
            if not names(scope, STREAM_TYPE):
                error = transport_error(mt.INTERNAL_ERROR, "the server is about to end")
                sender = as_json(send, request_id, _refuse(503, request_id, error))
            # mcp 1.30 refuses clients that do not name both.
            scope = accepting(scope, f"{JSON_TYPE}, {STREAM_TYPE}")
        await self._app(scope, replaying(body, receive), _translating(sender, request_id))


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):  # Or the client is gone and reads no answer.
            return bytes(body)


def replaying(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already."""
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
    """A ``send`` that rewrites an error response of the transport as the answer to the request."""

    def refuse(start: Message, body: bytes) -> Response:
        headers = {name: value for name, value in Headers(raw=start["headers"]).items() if name in _KEPT_HEADERS}
        return _refuse(start["status"], request_id, _transport_error(body), headers)

    return replacing(send, lambda start: start["status"] >= 400, refuse)


def _transport_error(body: bytes) -> mt.ErrorData:
    try:
        error = mt.JSONRPCError.model_validate_json(body).error
    except ValueError:
        return invalid_request(body.decode("utf-8", "replace"))
    return transport_error(error.code, error.message)

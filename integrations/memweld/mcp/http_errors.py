"""Errors over HTTP outside of MCP: one JSON form for our own, Starlette's, FastMCP's and mcp's."""

from __future__ import annotations

import contextlib
import json

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http_accept import replacing

__all__ = ["ASKS_FOR_BEARER", "JsonErrors", "answer_http_exception", "error_body", "error_name"]

_NAMES = {
    401: "AuthenticationError",
    403: "AccessDeniedError",
    404: "PathNotFoundError",
    405: "MethodNotAllowedError",
    421: "MisdirectedRequestError",
    500: "InternalError",
}
ASKS_FOR_BEARER = "A valid token is needed, in the header `Authorization: Bearer <token>`."
_TEXTS = {
    401: ASKS_FOR_BEARER,
    403: "Web pages of this origin may not call this server. Its operator names others with --allowed-origins.",
    421: "The Host header is not a name of this server. Its operator names others with --allowed-hosts.",
}
_PLAIN = (b"", b"Misdirected Request", b"Forbidden Origin")
"""What mcp 1.30 and FastMCP 3.4 refuse with: nothing, or these texts."""

_NOT_FOUND = (
    "The server has nothing at this path. MCP is at /mcp and the inspector at /ui, unless the operator has moved them."
)


class JsonErrors:
    """Gives the refusals of FastMCP and mcp the JSON form of all other errors. Web pages stay as they are.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        await self._app(scope, receive, replacing(send, _is_refusal, _refusal) if scope["type"] == "http" else send)


def _is_refusal(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "text/plain")
    return start["status"] in _TEXTS and kind.startswith(("text/plain", "application/json"))


def _refusal(start: Message, body: bytes) -> Response:
    status: int = start["status"]
    message = _TEXTS[status] if body in _PLAIN else _described(body)
    if message is None:
        response = Response(body, status)
        response.raw_headers = start["headers"]
        return response
    response = JSONResponse(error_body(error_name(status), message), status)
    kept = [pair for pair in start["headers"] if pair[0].lower() not in (b"content-type", b"content-length")]
    response.raw_headers.extend(kept)
    return response


def _described(body: bytes) -> str | None:
    """The description in an error of OAuth's form; None where it is no such error."""
    with contextlib.suppress(ValueError, RecursionError):
        match json.loads(body):
            case {"error": str(), "error_description": str(description)}:
                return description
            case _:
                pass
    return None


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

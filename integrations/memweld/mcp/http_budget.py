"""Each HTTP request takes from the budget of its user: MCP over every transport, the key-value API, further routes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import cast

import mcp.types as mt
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..memory.asynchronous import LANE_SHARE
from .access import TRUSTED
from .budget import BYTES_OF_A_CALL, CURRENT, Budget, Budgets, OverBudgetError
from .errors import over_budget
from .http_edge import error_body
from .http_messages import SSE_PATH, read_body
from .jsonrpc import UnusableMessageError, error_message, read_message
from .limits import Limits
from .principal import ANY_USER_SCOPE, subject_of, token_of

__all__ = ["BudgetMiddleware"]

_FREE = ("/health", "/.well-known/")
_OPENING = 10
"""How many calls a new session is worth."""

_LARGE_BYTES = 262_144
_READ_BYTES = 65_536
"""A refused message of up to this length is read for its id, so that the answer finds its caller."""


class BudgetMiddleware:
    """ASGI middleware that counts requests and refuses those above the limits.

    The key-value API and further routes answer 429 with ``Retry-After``. A JSON-RPC request is answered with an error
    object and status 200, because a client of mcp 1.30 loses its whole session at another status.

    Args:
        app: The application behind it.
        path: Where streamable HTTP is.
        stateless: Whether a request needs no session.
        limits: Of the server.
    """

    def __init__(self, app: ASGIApp, *, path: str, stateless: bool, limits: Limits) -> None:
        self._app = app
        self._path = path
        self._stateless = stateless
        self._budgets = Budgets(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it."""
        path = cast("str", scope.get("path", "")).removeprefix(cast("str", scope.get("root_path", "")))
        caller = None if scope["type"] != "http" or path.startswith(_FREE) else _caller(scope)
        if caller is None:
            await self._app(scope, receive, send)
            return
        subject, trusted = caller
        budget = self._budgets.of(subject, trusted=trusted)
        is_message = scope["method"] == "POST" and path == self._path
        is_stream = scope["method"] == "GET" and path in (self._path, SSE_PATH)
        async with AsyncExitStack() as stack:
            try:
                is_opening = is_message and not self._stateless and MCP_SESSION_ID_HEADER not in Headers(scope=scope)
                budget.count_call(_OPENING if is_opening else 1)
                if not is_stream:
                    await stack.enter_async_context(budget.slot(large=_is_large(scope)))
            except OverBudgetError as error:
                await budget.slow_down()
                refusal = await _refuse_message(scope, receive, error) if is_message else _refuse(error)
                await refusal(scope, receive, send)
                return
            current = CURRENT.set(budget)
            # One user of many takes a share of the threads. A trusted caller acts for many.
            share = LANE_SHARE.set(None if trusted else subject)
            try:
                await self._app(scope, _counting(receive, budget), send)
            finally:
                LANE_SHARE.reset(share)
                CURRENT.reset(current)


def _caller(scope: Scope) -> tuple[str, bool] | None:
    """The subject of the token, and whether it is trusted to act for many; None where no call will be served."""
    token = token_of(HTTPConnection(scope))
    if token is not None:
        return subject_of(token), ANY_USER_SCOPE in token.scopes
    if not scope.get(TRUSTED):
        return None
    client = cast("tuple[str, int] | None", scope.get("client"))
    return (client[0] if client else ""), True


def _is_large(scope: Scope) -> bool:
    """Whether the body is long, or of unknown length."""
    headers = Headers(scope=scope)
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdecimal() or int(length) > _LARGE_BYTES


def _counting(receive: Receive, budget: Budget) -> Receive:
    # A call pays for the beginning of its body: what a user has left must not depend on a few bytes.
    free = BYTES_OF_A_CALL

    async def count() -> Message:
        nonlocal free
        message = await receive()
        size = len(message.get("body", b""))
        budget.count_bytes(max(0, size - free))
        free = max(0, free - size)
        return message

    return count


def _headers(error: OverBudgetError) -> dict[str, str]:
    return {"Retry-After": str(error.seconds)}


def _refuse(error: OverBudgetError) -> Response:
    return JSONResponse(error_body("TooManyCallsError", str(error)), 429, _headers(error))


async def _refuse_message(scope: Scope, receive: Receive, error: OverBudgetError) -> Response:
    """The answer to a message: an error object where it is a request."""
    length = Headers(scope=scope).get("content-length", "")
    request_id = None
    if length.isdecimal() and int(length) <= _READ_BYTES:
        try:
            message = read_message(await read_body(receive) or b"").root
            request_id = message.id if isinstance(message, mt.JSONRPCRequest) else None
        except UnusableMessageError:
            pass
    text = error_message(request_id, over_budget(str(error), error.seconds)).model_dump_json(
        by_alias=True, exclude_none=True
    )
    status = 429 if request_id is None else 200
    return Response(text, status, _headers(error), media_type="application/json")

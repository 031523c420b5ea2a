"""Each HTTP request takes from the budget of its user: MCP over every transport, the key-value API, further routes."""

from __future__ import annotations

import contextlib
from contextlib import AsyncExitStack
from typing import cast

import anyio
import mcp.types as mt
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..memory.asynchronous import LANE_SHARE
from .access import TRUSTED
from .budget import BYTES_OF_A_CALL, CURRENT, OVER_BUDGET, Budget, Budgets, OverBudgetError
from .errors import over_budget
from .http_connections import count_for
from .http_errors import error_body
from .http_messages import MESSAGES_PATH, SSE_PATH, read_body, replaying
from .jsonrpc import UnusableMessageError, error_message, read_message
from .limits import Limits
from .principal import ANY_USER_SCOPE, subject_of, token_of

__all__ = ["BudgetMiddleware"]

_FREE = ("/health", "/.well-known/")
_OPENING = 10
"""How many calls a new session is worth."""

_LARGE_BYTES = 262_144
_BODY_SECONDS = 5.0
"""How long the body of a refused message is read for its id, so that the answer finds its caller."""

_NOTE_BYTES = 65_536
"""A longer notification above the budget is dropped."""


class BudgetMiddleware:
    """ASGI middleware that counts requests and refuses those above the limits.

    The key-value API and further routes answer 429 with ``Retry-After``. A JSON-RPC request is answered with an error
    object and status 200, because a client of mcp 1.30 loses its whole session at another status. Over SSE the error
    is on the session's stream.

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
        if not scope.get(TRUSTED):
            count_for(scope, subject)
        budget = self._budgets.of(subject, trusted=trusted)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(budget.request())
            except OverBudgetError as error:
                await _refuse(error)(scope, receive, send)
                return
            body = stack.enter_context(_Body(receive, budget))
            current = CURRENT.set(budget)
            # One user of many takes a share of the threads. A trusted caller acts for many.
            share = LANE_SHARE.set(None if trusted else subject)
            try:
                await self._serve(path, budget, scope, body.receive, send)
            finally:
                LANE_SHARE.reset(share)
                CURRENT.reset(current)

    async def _serve(self, path: str, budget: Budget, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        is_message = method == "POST" and path == self._path
        is_free = method == "DELETE" and path == self._path  # A session that ends leaves room.
        async with AsyncExitStack() as stack:
            try:
                has_session = self._stateless or MCP_SESSION_ID_HEADER in Headers(scope=scope)
                # Over SSE the stream is the session.
                is_opening = (is_message and not has_session) or (method == "GET" and path == SSE_PATH)
                if not is_free:
                    budget.count_call(_OPENING if is_opening else 1)
                if method != "GET" or path not in (self._path, SSE_PATH):
                    await stack.enter_async_context(budget.slot())
            except OverBudgetError as error:
                await budget.slow_down()
                if method == "POST" and path == MESSAGES_PATH:
                    # The client waits for the answer on its stream: the session's reader sends the error there.
                    scope[OVER_BUDGET] = error
                elif is_message:
                    await self._refuse_message(error, scope, receive, send)
                    return
                else:
                    await _refuse(error)(scope, receive, send)
                    return
            await self._app(scope, receive, send)

    async def _refuse_message(self, error: OverBudgetError, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with an error object, and pass on what needs no answer.

        A client of mcp 1.30 loses its session if a notification is refused.
        """
        body, request_id = None, None
        with anyio.move_on_after(_BODY_SECONDS):
            body = await read_body(receive)
        if body is not None:
            try:
                message = read_message(body).root
                request_id = message.id if isinstance(message, mt.JSONRPCRequest) else None
            except UnusableMessageError:
                body = None
        if body is None or request_id is not None:
            answer = error_message(request_id, over_budget(str(error), error.seconds))
            text = answer.model_dump_json(by_alias=True, exclude_none=True)
            status = 429 if request_id is None else 200
            await Response(text, status, _headers(error), media_type="application/json")(scope, receive, send)
        elif len(body) <= _NOTE_BYTES:
            await self._app(scope, replaying(body, receive), send)
        else:
            await Response(status_code=202)(scope, receive, send)


class _Body:
    """The body of a request, which its user pays for; a large one is read when few others are.

    Args:
        receive: The ASGI function.
        budget: Of the user.
    """

    def __init__(self, receive: Receive, budget: Budget) -> None:
        self._receive = receive
        self._budget = budget
        # A call pays for the beginning of its body: what a user has left must not depend on a few bytes.
        self._free = BYTES_OF_A_CALL
        self._received = 0
        self._has_slot = False

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *_: object) -> None:
        self._release()

    async def receive(self) -> Message:
        """The next message."""
        if self._received > _LARGE_BYTES and not self._has_slot:
            await self._budget.large_bodies.acquire()
            self._has_slot = True
        message = await self._receive()
        size = len(message.get("body", b""))
        self._received += size
        self._budget.count_bytes(max(0, size - self._free))
        self._free = max(0, self._free - size)
        if not message.get("more_body"):
            self._received = 0
            self._release()
        return message

    def _release(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._budget.large_bodies.release()


def _caller(scope: Scope) -> tuple[str, bool] | None:
    """The subject of the token, and whether it is trusted to act for many; None where no call will be served."""
    token = token_of(HTTPConnection(scope))
    if token is not None:
        return subject_of(token), ANY_USER_SCOPE in token.scopes
    if not scope.get(TRUSTED):
        return None
    client = cast("tuple[str, int] | None", scope.get("client"))
    return (client[0] if client else ""), True


def _headers(error: OverBudgetError) -> dict[str, str]:
    return {"Retry-After": str(error.seconds)}


def _refuse(error: OverBudgetError) -> Response:
    return JSONResponse(error_body("TooManyCallsError", str(error)), 429, _headers(error))

"""Which HTTP requests the application admits: with a usable token, or without one from this machine."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import cast

from cachetools import TTLCache
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import InvalidInputError
from ..urls import is_local
from .access import TRUSTED
from .http_errors import error_body, error_name
from .principal import subject_of, token_of, validate_scopes

__all__ = ["Gate"]

_log = logging.getLogger("memweld.mcp")

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Gate:
    """ASGI middleware that admits a request or refuses it; each call finds out later who makes it.

    Args:
        app: The application behind it.
        required_scopes: The scopes that every token needs; None where no token is needed.
        open_to_anyone: Whether requests of other machines are admitted without one.
    """

    def __init__(self, app: ASGIApp, *, required_scopes: Collection[str] | None, open_to_anyone: bool) -> None:
        self._app = app
        self._required = required_scopes
        self._open_to_anyone = open_to_anyone
        self._logged: TTLCache[str, None] = TTLCache(100, ttl=60.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it."""
        if scope["type"] == "http":
            if self._required is None:
                refusal = self._refuse_without_token(scope)
            else:
                refusal = self._refuse_token(scope, self._required)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse_without_token(self, scope: Scope) -> Response | None:
        client = cast("tuple[str, int] | None", scope.get("client"))
        local = client is not None and is_local(client[0])
        # A proxy on this machine connects from this machine for clients anywhere.
        if not self._open_to_anyone and (not local or any(name in Headers(scope=scope) for name in _FORWARDED)):
            message = "This server has no authentication and answers only programs on its own machine."
            return JSONResponse(error_body("AccessDeniedError", message), 403)
        scope[TRUSTED] = True
        return None

    def _refuse_token(self, scope: Scope, required_scopes: Collection[str]) -> Response | None:
        token = token_of(HTTPConnection(scope))
        if token is None:
            return None
        try:
            subject = subject_of(token)
            validate_scopes(token.scopes, required_scopes)
        except InvalidInputError as error:
            description = str(error)
            if description not in self._logged:
                self._logged[description] = None
                _log.warning("A token was refused: %s", description)
            challenge = f'Bearer error="invalid_token", error_description="{ascii(description)[1:-1]}"'
            headers = {"WWW-Authenticate": challenge.replace("\\", "/")}
            return JSONResponse(error_body(error_name(401), description), 401, headers)
        # mcp binds a session to client, issuer and subject. FastMCP's verifiers leave the subject in the claims, so the
        # users of one client program would share their sessions.
        scope["user"] = AuthenticatedUser(token.model_copy(update={"subject": subject}))
        return None

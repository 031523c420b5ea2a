"""Which HTTP requests the application admits: with a usable token, or without one from this machine."""

from __future__ import annotations

from typing import cast

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import InvalidInputError
from ..urls import is_local
from .access import TRUSTED
from .http_edge import error_body
from .principal import subject_of, token_of

__all__ = ["Gate"]

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Gate:
    """ASGI middleware that admits a request or refuses it; each call finds out later who makes it.

    Args:
        app: The application behind it.
        auth: Whether a token is needed.
        open_to_anyone: Whether requests of other machines are admitted without one.
    """

    def __init__(self, app: ASGIApp, *, auth: bool, open_to_anyone: bool) -> None:
        self._app = app
        self._auth = auth
        self._open_to_anyone = open_to_anyone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it."""
        if scope["type"] == "http":
            refusal = _refuse_token(scope) if self._auth else self._refuse_without_token(scope)
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


def _refuse_token(scope: Scope) -> Response | None:
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
    # mcp binds a session to client, issuer and subject. FastMCP's verifiers leave the subject in the claims, so the
    # users of one client program would share their sessions.
    scope["user"] = AuthenticatedUser(token.model_copy(update={"subject": subject}))
    return None

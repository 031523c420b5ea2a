"""The session of a browser: a token in a cookie, forms that no other site can send, and refusals as pages.

Nothing of a session is kept here: any replica serves any request, and each request verifies the token anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http_accept import replacing

__all__ = [
    "PATH",
    "InspectorEdge",
    "base_of",
    "clear_session",
    "csrf_token",
    "forgery_in",
    "page_of",
    "set_session",
    "with_seed",
]

PATH = "/ui"
_SESSION, _SEED = "memweld_ui", "memweld_ui_form"
_MAX_COOKIE = 3_800
"""A browser drops a cookie above 4,096 bytes without a word."""

_OPEN = ("sign-in", "sign-out", "static")


def base_of(scope: Scope) -> str:
    """The path of the inspector, behind the application's mount point."""
    return cast("str", scope.get("root_path", "")).rstrip("/") + PATH


def page_of(scope: Scope) -> str | None:
    """The path behind ``/ui/``; None for a path elsewhere."""
    path = cast("str", scope["path"]).removeprefix(cast("str", scope.get("root_path", "")))
    if path != PATH and not path.startswith(f"{PATH}/"):
        return None
    return path[len(PATH) :].strip("/")


def _is_https(request: HTTPConnection) -> bool:
    # A proxy that ends TLS says so. Who pretends it gets a cookie that their own browser keeps back.
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "").lower() == "https"


def _set(
    request: Request, response: Response, name: str, value: str, samesite: Literal["lax", "strict"] = "strict"
) -> None:
    response.set_cookie(
        name, value, path=base_of(request.scope), secure=_is_https(request), httponly=True, samesite=samesite
    )


def set_session(request: Request, response: Response, token: str) -> bool:
    """Put a verified token into the session's cookie; False where it is too long for one."""
    value = base64.urlsafe_b64encode(token.encode()).decode()
    if len(value) > _MAX_COOKIE:
        return False
    _set(request, response, _SESSION, value)
    return True


def clear_session(request: Request, response: Response) -> None:
    """Remove the session's cookie."""
    response.delete_cookie(
        _SESSION, path=base_of(request.scope), secure=_is_https(request), httponly=True, samesite="strict"
    )


def with_seed(request: Request, response: Response) -> Response:
    """The response, which gives a browser without one the random cookie behind its forms."""
    seed = request.scope.get(_SEED)
    if seed is not None:
        # Sent with a link of another site too, which would else replace it and leave open forms out of date.
        _set(request, response, _SEED, seed, "lax")
    return response


def csrf_token(request: Request) -> str:
    """The token that a form of this browser has to send back."""
    seed = request.cookies.get(_SEED) or request.scope.setdefault(_SEED, secrets.token_urlsafe(24))
    return hmac.digest(seed.encode(), b"memweld form", hashlib.sha256).hex()


def forgery_in(request: Request, sent: str) -> str | None:
    """The reason why a form may come from another site; None for a form of ours.

    Args:
        request: A POST.
        sent: The form's token.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return "The form comes from another web site."
    # Without its scheme, which a proxy that ends TLS changes.
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        return "The form comes from another web site."
    if _SEED not in request.cookies or not hmac.compare_digest(sent.encode(), csrf_token(request).encode()):
        return "The form is out of date. Load its page again, and repeat the change."
    return None


class InspectorEdge:
    """ASGI middleware that takes the session's cookie for the bearer token of pages, and shows refusals as pages.

    The cookie counts below ``/ui`` only. From there on a page is verified, limited and recorded like any other request.

    Args:
        app: The application behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        page = page_of(scope) if scope["type"] == "http" else None
        if page is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        token = _decoded(request.cookies.get(_SESSION, ""))
        if token and "authorization" not in request.headers and page.partition("/")[0] not in _OPEN:
            # In the scope of the request itself: the audit log reads there who makes it.
            scope["headers"] = [*scope["headers"], (b"authorization", b"Bearer " + token)]

        def shown(start: Message, body: bytes) -> Response:
            from .page import refusal_page

            return refusal_page(request, start["status"], _message(body), Headers(raw=start["headers"]))

        await self._app(scope, receive, replacing(send, _is_refusal, shown))


def _decoded(cookie: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(cookie)
    except ValueError:
        return b""


def _is_refusal(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] >= 400 and not kind.startswith("text/html")


def _message(body: bytes) -> str:
    try:
        error: Any = json.loads(body)
        return str(error["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "The request was refused."

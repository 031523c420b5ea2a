"""Sign-in with a bearer token and sign-out, and the fields of a form that only our own pages can send."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastmcp.server.auth import AuthProvider
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...errors import InvalidInputError
from ..principal import subject_of, validate_scopes
from ..rest import MAX_BODY_BYTES, read_error
from ..rest_limits import RefusedError, read_body
from .page import refusal_page, sign_in_page
from .session import base_of, clear_session, forgery_in, set_session

__all__ = ["SignIn", "read_form"]

_MAX_SIGN_IN_BYTES = 16_384
"""Nothing is known yet of who sends it."""


class SignIn:
    """The endpoints of sign-in and sign-out.

    Args:
        auth: Verifies tokens; None for a server without authentication.
    """

    def __init__(self, auth: AuthProvider | None) -> None:
        self._auth = auth

    async def sign_in(self, request: Request) -> Response:
        """The form for a token, and the token that it sends."""
        target = request.query_params.get("target", "")
        if self._auth is None:
            return RedirectResponse(base_of(request.scope), 303)
        if request.method != "POST":
            return sign_in_page(request)
        try:
            form = await read_form(request, _MAX_SIGN_IN_BYTES)
        except (RefusedError, InvalidInputError) as error:
            return sign_in_page(request, read_error(error)[0], str(error), target=target)
        token = form.get("token", "").strip()
        refusal = await _refusal_of(self._auth, token)
        if refusal is not None:
            return sign_in_page(request, 401, refusal, target=target)
        base = base_of(request.scope)
        is_ours = target == base or target.startswith((f"{base}/", f"{base}?"))
        response = RedirectResponse(target if is_ours and "\\" not in target else base, 303)
        if not set_session(request, response, token):
            return sign_in_page(request, 400, "The token is too long for a browser's cookie: use a shorter one.")
        return response

    async def sign_out(self, request: Request) -> Response:
        """Forget the token."""
        try:
            await read_form(request, _MAX_SIGN_IN_BYTES)
        except (RefusedError, InvalidInputError) as error:
            return refusal_page(request, read_error(error)[0], str(error))
        response = RedirectResponse(base_of(request.scope), 303)
        clear_session(request, response)
        return response


async def read_form(request: Request, max_bytes: int = MAX_BODY_BYTES) -> dict[str, str]:
    """The fields of a form of ours.

    Args:
        request: A POST.
        max_bytes: How long the form may be.

    Raises:
        RefusedError: 403, it may come from another site; 413, it is too long.
        InvalidInputError: It is not in UTF-8, or has too many fields.
    """
    body = await read_body(request, max_bytes)
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=30, errors="strict"))
    except ValueError as error:
        raise InvalidInputError("The form is not text in UTF-8.") from error
    reason = forgery_in(request, form.get("csrf", ""))
    if reason is not None:
        raise RefusedError(403, "AccessDeniedError", reason)
    return form


async def _refusal_of(auth: AuthProvider, token: str) -> str | None:
    """The reason why a token opens nothing here; None if it does."""
    verified = await auth.verify_token(token) if token else None
    if verified is None:
        return "This token is not valid."
    missing = set(auth.required_scopes).difference(verified.scopes)
    if missing:
        return f"The token lacks: {' '.join(sorted(missing))}"
    try:
        subject_of(verified)
        validate_scopes(verified.scopes, auth.required_scopes)
    except InvalidInputError as error:
        return str(error)
    return None

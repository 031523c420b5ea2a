"""Pages as HTML: templates in which every text is escaped and shows what it holds, and the headers around them."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ... import __version__
from ...models import MemoryItem
from ...safe_text import safe_for_terminal
from ...validation import local_time, utc_now
from .session import base_of, csrf_token, with_seed

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["link_to", "refusal_page", "render", "sign_in_page", "static_file"]

_CLIP = 20_000
"""A longer text is cut on a page: its memory is exported whole."""

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    # With no-referrer, browsers send the forms of our own pages without their origin.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_STATIC = {"inspector.css": "text/css", "sign-in.js": "text/javascript", "mark.svg": "image/svg+xml"}
_TITLES = {
    400: "That did not work",
    403: "Not allowed",
    404: "Not found",
    429: "Too many requests",
    503: "Not reachable at the moment",
}


def _visible(value: Any) -> Any:
    """A value as it is shown: without characters that hide or reorder others. Jinja escapes it afterwards."""
    if value is None:
        return ""
    return value if isinstance(value, Markup) else safe_for_terminal(str(value), line_break=None)


def _clip(text: str, length: int = _CLIP) -> str:
    return text if len(text) <= length else f"{text[:length]} …"


def _line(text: str, length: int = 160) -> str:
    return _clip(" ".join(text[: 4 * length].split()), length)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _as_value(value: Any) -> str:
    return value if isinstance(value, str) else _as_json(value)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own: dict[str, Any] = {"clip": _clip, "line": _line, "as_json": _as_json, "as_value": _as_value}
    environment.filters.update(own)  # pyright: ignore[reportUnknownMemberType] - Jinja has no type for it
    return environment


def link_to(request: Request, page: str, query: Mapping[str, str | None]) -> str:
    """The address of a page; what is None is left out of the query."""
    text = urlencode({name: value for name, value in query.items() if value is not None})
    path = f"{base_of(request.scope)}/{page}".rstrip("/")
    return f"{path}?{text}" if text else path


def render(
    request: Request,
    template: str,
    status: int = 200,
    *,
    scope: Mapping[str, str | None] | None = None,
    timezone: str | None = None,
    policy: str = "",
    **context: Any,
) -> Response:
    """A page.

    Args:
        request: The request that it answers.
        template: The name of the template.
        status: The HTTP status.
        scope: The query that names the memory, for links to other pages about it.
        timezone: The zone of the times; UTC if None.
        policy: What the page may load beside its style.
        context: The variables of the template.
    """

    def moment(value: datetime) -> str:
        return local_time(value, timezone or "UTC").strftime("%Y-%m-%d %H:%M")

    def span(item: MemoryItem) -> str:
        start, end = item.valid_from or item.created_at, item.valid_until
        if end is None and start > utc_now():
            return f"from {moment(start)}"
        return f"{moment(start)} – {'now' if end is None else moment(end)}"

    def link(page: str = "", **query: str | None) -> str:
        return link_to(request, page, {**(scope or {}), **query} if page else query)

    text = (
        _environment()
        .get_template(template)
        .render(
            base=base_of(request.scope),
            csrf=csrf_token(request),
            link=link,
            scope=scope or {},
            moment=moment,
            span=span,
            version=__version__,
            zone=timezone or "UTC",
            **{"nav": (), "subject": None, "done": None, **context},
        )
    )
    headers = {**_HEADERS, "Content-Security-Policy": _POLICY + policy}
    return with_seed(request, HTMLResponse(text, status, headers))


def sign_in_page(request: Request, status: int = 200, message: str = "", *, target: str = "") -> Response:
    """The page that asks for a token. Its script reads one from the fragment of the address, for ``memweld ui``."""
    return render(
        request, "sign_in.html", status, title="Sign in", policy="; script-src 'self'", message=message, target=target
    )


def refusal_page(
    request: Request, status: int, message: str, headers: Headers | None = None, *, back: tuple[str, str] | None = None
) -> Response:
    """The page for a refusal: the sign-in where a token is missing, else a page that says why.

    Args:
        request: What is refused.
        status: The HTTP status.
        message: The reason.
        headers: Headers of the refusal.
        back: The page to which the reader may go back: its title and address.
    """
    if status == 401:
        is_old = "authorization" in request.headers
        text = "Your sign-in has ended, or the token is not valid." if is_old else ""
        query = request.url.query
        target = f"{request.url.path}{'?' + query if query else ''}" if request.method == "GET" else ""
        response = sign_in_page(request, 401, text, target=target)
    else:
        title = _TITLES.get(status, "The server cannot show this page")
        response = render(request, "error.html", status, title=title, message=message, back=back)
    for name in ("www-authenticate", "retry-after", "allow"):
        if headers is not None and name in headers:
            response.headers[name] = headers[name]
    return response


async def static_file(request: Request) -> Response:
    """A style sheet, a script or a picture of the inspector."""
    name = request.path_params["name"]
    if name not in _STATIC:
        return refusal_page(request, 404, "The inspector has no such file.")
    content = files(__package__ or "").joinpath("static", name).read_bytes()
    return Response(content, headers={"Cache-Control": "public, max-age=86400"}, media_type=_STATIC[name])

"""The server as an ASGI application, for an HTTP server of somebody else's."""

from __future__ import annotations

from collections.abc import Sequence

from fastmcp.server.auth import AuthProvider
from fastmcp.server.http import StarletteWithLifespan

from ..memory.backend import Backend
from ..memory.memory import Memory
from .errors import ErrorMode
from .server import ExtraRoutes, create_server

__all__ = ["create_app"]


def create_app(
    backend: Backend | Memory,
    *,
    auth: AuthProvider | None = None,
    stateless: bool = False,
    allowed_hosts: Sequence[str] = (),
    allowed_origins: Sequence[str] = (),
    errors: ErrorMode = "jsonrpc",
    toolsets: Sequence[str] | None = None,
    user_id: str | None = None,
    lock_user: bool = False,
    extra_routes: ExtraRoutes | None = None,
    writes_per_day: int | None = None,
    insecure_open_to_anyone_who_connects: bool = False,
) -> StarletteWithLifespan:
    """Make the ASGI application that ``memweld serve --transport http`` serves, for an HTTP server of your own.

    Enter its lifespan: mount it as ``Starlette(routes=[Mount("/", app)], lifespan=app.lifespan)``, or run it alone.

    Args:
        backend: As in `create_server`.
        auth: As in `create_server`. Without it, only programs on the same machine are served.
        stateless: Whether any replica may serve any request; there is no SSE then.
        allowed_hosts: Names, besides this machine's, that the Host header may have.
        allowed_origins: Origins of web pages that may call.
        errors: As in `create_server`.
        toolsets: As in `create_server`.
        user_id: As in `create_server`.
        lock_user: As in `create_server`.
        extra_routes: As in `create_server`.
        writes_per_day: As in `create_server`.
        insecure_open_to_anyone_who_connects: As in `create_server`.

    Raises:
        InvalidInputError: An argument breaks a rule.
        ConfigurationError: ``lock_user`` without a user.
    """
    server = create_server(
        backend,
        auth=auth,
        errors=errors,
        toolsets=toolsets,
        user_id=user_id,
        lock_user=lock_user,
        extra_routes=extra_routes,
        writes_per_day=writes_per_day,
        insecure_open_to_anyone_who_connects=insecure_open_to_anyone_who_connects,
    )
    return server.http_app(
        stateless_http=stateless, allowed_hosts=list(allowed_hosts), allowed_origins=list(allowed_origins)
    )

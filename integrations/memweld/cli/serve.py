"""The command ``memweld serve``."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from .options import Url, connected, words

__all__ = ["serve_command"]


class Transport(str, Enum):
    """How a server is reached."""

    STDIO = "stdio"
    HTTP = "http"
    SSE = "sse"


class Errors(str, Enum):
    """How a server answers a failed tool call."""

    JSONRPC = "jsonrpc"
    TOOL = "tool"


def serve_command(
    *,
    url: Url = None,
    transport: Annotated[
        Transport, typer.Option(help="How clients reach the server; http answers at /mcp, and SSE at /sse beside it.")
    ] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="HTTP: the name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="HTTP: the port; 0 for any free one.", min=0, max=65535)] = 8710,
    uds: Annotated[
        str | None,
        typer.Option(help="HTTP: the path of a Unix socket, instead of host and port. Only this user can connect."),
    ] = None,
    stateless: Annotated[
        bool, typer.Option("--stateless", help="HTTP: no sessions, so that any replica may serve any request.")
    ] = False,
    allowed_hosts: Annotated[
        str | None, typer.Option(help="HTTP: names that clients may call the server by, with commas.")
    ] = None,
    allowed_origins: Annotated[
        str | None, typer.Option(help="HTTP: origins of web pages that may call, with commas.")
    ] = None,
    toolsets: Annotated[
        str | None,
        typer.Option(
            help="The only tools, with commas: memory, preferences, tasks, state, history, or names of tools. "
            "The first three sets if not given."
        ),
    ] = None,
    errors: Annotated[
        Errors, typer.Option(help="How a failed call is answered: a JSON-RPC error, or a result marked isError.")
    ] = Errors.JSONRPC,
    user: Annotated[
        str | None,
        typer.Option("--user", envvar="MEMWELD_USER_ID", help="The default user, for calls that name no user."),
    ] = None,
    lock_user: Annotated[
        bool,
        typer.Option("--lock-user/--no-lock-user", envvar="MEMWELD_LOCK_USER", help="That user is the only one."),
    ] = False,
    writes_per_day: Annotated[
        int | None,
        typer.Option(help="HTTP: how many values a user may store a day in a namespace of the key-value API.", min=1),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_AUTH",
            help="HTTP: whose tokens are accepted: tokens:FILE, jwt:FILE (a public key) or jwt:https://… (a key set).",
        ),
    ] = None,
    auth_issuer: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_ISSUER", help="JWT: the issuer of the tokens (iss).")
    ] = None,
    auth_audience: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_AUDIENCE", help="JWT: the audience of the tokens (aud).")
    ] = None,
    auth_scopes: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_SCOPES", help="Scopes that every token needs, with commas.")
    ] = None,
    auth_algorithm: Annotated[
        str, typer.Option(envvar="MEMWELD_AUTH_ALGORITHM", help="JWT: the one accepted algorithm.")
    ] = "RS256",
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_PUBLIC_URL",
            help="JWT: where clients reach the server; it then tells them where to get tokens.",
        ),
    ] = None,
    engine_tools: Annotated[
        bool | None,
        typer.Option(
            "--engine-tools/--no-engine-tools",
            help="Let other programs use this server as their backend. Else a token needs the scope memory:engine.",
        ),
    ] = None,
    insecure_open_to_anyone_who_connects: Annotated[
        bool,
        typer.Option(
            "--insecure-open-to-anyone-who-connects",
            help="HTTP: serve other machines without tokens. Whatever reaches the port can change all memories.",
        ),
    ] = False,
) -> None:
    """Serve the memory to MCP clients."""
    from ..errors import ConfigurationError
    from ..mcp import create_server
    from ..mcp.auth import auth_from

    over_http = transport is not Transport.STDIO
    if auth is not None and not over_http:
        raise ConfigurationError("stdio has no tokens: leave --auth out, or serve with --transport http.")
    if auth is not None and insecure_open_to_anyone_who_connects:
        raise ConfigurationError("--auth and --insecure-open-to-anyone-who-connects exclude each other.")
    provider = auth and auth_from(
        auth,
        issuer=auth_issuer,
        audience=auth_audience,
        required_scopes=words(auth_scopes) or (),
        algorithm=auth_algorithm,
        public_url=public_url,
    )
    with connected(url) as backend:
        server = create_server(
            backend,
            auth=provider or None,
            errors=errors.value,
            toolsets=words(toolsets),
            user_id=user,
            lock_user=lock_user,
            writes_per_day=writes_per_day,
            engine_tools=engine_tools,
            insecure_open_to_anyone_who_connects=insecure_open_to_anyone_who_connects,
        )
        if not over_http:
            server.run()
            return
        server.run(
            transport=transport.value,
            host=host,
            port=port,
            uds=uds,
            stateless_http=stateless,
            allowed_hosts=words(allowed_hosts),
            allowed_origins=words(allowed_origins),
        )

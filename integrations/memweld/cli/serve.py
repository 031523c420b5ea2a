"""The command ``memweld serve``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .logs import LogFormat, LogLevel, configure_logs
from .options import Url, connected, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..mcp import Limits

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


class Redact(str, Enum):
    """The redaction of a server."""

    SECRETS = "secrets"


ErrorForm = Annotated[
    Errors, typer.Option(help="How a failed call is answered: a JSON-RPC error, or a result marked isError.")
]
Stateless = Annotated[
    bool, typer.Option("--stateless", help="HTTP: no sessions, so that any replica may serve any request.")
]
ServedOver = Annotated[
    Transport, typer.Option(help="How clients reach the server; http answers at /mcp, and SSE at /sse beside it.")
]
Host = Annotated[str, typer.Option(help="HTTP: the name or address to listen on.")]
Port = Annotated[int, typer.Option(help="HTTP: the port; 0 for any free one.", min=0, max=65535)]
Uds = Annotated[
    str | None,
    typer.Option(help="HTTP: the path of a Unix socket, instead of host and port. Only this user can connect."),
]
AllowedHosts = Annotated[str | None, typer.Option(help="HTTP: names that clients may call the server by, with commas.")]
AllowedOrigins = Annotated[str | None, typer.Option(help="HTTP: origins of web pages that may call, with commas.")]
Toolsets = Annotated[
    str | None,
    typer.Option(
        help="The only tools, with commas: memory, preferences, tasks, state, history, or names of tools. "
        "The first three sets if not given."
    ),
]
WritesPerDay = Annotated[
    int | None,
    typer.Option(help="HTTP: how many values a user may store a day in a namespace of the key-value API.", min=1),
]
CallsPerMinute = Annotated[
    int | None,
    typer.Option(envvar="MEMWELD_CALLS_PER_MINUTE", help="HTTP: how many calls a user may make a minute.", min=1),
]
CallsInFlight = Annotated[
    int | None,
    typer.Option(envvar="MEMWELD_CALLS_IN_FLIGHT", help="HTTP: how many calls of a user at the same time.", min=1),
]
SessionsPerUser = Annotated[
    int | None,
    typer.Option(envvar="MEMWELD_SESSIONS_PER_USER", help="HTTP: how many MCP sessions a user may have.", min=1),
]
BytesPerUser = Annotated[
    int | None,
    typer.Option(envvar="MEMWELD_BYTES_PER_USER", help="HTTP: how many bytes a user may keep.", min=1),
]
MostConnections = Annotated[
    int | None,
    typer.Option(
        envvar="MEMWELD_CONNECTIONS", help="HTTP: how many open connections; one address may have half of them.", min=2
    ),
]
Auth = Annotated[
    str | None,
    typer.Option(
        envvar="MEMWELD_AUTH",
        help="HTTP: whose tokens are accepted: tokens:FILE, jwt:FILE (a public key) or jwt:https://… (a key set).",
    ),
]
Issuer = Annotated[str | None, typer.Option(envvar="MEMWELD_AUTH_ISSUER", help="JWT: the issuer of the tokens (iss).")]
Audience = Annotated[
    str | None, typer.Option(envvar="MEMWELD_AUTH_AUDIENCE", help="JWT: the audience of the tokens (aud).")
]
TokenScopes = Annotated[
    str | None, typer.Option(envvar="MEMWELD_AUTH_SCOPES", help="Scopes that every token needs, with commas.")
]
Algorithm = Annotated[str, typer.Option(envvar="MEMWELD_AUTH_ALGORITHM", help="JWT: the one accepted algorithm.")]
PublicUrl = Annotated[
    str | None,
    typer.Option(
        envvar="MEMWELD_PUBLIC_URL",
        help="JWT: where clients reach the server; it then tells them where to get tokens.",
    ),
]
EngineTools = Annotated[
    bool | None,
    typer.Option(
        "--engine-tools/--no-engine-tools",
        help="Let other programs use this server as their backend. Else a token needs the scope memory:engine.",
    ),
]
GenerateToken = Annotated[
    bool,
    typer.Option(
        "--generate-token",
        help="HTTP: accept one token, which is made now and printed once on stderr. "
        "Other accounts of this machine cannot connect without it.",
    ),
]
OpenToAnyone = Annotated[
    bool,
    typer.Option(
        "--insecure-open-to-anyone-who-connects",
        help="HTTP: serve other machines without tokens. Whatever reaches the port can change all memories.",
    ),
]
DefaultUser = Annotated[
    str | None,
    typer.Option("--user", envvar="MEMWELD_USER_ID", help="The default user, for calls that name no user."),
]
LockUser = Annotated[
    bool,
    typer.Option("--lock-user/--no-lock-user", envvar="MEMWELD_LOCK_USER", help="That user is the only one."),
]

AuditFile = Annotated[
    Path | None,
    typer.Option(
        "--audit",
        envvar="MEMWELD_AUDIT",
        help="A file for a JSON line about each call and each refused attempt; never texts.",
    ),
]
Metrics = Annotated[
    bool,
    typer.Option(
        "--metrics",
        envvar="MEMWELD_METRICS",
        help="HTTP: serve Prometheus' metrics at /metrics; with --auth, to tokens with the scope memory:metrics.",
    ),
]
Format = Annotated[
    LogFormat,
    typer.Option("--log-format", envvar="MEMWELD_LOG_FORMAT", help="How the log on stderr is written."),
]
Level = Annotated[
    LogLevel, typer.Option("--log-level", envvar="MEMWELD_LOG_LEVEL", help="The least severe records of the log.")
]

Redaction = Annotated[
    Redact | None,
    typer.Option(
        "--redact",
        envvar="MEMWELD_REDACT",
        help="Take keys, tokens, passwords and card numbers out of every text before it is stored.",
    ),
]
NoUi = Annotated[bool, typer.Option("--no-ui", help="HTTP: without the inspector, the web pages at /ui.")]


def _limits(*, connections: int | None, **given: int | None) -> Limits:
    """The limits that are given, and the defaults of the others; one address may have half of the connections."""
    from ..mcp import Limits

    per_address = connections and max(1, connections // 2)
    limits = {**given, "connections": connections, "connections_per_address": per_address}
    chosen: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    return Limits(**chosen)


def serve_command(
    context: typer.Context,
    *,
    url: Url = None,
    redact: Redaction = None,
    transport: ServedOver = Transport.STDIO,
    host: Host = "127.0.0.1",
    port: Port = 8710,
    uds: Uds = None,
    stateless: Stateless = False,
    allowed_hosts: AllowedHosts = None,
    allowed_origins: AllowedOrigins = None,
    toolsets: Toolsets = None,
    errors: ErrorForm = Errors.JSONRPC,
    user: DefaultUser = None,
    lock_user: LockUser = False,
    writes_per_day: WritesPerDay = None,
    calls_per_minute: CallsPerMinute = None,
    calls_in_flight: CallsInFlight = None,
    sessions_per_user: SessionsPerUser = None,
    bytes_per_user: BytesPerUser = None,
    connections: MostConnections = None,
    auth: Auth = None,
    auth_issuer: Issuer = None,
    auth_audience: Audience = None,
    auth_scopes: TokenScopes = None,
    auth_algorithm: Algorithm = "RS256",
    public_url: PublicUrl = None,
    generate_token: GenerateToken = False,
    engine_tools: EngineTools = None,
    audit: AuditFile = None,
    metrics: Metrics = False,
    no_ui: NoUi = False,
    log_format: Format = LogFormat.TEXT,
    log_level: Level = LogLevel.WARNING,
    insecure_open_to_anyone_who_connects: OpenToAnyone = False,
) -> None:
    """Serve the memory to MCP clients."""
    from ..mcp import ENGINE_SCOPE, GeneratedToken, create_server
    from ..mcp.auth import auth_from

    if transport is Transport.STDIO:
        _refuse_http_options(context, auth=auth)
    _refuse_two_ways(
        {
            "--auth": auth is not None,
            "--generate-token": generate_token,
            "--insecure-open-to-anyone-who-connects": insecure_open_to_anyone_who_connects,
        }
    )
    provider: Any = None
    if generate_token:
        provider = GeneratedToken(user or "local", **({"scopes": [ENGINE_SCOPE]} if lock_user else {}))
    elif auth:
        provider = auth_from(
            auth,
            issuer=auth_issuer,
            audience=auth_audience,
            required_scopes=words(auth_scopes) or (),
            algorithm=auth_algorithm,
            public_url=public_url,
        )
    with connected(url, redact=None if redact is None else "secrets") as backend:
        server = create_server(
            backend,
            auth=provider,
            errors=errors.value,
            toolsets=words(toolsets),
            user_id=user,
            lock_user=lock_user,
            writes_per_day=writes_per_day,
            limits=_limits(
                calls_per_minute=calls_per_minute,
                calls_in_flight=calls_in_flight,
                sessions=sessions_per_user,
                bytes_kept=bytes_per_user,
                connections=connections,
            ),
            engine_tools=engine_tools,
            audit=audit,
            metrics=metrics,
            ui=not no_ui,
            insecure_open_to_anyone_who_connects=insecure_open_to_anyone_who_connects,
        )
        configure_logs(log_format, log_level)
        if transport is Transport.STDIO:
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


def _refuse_two_ways(ways: Mapping[str, bool]) -> None:
    """Refuse more than one way of admitting clients."""
    from ..errors import ConfigurationError

    chosen = [option for option, is_chosen in ways.items() if is_chosen]
    if len(chosen) > 1:
        raise ConfigurationError(f"{' and '.join(chosen)} exclude each other: choose one.")


def _refuse_http_options(context: typer.Context, *, auth: str | None) -> None:
    """Refuse tokens on stdio, where none are sent, and HTTP options that the command line gives."""
    from ..errors import ConfigurationError

    if auth is not None:
        raise ConfigurationError("stdio has no tokens: leave --auth out, or serve with --transport http.")
    for option in context.command.params:
        given = getattr(context.get_parameter_source(option.name or ""), "name", None) == "COMMANDLINE"
        if given and (getattr(option, "help", None) or "").startswith("HTTP:"):
            raise ConfigurationError(f"{option.opts[0]} is for HTTP, and this is stdio: add --transport http.")

"""The address of a server: an HTTP URL, or the command of a process that serves MCP on its stdio."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ....errors import ConfigurationError

__all__ = ["ServerAddress", "read_address"]


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """How to reach a server.

    Attributes:
        name: The server for error texts, without secrets.
        url: The endpoint, for HTTP, without login and query.
        query: The query, for HTTP. No library logs it, because none but the transport sees it.
        command: The words of the command, for stdio.
        token: The bearer token, for HTTP.
        login: User and password of the URL, for HTTP; None where there is a token.
        headers: Further headers, for HTTP.
        socket: The path of a Unix socket, for HTTP over one.
        is_backend: Whether to ask a memweld server to serve as a backend.
    """

    name: str
    url: str = ""
    query: str = field(default="", repr=False)
    command: tuple[str, ...] = field(default=(), repr=False)
    token: str | None = field(default=None, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    socket: str | None = None
    is_backend: bool = False


def _words(command: str) -> tuple[str, ...]:
    if os.name == "nt":  # A backslash there is part of a path.
        return tuple(word.strip('"') for word in shlex.split(command, posix=False))
    return tuple(shlex.split(command))


def _command_address(text: str, kind: str) -> ServerAddress:
    try:
        command = _words(text)
    except ValueError as error:
        raise ConfigurationError(f"The command behind stdio: cannot be read: {error}.") from error
    if not command:
        raise ConfigurationError("Name the command behind stdio:, for example stdio:memweld serve.")
    return ServerAddress(f"The {kind} server of the command {command[0]!r}", command=command)


def _socket_path(text: str) -> str:
    path = text.partition("?")[0]
    if not path.strip("/"):
        raise ConfigurationError("Name the socket behind unix:, for example unix:/run/memweld/memweld.sock.")
    return f"/{path.lstrip('/')}" if path.startswith("/") else path


def read_address(
    url: str, token: str | None, *, headers: Mapping[str, str] | None = None, kind: str = "memweld"
) -> ServerAddress:
    """Read the URL of a memweld server or of another MCP server.

    Args:
        url: ``http://…``, ``https://…``, ``unix:/path/of.sock`` or ``stdio:COMMAND``. A URL without a path means
            ``/mcp``.
        token: The bearer token.
        headers: Further headers for HTTP.
        kind: The kind of server, for errors.

    Raises:
        ConfigurationError: There is no host or no command, or a token or headers are given for a process.
    """
    scheme, _, rest = url.partition(":")
    if scheme.lower() == "stdio":
        if token is not None or headers:
            given = "headers=" if token is None else "token="
            raise ConfigurationError(f"{given} goes with a server over HTTP; a process of your own needs none.")
        return _command_address(rest, kind)
    if scheme.lower() == "unix":
        path = _socket_path(rest)
        name = f"The {kind} server at {path}"
        return ServerAddress(name, url="http://localhost/mcp", token=token, headers=dict(headers or {}), socket=path)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        # Not with the reason, which repeats what it could not read: it may be a password.
        text = f"The URL of the {kind} server cannot be read. Write http://host:8710/mcp, special characters with %."
        raise ConfigurationError(text) from error
    if not host:
        raise ConfigurationError("The URL of a server over HTTP names a host: http://host:8710/mcp.")
    if "@" in parts.path:
        # Behind an unescaped / of a password, the rest of it looks like a path.
        raise ConfigurationError(
            "The URL of a server has an @ behind its host: write / in a password as %2F, @ as %40."
        )
    path = parts.path if parts.path.strip("/") else "/mcp"
    named = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{named}{f':{port}' if port else ''}{path}"
    has_login = parts.username is not None or parts.password is not None
    # One header takes either.
    login = (unquote(parts.username or ""), unquote(parts.password or "")) if has_login and token is None else None
    return ServerAddress(
        f"The {kind} server at {shown}",
        url=shown,
        query=parts.query,
        token=token,
        login=login,
        headers=dict(headers or {}),
    )

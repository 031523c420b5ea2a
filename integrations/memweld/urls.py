"""URLs: the part that may be shown and saved, and which hosts are this machine's own."""

from __future__ import annotations

import re
import shlex
from ipaddress import ip_address

__all__ = ["HIDDEN", "is_local", "public_url"]

HIDDEN = "…"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.%]{0,64}\]|[^\[\]:,]{0,255})(?::\d{0,5})?")


def public_url(url: str) -> str:
    """Scheme, host, port and path of a URL: an allow-list, without login, query and fragment.

    Of ``stdio:COMMAND`` it is the name of the program. A SQLite file and a Unix socket have their path.

    Text that does not read as a URL is hidden, because a password may stand anywhere in it.
    """
    scheme, colon, rest = url.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return HIDDEN
    kind, path = scheme.lower(), rest.replace("#", "?").partition("?")[0]
    if kind in ("stdio", "unix"):
        return f"{scheme}:{_program(rest) if kind == 'stdio' else path}"
    if not rest.startswith("//"):
        return HIDDEN
    if kind == "sqlite":
        path = rest.partition("?")[0]
        return f"{scheme}:{path}" if path == "//" or path.startswith("///") else f"{scheme}://{HIDDEN}"
    place, _, others = rest[2:].replace("#", "?").partition("?")
    netloc, slash, path = place.partition("/")
    hosts = netloc.rpartition("@")[2]
    # Behind an unescaped / ? or # of a password, the rest of it looks like a path or query.
    if "@" in path + others or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{hosts}{slash}{path}"


def _program(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        return HIDDEN
    if not words or "=" in words[0] or "@" in words[0]:
        return HIDDEN
    return words[0] if len(words) == 1 else f"{words[0]} {HIDDEN}"


def is_local(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"

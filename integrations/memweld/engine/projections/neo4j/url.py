"""The URL of a graph: where the server is, who logs in, which database, and how entities are found."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from ....errors import ConfigurationError

__all__ = ["Finder", "GraphAddress", "parse_graph_url"]

Finder: TypeAlias = Literal["auto", "rule"]
"""How entities are found: by mem0 or the LLM where there is one, or by the rule alone."""

_SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
_FINDERS = ("auto", "rule")
_OURS = ("database", "entities")
# The routing context: a server that does not know a name in it says nothing, and `bolt://` has none.
_ROUTING = ("policy", "region")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAddress:
    """The address of a graph.

    Attributes:
        uri: For the driver, without user and password.
        auth: User and password, if there are any.
        database: The database; None for the server's default.
        finder: How entities are found.
        where: The server in words, for errors.
    """

    uri: str
    auth: tuple[str, str] | None = field(default=None, repr=False)
    database: str | None = None
    finder: Finder = "auto"
    where: str = "Neo4j"


def parse_graph_url(url: str, *, user: str | None = None, password: str | None = None) -> GraphAddress:
    """Read a URL such as ``neo4j://ana:secret@host:7687?database=memories&entities=rule``.

    Args:
        url: With the login in it, or without.
        user: Who logs in, if the URL does not say it.
        password: Likewise.

    Raises:
        ConfigurationError: It is no such URL. The error repeats nothing of it, because it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    # An @ behind the host belongs to a password with special characters that cut the URL short.
    behind = f"{parts.path}?{parts.query}#{parts.fragment}"
    if parts.scheme not in _SCHEMES or not host or "@" in behind or parts.fragment:
        raise ConfigurationError(
            "graph= is not the URL of a graph store that memweld knows: write neo4j://user:password@host:7687 (or "
            "neo4j+s:// with TLS, bolt:// for one server), with special characters of the password percent-encoded."
        )
    if parts.path.strip("/"):
        raise ConfigurationError("The graph's URL has a path: a database is named by ?database=….")
    options = parse_qsl(parts.query, keep_blank_values=True)
    _validate_options([name for name, _ in options], (*_OURS, *(_ROUTING if parts.scheme.startswith("neo4j") else ())))
    ours = {name: value for name, value in options if name in _OURS}
    finder = ours.get("entities", "auto")
    if finder not in _FINDERS:
        raise ConfigurationError(f"entities={finder!r} in the graph's URL: write entities=auto or entities=rule.")
    rest = urlencode([(name, value) for name, value in options if name not in _OURS])
    netloc = parts.netloc.rpartition("@")[2]
    named = unquote(parts.username) if parts.username else user
    secret = unquote(parts.password) if parts.password else password
    if (named is None) != (secret is None):
        raise ConfigurationError(
            "The graph's login needs a user and a password: both in the URL, or MEMWELD_GRAPH_USER and "
            "MEMWELD_GRAPH_PASSWORD."
        )
    return GraphAddress(
        uri=urlunsplit((parts.scheme, netloc, "", rest, "")),
        auth=None if named is None or secret is None else (named, secret),
        database=ours.get("database") or None,
        finder=finder,
        where=f"Neo4j at {host}:{port or 7687}",
    )


def _validate_options(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Do you mean {close[0]}=?" if close else ""
            options = ", ".join(f"{each}=" for each in known)
            raise ConfigurationError(f"{name}= is no option of the graph's URL.{hint} Its options: {options}.")
        if names.count(name) > 1:
            raise ConfigurationError(f"{name}= stands more than once in the graph's URL: write it once.")

"""A ``postgresql://`` URL: our options, and the rest, which goes to libpq as it stands."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from ...errors import ConfigurationError

__all__ = ["Address", "address_of"]

# The defaults for libpq. PgBouncer refuses a connection with a startup option that it does not know.
_DEFAULTS = {"connect_timeout": "10", "application_name": "memweld", "client_encoding": "utf8"}
_OURS = ("schema", "rls", "pool_size", "exact_below", "binding_key")
_MOST_CONNECTIONS = 1000
# HNSW finds the vectors of a user with more memories; below, a process reads 20 MB once and follows the changes.
_EXACT_BELOW = 20_000


_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]{0,64}\]|[^\[\]:]{0,400})(:\d{0,5})?")
_PORT = re.compile(r"\d{0,5}")
_PLACE = {"host": "localhost", "port": "5432", "dbname": "the user's database"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The place of a database, and how memweld uses it.

    Attributes:
        conninfo: For libpq.
        where: The database in words, for errors, without a password.
        schema: The schema that holds our tables.
        secured: Whether row-level security must be in force.
        pool_size: How many connections this process opens at most.
        exact_below: How many memories of one user are searched exactly.
        binding_key: The key that proves that a transaction may be bound to a user.
    """

    conninfo: str = field(repr=False)
    where: str
    schema: str = "memweld"
    secured: bool = False
    pool_size: int = 10
    exact_below: int = _EXACT_BELOW
    binding_key: bytes | None = field(default=None, repr=False)


def address_of(url: str) -> Address:
    """Read a URL such as ``postgresql://ana@host:5432/app?sslmode=require&schema=memweld&rls=1&pool_size=10``.

    Raises:
        ConfigurationError: It cannot be read, or one of our options is not what it should be.
    """
    try:
        parts = urlsplit(url)
        _validate_login(parts)
    except ValueError:
        raise _unreadable() from None
    options = parse_qsl(parts.query, keep_blank_values=True)
    _validate_names([name for name, _ in options])
    ours = {name: value for name, value in options if name in _OURS}
    rest = urlencode([(name, value) for name, value in options if name not in _OURS], quote_via=quote)
    try:
        named = conninfo_to_dict(f"postgresql://{parts.netloc}{parts.path}?{rest}")
    except psycopg.ProgrammingError:
        # libpq repeats what it could not read, which may be the password.
        raise _unreadable() from None
    host, port, database = (str(named.get(key) or default) for key, default in _PLACE.items())
    if not all(map(_PORT.fullmatch, port.split(","))):
        raise _unreadable()
    return Address(
        conninfo=make_conninfo("", **{**_DEFAULTS, **named}),
        where=f"Postgres at {host}:{port}/{database}",
        schema=_schema(ours.get("schema", "memweld")),
        secured=_switch("rls", ours.get("rls", "0")),
        pool_size=_number("pool_size", ours.get("pool_size", "10"), 1, _MOST_CONNECTIONS),
        binding_key=_key(ours.get("binding_key")),
        exact_below=_number("exact_below", ours.get("exact_below", str(_EXACT_BELOW)), 0, 10_000_000),
    )


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "The Postgres URL cannot be read. Write postgresql://user:password@host:5432/database, with special "
        "characters of the password percent-encoded (@ is %40, / is %2F, : is %3A, # is %23, ? is %3F), and options "
        "of libpq or memweld behind a question mark."
    )


def _validate_login(parts: SplitResult) -> None:
    """A password with a character that ends it would be taken for a host, a port or a database, and shown as such.

    Raises:
        ValueError: There is one.
    """
    login, at, hosts = parts.netloc.rpartition("@")
    name = parts.query.partition("=")[0]
    if "@" in f"{login}{parts.path}{name}" or parts.fragment or (not at and _has_login(parts.query)):
        raise ValueError
    if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        raise ValueError


def _has_login(query: str) -> bool:
    return any("/" in option.partition("@")[2] for option in query.split("&"))


def _validate_names(names: Sequence[str]) -> None:
    known = {*_OURS, "ssl", *(each.keyword.decode() for each in Conninfo.get_defaults())}
    for name in names:
        if name not in known:
            like = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {like[0]}?" if like else ""
            raise ConfigurationError(
                f"The Postgres URL has an option {name!r}, which neither libpq nor memweld knows.{hint} Those of "
                f"memweld are {', '.join(_OURS)}."
            )


def _schema(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise ConfigurationError(
            f"schema={name!r} in the Postgres URL: a schema is named by up to 63 small letters, digits and underscores."
        )
    return name


def _key(text: str | None) -> bytes | None:
    if text is not None and not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ConfigurationError(
            "binding_key in the Postgres URL is not the one that `memweld migrate --signed` shows."
        )
    return None if text is None else bytes.fromhex(text)


def _switch(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise ConfigurationError(f"{name}={value!r} in the Postgres URL: write {name}=1 or {name}=0.")
    return value == "1"


def _number(name: str, value: str, minimum: int, maximum: int) -> int:
    if not value.isascii() or not value.isdigit() or not minimum <= int(value) <= maximum:
        raise ConfigurationError(
            f"{name}={value!r} in the Postgres URL: write a whole number from {minimum} to {maximum:,}."
        )
    return int(value)

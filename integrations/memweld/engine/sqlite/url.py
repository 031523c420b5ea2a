"""The file that a ``sqlite://`` URL names."""

from __future__ import annotations

import os
import re

from ...errors import ConfigurationError
from ...urls import public_url

__all__ = ["path_of"]

_PLAIN = re.compile(r"[\w./-]{1,200}")  # no login and no key


def path_of(url: str) -> str | None:
    """The file, absolute; None for the database in memory.

    ``sqlite:///team.db`` is relative to the working directory, ``sqlite:////data/team.db`` absolute.

    Raises:
        ConfigurationError: The URL names a host, or has a query.
    """
    rest = url.partition("://")[2]
    if "?" in rest:
        raise ConfigurationError(
            f"Cannot connect to {public_url(url)}: a sqlite:// URL names a file and takes no options behind a '?'. "
            "Leave them out: what can be chosen are arguments of memweld.connect."
        )
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/"):
        raise ConfigurationError(
            "Cannot connect: a SQLite file has no host. Write sqlite:/// and a relative path, or sqlite://// and an "
            f"absolute one{f': sqlite:///{rest}' if _PLAIN.fullmatch(rest) else ''}."
        )
    return os.path.abspath(os.path.expanduser(rest[1:]))  # noqa: PTH100, PTH111 - Path.resolve would follow links

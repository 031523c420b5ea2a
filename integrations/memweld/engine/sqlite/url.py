"""The file that a ``sqlite://`` URL names."""

from __future__ import annotations

import os

from ...errors import ConfigurationError

__all__ = ["path_of"]


def path_of(url: str) -> str | None:
    """The file, absolute; None for the database in memory.

    ``sqlite:///team.db`` is relative to the working directory, ``sqlite:////data/team.db`` absolute.

    Raises:
        ConfigurationError: The URL names a host, or has a query.
    """
    rest = url.partition("://")[2]
    if "?" in rest:
        raise ConfigurationError(
            f"Cannot connect to {url!r}: a sqlite:// URL names a file and takes no options behind a '?'. Leave "
            "them out: what can be chosen are arguments of memweld.connect."
        )
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"Cannot connect to {url!r}: a SQLite file has no host. Write sqlite:///{rest} for the file {rest!r}."
        )
    return os.path.abspath(os.path.expanduser(rest[1:]))  # noqa: PTH100, PTH111 - Path.resolve would follow links

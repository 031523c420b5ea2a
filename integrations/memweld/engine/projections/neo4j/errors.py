"""The errors of Neo4j and its driver as errors of ours: one line, with a remedy, without what the server quotes."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Generator

from ....errors import BackendUnavailableError, ConfigurationError, MemweldError
from ..protocol import RefusedError
from .url import GraphAddress

__all__ = ["quiet", "translation"]

_SECURITY = "Neo.ClientError.Security."
_REMEDIES = {
    "AuthenticationRateLimit": "the login for now, after too many wrong attempts. Correct the user and password of "
    "graph=, and wait some seconds.",
    "CredentialsExpired": "the login until the password is changed: log in once in Neo4j's browser or cypher-shell, or "
    "run ALTER CURRENT USER SET PASSWORD.",
    "Forbidden": "what memweld does to the user of graph=. Give it the rights to read, write and make constraints.",
}
_LOGIN = "the login. Check the user and password of graph=."


def translation(error: Exception, address: GraphAddress) -> MemweldError:
    """Our error for an error of the driver. It quotes nothing: servers quote queries, and these hold memories."""
    code = str(getattr(error, "code", None) or "")
    if code.startswith(_SECURITY):
        return ConfigurationError(f"{address.where} refuses {_REMEDIES.get(code.removeprefix(_SECURITY), _LOGIN)}")
    if code == "Neo.ClientError.Database.DatabaseNotFound":
        return ConfigurationError(f"{address.where} has no database {address.database!r}.")
    if code.startswith("Neo.ClientError."):
        return RefusedError(f"{address.where} refuses what it was told: {code}.")
    what = code or type(error).__name__
    if what == "ConfigurationError":
        return ConfigurationError(f"The URL of graph= for {address.where} is none that the driver takes: check it.")
    return BackendUnavailableError(
        f"{address.where} cannot be used: {what}. Check that it runs and is at this address."
    )


class _QueryingThread(threading.local):
    """Whether the current thread asks Neo4j for memweld."""

    is_active = False


_querying = _QueryingThread()


class _Quieter(logging.Filter):
    """Lowers what the driver logs of our own queries to DEBUG: memweld raises their errors."""

    def filter(self, record: logging.LogRecord) -> bool:
        if _querying.is_active and record.levelno > logging.DEBUG:
            record.levelno, record.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
            return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)
        return True


_QUIETER = _Quieter()


@contextlib.contextmanager
def quiet() -> Generator[None]:
    """Keep the driver (6.4) from logging an outage as an error of its own, on stderr where logging is not set up.

    A filter on three loggers of the whole process, which lets records of other threads and programs through.
    """
    for name in ("neo4j.pool", "neo4j.io", "neo4j"):
        logging.getLogger(name).addFilter(_QUIETER)  # once: the same filter is not added again
    before, _querying.is_active = _querying.is_active, True
    try:
        yield
    finally:
        _querying.is_active = before

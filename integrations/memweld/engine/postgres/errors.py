"""Errors of Postgres and the network as errors of memweld: one line, with a remedy, and never with a password."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout

from ...errors import BackendUnavailableError, ConfigurationError, InvalidInputError, MemweldError

__all__ = ["translated", "translation"]

_REMEDIES: tuple[tuple[tuple[type[psycopg.Error], ...], str], ...] = (
    ((errors.InvalidPassword, errors.InvalidAuthorizationSpecification), "Check the user and password of the URL."),
    ((errors.InvalidCatalogName,), "Create the database first, or name another one in the URL."),
    ((errors.ReadOnlySqlTransaction,), "It only reads: name the primary server in the URL."),
    ((errors.LockNotAvailable,), "Another connection has been writing for the same user for too long; try again."),
    ((errors.TooManyConnections,), "Lower pool_size in the URL, or put a pooler in front."),
    ((errors.DiskFull,), "Free some disk space on the server; what was stored before is intact."),
    ((errors.SerializationFailure, errors.DeadlockDetected), "Nothing was stored; try again."),
    ((errors.UndefinedTable, errors.UndefinedFunction), "Its tables are not complete: run `memweld migrate`."),
)
_WRONG_OPTION = re.compile(r"(invalid [\w \"]{1,80} value\b|invalid integer value|bad value for).*")
_NOT_OURS = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification, errors.InvalidCatalogName)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


def translation(error: Exception, where: str) -> MemweldError:
    """The error of memweld for an error of psycopg."""
    if isinstance(error, PoolClosed):
        return BackendUnavailableError(f"{where} is closed; connect again.")
    if isinstance(error, PoolTimeout):
        return BackendUnavailableError(
            f"{where}: no connection was free in time. Raise pool_size in the URL, or ask for less at once."
        )
    text = _first_line(error)
    if (settings := _settings_problem(error, text)) is not None:
        return ConfigurationError(f"{where}: {settings}")
    if isinstance(error, psycopg.DataError):
        return InvalidInputError("The database cannot keep a value of this call. Nothing was stored.")
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return _unreachable(text, where)
    remedy = next((remedy for kinds, remedy in _REMEDIES if isinstance(error, kinds)), "Nothing was stored.")
    return (ConfigurationError if isinstance(error, _NOT_OURS) else BackendUnavailableError)(
        f"{where} cannot be used: {text}. {remedy}"
    )


def _settings_problem(error: Exception, text: str) -> str | None:
    """The error of missing rights or unreadable options, with its remedy."""
    if isinstance(error, errors.InsufficientPrivilege):
        return (
            f"{text}. Run `memweld migrate` with the URL of the owner of the tables (for a new database, of its "
            "owner); with --role it gives the role of an application its rights."
        )
    if isinstance(error, psycopg.Error) and error.sqlstate is None and (wrong := _WRONG_OPTION.search(text)):
        return f"{wrong[0]}. Write this option of the URL as libpq knows it."
    return None


def _unreachable(text: str, where: str) -> MemweldError:
    """The error of a connection that never began: libpq gives it no code, only a text."""
    if "password" in text or "authentication" in text or "role" in text:
        return ConfigurationError(f"{where} refuses the login. Check the user and password of the URL.")
    if "database" in text and "does not exist" in text:
        return ConfigurationError(f"{where}: there is no such database. Create it first, or name another in the URL.")
    return BackendUnavailableError(f"{where} cannot be reached: {text}. Check that it runs and is at this address.")


@contextlib.contextmanager
def translated(where: str) -> Generator[None]:
    """Turn the errors that psycopg raises inside into errors of memweld."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed) as error:
        raise translation(error, where) from error

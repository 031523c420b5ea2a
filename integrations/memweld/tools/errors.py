"""Errors as a model or a client may read them; the operator reads the rest in the log."""

from __future__ import annotations

import logging
import threading

from cachetools import TTLCache

from ..errors import BackendUnavailableError, ConfigurationError, MemweldError, for_clients

__all__ = ["OutageLog", "readable_details", "readable_error"]

_UNAVAILABLE = "The memory cannot be used now; the log says why. Try again later."
_NOT_SET_UP = "The memory is not set up for this call; the log says what its operator can do."
_UNEXPECTED = "An unexpected error; the log says more."
_QUIET_SECONDS = 60.0
_MAX_LOGGED = 100


def readable_details(error: BaseException) -> str:
    """The text of an error that a client may read.

    Errors about the store and its settings name files, hosts and roles: they are for the operator, in the log.
    """
    if isinstance(error, MemweldError) and error.for_clients:
        return str(error)
    if isinstance(error, BackendUnavailableError):
        return _UNAVAILABLE
    return _NOT_SET_UP if isinstance(error, ConfigurationError) else _UNEXPECTED


def readable_error(error: BaseException, *, tool: str) -> MemweldError:
    """The error of a tool, with a text for a model; a foreign one shows its type alone. The cause has the rest."""
    if isinstance(error, MemweldError) and error.for_clients:
        return error
    readable: MemweldError = MemweldError(f"Internal error in {tool}: {type(error).__name__}")
    for kind in (BackendUnavailableError, ConfigurationError):
        if isinstance(error, kind):
            readable = kind(readable_details(error))
    readable.__cause__ = error
    return for_clients(readable)


class OutageLog:
    """Tells the operator of a store that cannot be used, or of wrong settings: once a minute, not with every call.

    Args:
        logger: The log.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._log = logger
        self._logged: TTLCache[str, None] = TTLCache(_MAX_LOGGED, ttl=_QUIET_SECONDS)
        self._lock = threading.Lock()

    def note(self, error: BaseException | None) -> None:
        """Log the error, unless it is the caller's or was logged just now."""
        if not isinstance(error, MemweldError) or error.for_clients:
            return
        with self._lock:
            is_new = str(error) not in self._logged
            if is_new:
                self._logged[str(error)] = None
        if is_new:
            self._log.error("%s", error)

"""The errors of memweld form one tree, so one ``except MemweldError`` is enough.

::

    MemweldError
    ├── InvalidInputError        (also a ValueError)    an argument breaks a rule; nothing was written
    ├── MemoryNotFoundError      (also a LookupError)   no such memory in this scope
    ├── AccessDeniedError        (also a PermissionError) the caller may not act for that user
    ├── BackendUnavailableError  (also a ConnectionError) the store cannot be reached, read or written
    ├── ConfigurationError                              settings contradict each other, or one is missing
    └── MissingExtraError        (also an ImportError)  an optional package is not installed

memweld translates errors of other libraries at its borders; they stay reachable as ``__cause__``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any, TypeVar

__all__ = [
    "AccessDeniedError",
    "BackendUnavailableError",
    "ConfigurationError",
    "InvalidInputError",
    "MemoryNotFoundError",
    "MemweldError",
    "MissingExtraError",
    "for_clients",
    "for_log",
    "invalid",
    "log_line",
    "log_text",
    "missing_extra",
    "shown_name",
]

ErrorT = TypeVar("ErrorT", bound="MemweldError")

_SHOWN_CHARACTERS = 80


class MemweldError(Exception):
    """The base class of every error that memweld raises on purpose.

    Attributes:
        for_clients: Whether clients of a server may read its text; one for operators names files, hosts and roles.
    """

    for_clients: bool = True


class InvalidInputError(MemweldError, ValueError):
    """An argument breaks a rule. The message names the value, the rule and the remedy.

    Attributes:
        for_log: The message without the value, which may be what a user said; None if it was not built by `invalid`.
    """

    for_log: str | None = None


class MemoryNotFoundError(MemweldError, LookupError):
    """No memory with this id exists in the caller's scope.

    Another user's id answers exactly as one that does not exist.
    """

    def __init__(self, memory_id: str) -> None:
        self.memory_id = memory_id
        super().__init__(f"No memory exists with ID {memory_id}")


class AccessDeniedError(MemweldError, PermissionError):
    """The caller may not act for the requested scope."""


class BackendUnavailableError(MemweldError, ConnectionError):
    """The store behind the memory cannot be reached, opened, read or written."""

    for_clients = False


class ConfigurationError(MemweldError):
    """Settings contradict each other, or one is missing."""

    for_clients = False


class MissingExtraError(MemweldError, ImportError):
    """An optional package is not installed. The message is the one-line remedy."""


def invalid(name: str, value: Any, rule: str, remedy: str) -> InvalidInputError:
    """Build the error for a bad argument: the value, the rule and the remedy."""
    try:
        shown = ascii(value) if isinstance(value, str) else str(value) if isinstance(value, date) else repr(value)
    except Exception:  # noqa: BLE001 - a repr may fail for a deep or huge value, which is not the subject here
        shown = f"of type {type(value).__name__}"
    if len(shown) > _SHOWN_CHARACTERS:
        shown = f"{shown[:_SHOWN_CHARACTERS]}… ({len(shown)} characters)"
    error = InvalidInputError(f"Invalid {name} {shown}: {rule}. {remedy}")
    error.for_log = f"Invalid {name}: {rule}. {remedy}"
    return error


def for_clients(error: ErrorT) -> ErrorT:
    """The error, with a text that clients and models may read, since it names nothing of the store or the server."""
    error.for_clients = True
    return error


def log_text(error: BaseException) -> str:
    """The text of an error that a log may have; empty where it could quote what users said or who they are."""
    if isinstance(error, InvalidInputError):
        return error.for_log or ""
    is_for_operators = isinstance(error, (BackendUnavailableError, ConfigurationError, MissingExtraError))
    # The system's own words. Libraries derive errors of theirs, which may quote a request.
    is_system = isinstance(error, OSError) and type(error).__module__ == "builtins"
    return str(error) if is_for_operators or is_system else ""


def for_log(error: BaseException) -> BaseException:
    """A stand-in for an error in a log record: its type, its traceback and its causes, each with its `log_text`."""
    return _stand_in(error, 10)


def _stand_in(error: BaseException, causes: int) -> BaseException:
    kind = type(error)
    shown = type(kind.__name__, (Exception,), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})
    found = shown(*filter(None, [log_text(error)])).with_traceback(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    found.__cause__ = None if cause is None or not causes else _stand_in(cause, causes - 1)
    return found


def log_line(error: BaseException) -> str:
    """An error in one line of a log: its type, and its `log_text`."""
    text = log_text(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown_name(value: object) -> str:
    """A setting in an error: a word or ``word:name`` as it is, anything else by its type, because it may be a key."""
    if isinstance(value, str) and re.fullmatch(r"[a-z_]{1,24}(?::[\w.:/-]{1,64})?", value):
        return repr(value)
    return f"a {type(value).__name__}"


def missing_extra(extra: str, package: str) -> MissingExtraError:
    """Build the error for a missing optional package: the command that installs it."""
    return MissingExtraError(f"{package} is not installed; run: pip install 'memweld[{extra}]'", name=package)

"""What is known of a call without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

from mcp.shared.exceptions import McpError
from mcp.types import CONNECTION_CLOSED, ErrorData

from .... import errors as own
from ....errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemoryNotFoundError,
    MemweldError,
)
from .url import Address

__all__ = ["TRANSPORT", "Fate", "UnansweredError", "http_failure", "said_error", "unanswered"]

Fate: TypeAlias = Literal["unsent", "ended", "unknown", "final"]
"""Of a call without an answer: it did not reach the server; the server did not know the session any more; it may have
been carried out; or it will not be answered, however often it is repeated."""

TRANSPORT = -32099
"""The code of the errors that our own HTTP transport puts in the place of an answer."""

_MISSING = "No memory exists with ID "


class UnansweredError(Exception):
    """A call has no answer.

    Attributes:
        fate: What is known of it.
        error: What the caller is told if it is not repeated.
    """

    def __init__(self, fate: Fate, error: MemweldError) -> None:
        super().__init__(str(error))
        self.fate: Fate = fate
        self.error = error

    def data(self) -> ErrorData:
        """The same as a JSON-RPC error, which our HTTP transport puts in the place of the answer."""
        details = {"fate": self.fate, "type": type(self.error).__name__, "details": str(self.error)}
        return ErrorData(code=TRANSPORT, message="No answer", data=details)


def http_failure(status: int, address: Address, *, in_session: bool) -> UnansweredError | None:
    """What an HTTP status says; None for success and for redirects, which the transport follows or not.

    Args:
        status: The status.
        address: The server.
        in_session: Whether the request named a session.
    """
    if status < 400:
        return None
    where = f"{address.name} answers HTTP {status}"
    if status in (401, 403):
        remedy = "Pass token=." if address.token is None else "The token is not valid there."
        return UnansweredError("final", AccessDeniedError(f"{where}: access denied. {remedy}"))
    if status == 404 and in_session:
        return UnansweredError("ended", BackendUnavailableError(f"{where}: it does not know the session."))
    if status == 404:
        return UnansweredError("final", ConfigurationError(f"{where}: no MCP there. memweld serves it at /mcp."))
    if status == 413:
        return UnansweredError("final", InvalidInputError(f"{where}: this is more than it takes at once. Split it."))
    fate: Fate = "unsent" if status in (429, 503) else "unknown" if status >= 500 else "final"
    return UnansweredError(fate, BackendUnavailableError(f"{where}."))


def said_error(data: object) -> MemweldError | None:
    """The error of ours that an error's data names, as memweld servers have it; None for a stranger's."""
    if not isinstance(data, Mapping):
        return None
    data = cast("Mapping[str, Any]", data)
    name, details = str(data.get("type")), str(data.get("details"))
    kind = getattr(own, name, None) if name in own.__all__ else None
    if kind is MemoryNotFoundError:
        return MemoryNotFoundError(details.removeprefix(_MISSING))
    if isinstance(kind, type) and issubclass(kind, MemweldError):
        return kind(details)
    return None


def unanswered(error: McpError, address: Address) -> UnansweredError | None:
    """What a JSON-RPC error says if it stands in the place of an answer; None if it is the server's own."""
    if error.error.code == CONNECTION_CLOSED:
        return UnansweredError("unknown", BackendUnavailableError(f"{address.name} has closed the connection."))
    data: Any = error.error.data
    found = said_error(data) if error.error.code == TRANSPORT else None
    return UnansweredError(data["fate"], found) if found is not None and data.get("fate") in get_args(Fate) else None

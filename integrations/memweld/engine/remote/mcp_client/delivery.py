"""The delivery of a call without an answer: whether the server may have carried it out."""

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
from .url import ServerAddress

__all__ = ["TRANSPORT", "Delivery", "UnansweredError", "http_failure", "own_error", "read_failure"]

Delivery: TypeAlias = Literal["unsent", "ended", "unknown", "final"]
"""``unsent``: the call did not reach the server. ``ended``: the server no longer knew the session. ``unknown``: it may
have carried the call out. ``final``: it will answer no repetition either."""

TRANSPORT = -32099
"""The code of the errors with which our HTTP transport replaces missing answers."""

_MISSING = "No memory exists with ID "


class UnansweredError(Exception):
    """A call has no answer.

    Attributes:
        delivery: Whether it was carried out.
        error: The caller's error if the call is not repeated.
        retry_after: Seconds after which the server will serve it; None where it did not say.
    """

    def __init__(self, delivery: Delivery, error: MemweldError, *, retry_after: float | None = None) -> None:
        super().__init__(str(error))
        self.delivery: Delivery = delivery
        self.error = error
        self.retry_after = retry_after

    def data(self) -> ErrorData:
        """The same as a JSON-RPC error; `read_failure` reads it back."""
        details = {"delivery": self.delivery, "type": type(self.error).__name__, "details": str(self.error)}
        details |= {} if self.retry_after is None else {"retry_after": self.retry_after}
        return ErrorData(code=TRANSPORT, message="No answer", data=details)


def http_failure(
    status: int, address: ServerAddress, *, in_session: bool, retry_after: str = ""
) -> UnansweredError | None:
    """The failure that an HTTP status means; None for success and for redirects.

    Args:
        status: The status.
        address: The server.
        in_session: Whether the request named a session.
        retry_after: The header of this name, which may be missing.
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
    delivery: Delivery = "unsent" if status in (429, 503) else "unknown" if status >= 500 else "final"
    seconds = float(retry_after) if retry_after.isdecimal() and status in (429, 503) else None
    return UnansweredError(delivery, BackendUnavailableError(f"{where}."), retry_after=seconds)


def own_error(data: object) -> MemweldError | None:
    """The error of ours that a JSON-RPC error's data names, as memweld servers write it; None for a foreign one."""
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


def read_failure(error: McpError, address: ServerAddress) -> UnansweredError | None:
    """The failure of a JSON-RPC error of our transport, or of one that asks to try again later; None of any other."""
    if error.error.code == CONNECTION_CLOSED:
        return UnansweredError("unknown", BackendUnavailableError(f"{address.name} has closed the connection."))
    data: Any = error.error.data
    found = own_error(data)
    if found is None:
        return None
    seconds = data.get("retry_after")
    retry_after = float(seconds) if isinstance(seconds, (int, float)) else None
    if error.error.code == TRANSPORT and data.get("delivery") in get_args(Delivery):
        return UnansweredError(data["delivery"], found, retry_after=retry_after)
    return None if retry_after is None else UnansweredError("unsent", found, retry_after=retry_after)

"""What went wrong with a call: the server's own errors as ours again, and what is known of a call without an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, cast, get_args

from mcp.shared.exceptions import McpError
from mcp.types import CONNECTION_CLOSED, METHOD_NOT_FOUND, CallToolResult, ErrorData

from ... import errors as own
from ...errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemoryNotFoundError,
    MemweldError,
)
from ...models import JSON
from .address import Address

__all__ = ["TRANSPORT", "Fate", "UnansweredError", "answer_of", "failure_of", "http_failure"]

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


def _rebuilt(data: Mapping[str, Any], address: Address) -> MemweldError:
    name, details = str(data.get("type")), str(data.get("details"))
    kind = getattr(own, name, None) if name in own.__all__ else None
    if kind is MemoryNotFoundError:
        return MemoryNotFoundError(details.removeprefix(_MISSING))
    if isinstance(kind, type) and issubclass(kind, MemweldError):
        return kind(details)
    if name == "ToolNotFoundError":
        return ConfigurationError(f"{address.name} has no tools for engines: it is no memweld, or an older one.")
    return BackendUnavailableError(f"{address.name} failed with {name}: {details}")


def failure_of(error: McpError, address: Address) -> UnansweredError | MemweldError:
    """What a JSON-RPC error means for the call that it answers."""
    found, data = error.error, cast("Any", error.error.data)
    if found.code == CONNECTION_CLOSED:
        return UnansweredError("unknown", BackendUnavailableError(f"{address.name} has closed the connection."))
    if isinstance(data, Mapping):
        said = cast("Mapping[str, Any]", data)
        known = found.code == TRANSPORT and said.get("fate") in get_args(Fate)
        return UnansweredError(said["fate"], _rebuilt(said, address)) if known else _rebuilt(said, address)
    if found.code == METHOD_NOT_FOUND:
        return ConfigurationError(f"{address.name} is an MCP server without tools: it is no memweld.")
    return BackendUnavailableError(f"{address.name} answers with error {found.code}.")


def answer_of(result: CallToolResult, address: Address) -> JSON:
    """The answer of a tool for engines.

    Raises:
        MemweldError: The result is an error, as a server with ``errors="tool"`` answers, or it is no such answer.
    """
    content = result.structuredContent or {}
    if not result.isError and "answer" in content:
        return content["answer"]
    data = content.get("data")
    if result.isError and isinstance(data, Mapping):
        raise _rebuilt(cast("Mapping[str, Any]", data), address)
    raise ConfigurationError(f"{address.name} has no tools for engines: it is no memweld, or an older one.")

"""The table from exceptions to JSON-RPC error objects, and the two ways to answer a tool call with one."""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias

import mcp.types as mt
from fastmcp.exceptions import DisabledError, FastMCPError, NotFoundError, ResourceError, ToolError
from fastmcp.exceptions import ValidationError as FastMCPValidationError
from fastmcp.resources import ResourceResult
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp.shared.exceptions import McpError, UrlElicitationRequiredError
from pydantic import ValidationError

from ..errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    MemoryNotFoundError,
    MemweldError,
    MissingExtraError,
    for_log,
)
from ..memory.content import program_ends
from ..safe_text import safe_for_model
from ..tools import arguments_error
from ..tools.answers import INDENTED
from ..tools.errors import OutageLog, readable_details
from ..validation import dump_json

__all__ = [
    "ErrorMode",
    "ErrorsMiddleware",
    "client_details",
    "error_object",
    "invalid_params",
    "invalid_request",
    "method_not_found",
    "over_budget",
    "parse_error",
    "transport_error",
]

OVER_BUDGET = -32029
"""The code of the error for a user above a limit; of those that JSON-RPC leaves to servers."""

ErrorMode: TypeAlias = Literal["jsonrpc", "tool"]
"""How a failed tool call is answered: with a JSON-RPC error, or with a result that is marked ``isError``."""

_SHOWN_CHARACTERS = 80

# From exception to code and message. A caller's own mistakes carry their details in the message as well: most clients
# show a model nothing else.
_TABLE: tuple[tuple[type[Exception], int, str], ...] = (
    (InvalidInputError, mt.INVALID_PARAMS, "Invalid params: {details}"),
    (MemoryNotFoundError, mt.INTERNAL_ERROR, "Internal error: Memory not found"),
    (AccessDeniedError, mt.INTERNAL_ERROR, "Internal error: Access denied"),
    (BackendUnavailableError, mt.INTERNAL_ERROR, "Internal error: Backend unavailable"),
    (ConfigurationError, mt.INTERNAL_ERROR, "Internal error: Configuration error"),
    (MissingExtraError, mt.INTERNAL_ERROR, "Internal error: Package not installed"),
    (MemweldError, mt.INTERNAL_ERROR, "Internal error"),
    (ToolError, mt.INTERNAL_ERROR, "Internal error: Tool failed"),
)


def client_details(error: BaseException) -> str:
    """The text of an error that a client may read; of a `ToolError` the tool's own words."""
    return str(error) if isinstance(error, ToolError) else readable_details(error)


def _error(code: int, message: str, kind: str, details: str) -> mt.ErrorData:
    # Clients show both to a model, and both may repeat what a caller sent.
    message, details = (safe_for_model(text, line_break=INDENTED) for text in (message, details))
    return mt.ErrorData(code=code, message=message, data={"type": kind, "details": details})


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"


def parse_error() -> mt.ErrorData:
    """The error for a message that is not JSON."""
    return _error(mt.PARSE_ERROR, "Parse error", "ParseError", "The message is not valid JSON in UTF-8.")


def invalid_request(details: str) -> mt.ErrorData:
    """The error for JSON that is no message, or none that may come now."""
    return _error(mt.INVALID_REQUEST, f"Invalid Request: {details}", "InvalidRequestError", details)


def transport_error(code: int, details: str) -> mt.ErrorData:
    """The error for a request that the transport refuses, for its headers, session or size, or cannot serve now."""
    if code != mt.INTERNAL_ERROR:
        return invalid_request(details)
    return _error(mt.INTERNAL_ERROR, f"Internal error: {details}", "TransportError", details)


def over_budget(details: str, seconds: int) -> mt.ErrorData:
    """The error for a request above the limits of its user, who may try again in some seconds."""
    data = {"type": "BackendUnavailableError", "details": details, "retry_after": seconds}
    return mt.ErrorData(code=OVER_BUDGET, message=details, data=data)


def method_not_found(method: str) -> mt.ErrorData:
    """The error for a method that the server does not have."""
    details = f"There is no method {_short(method)}"
    return _error(mt.METHOD_NOT_FOUND, f"Method not found: {_short(method)}", "MethodNotFoundError", details)


def invalid_params(method: str, error: ValidationError) -> mt.ErrorData:
    """The error for parameters that break a rule of their method."""
    return error_object(arguments_error(method, error))


def error_object(error: BaseException, *, tool: str = "the tool") -> mt.ErrorData:
    """Translate an exception of a tool; a foreign one shows its type and not its text.

    Args:
        error: The exception.
        tool: The name of the tool, for the details.
    """
    if isinstance(error, McpError):
        return error.error
    # FastMCP wraps exceptions of tools in a ToolError; one without a cause is the tool's own word to the client.
    if isinstance(error, (ToolError, ResourceError)) and error.__cause__ is not None:
        return error_object(error.__cause__, tool=tool)
    if isinstance(error, (NotFoundError, DisabledError)):
        details = f"There is no tool {_short(tool)}"
        return _error(mt.METHOD_NOT_FOUND, f"Tool not found: {_short(tool)}", "ToolNotFoundError", details)
    if isinstance(error, FastMCPValidationError):
        cause = error.__cause__
        error = cause if isinstance(cause, ValidationError) else InvalidInputError(str(error))
    # Pydantic names the check of a function's arguments after the call. Any other comes from inside the tool, and its
    # fields and values are not for the client.
    if isinstance(error, ValidationError) and error.title.startswith("call["):
        error = arguments_error(tool, error)
    for kind, code, message in _TABLE:
        if isinstance(error, kind):
            details = client_details(error)
            return _error(code, message.format(details=details), type(error).__name__, details)
    return _error(mt.INTERNAL_ERROR, "Internal error", type(error).__name__, client_details(error))


class _JsonRpcError(UrlElicitationRequiredError, FastMCPError):
    """A tool call's error that reaches the client as a JSON-RPC error object.

    mcp 1.30 turns every exception of a tool into an ``isError`` result, except the first of these bases. The second
    takes it through a FastMCP server on which this one is mounted.
    """

    def __init__(self, error: mt.ErrorData) -> None:
        McpError.__init__(self, error)
        self.log_level = logging.DEBUG


_log = logging.getLogger("memweld.mcp")

_EXPECTED = (MemweldError, FastMCPError, NotFoundError, DisabledError, ValidationError, McpError)
"""The errors of calls that are answered and not logged, or that FastMCP has logged."""


class ErrorsMiddleware(Middleware):
    """Answers a failed call of any tool as ``mode`` says."""

    def __init__(self, mode: ErrorMode) -> None:
        self.mode: ErrorMode = mode
        self._outages = OutageLog(_log)

    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call and translate its exception."""
        try:
            return await call_next(context)
        except (UrlElicitationRequiredError, *program_ends()):
            raise
        except BaseException as error:
            if not isinstance(error, _EXPECTED):
                # FastMCP logs none of them: the tools of the memory have their errors reported here, without texts.
                _log.error("The tool %s failed", context.message.name, exc_info=for_log(error))
            found = error_object(error, tool=context.message.name)
            self._outages.note(error.__cause__ if isinstance(error, ToolError) else error)
            if self.mode == "jsonrpc":
                raise _JsonRpcError(found) from error
            data: dict[str, Any] = found.model_dump(exclude_none=True)
            return ToolResult(content=dump_json(data), structured_content=data, is_error=True)

    async def on_read_resource(
        self,
        context: MiddlewareContext[mt.ReadResourceRequestParams],
        call_next: CallNext[mt.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read the resource and translate its exception; the protocol has no other answer than an error object."""
        try:
            return await call_next(context)
        except (McpError, NotFoundError, DisabledError, *program_ends()):
            raise
        except BaseException as error:
            if not isinstance(error, _EXPECTED):
                _log.error("A resource failed", exc_info=for_log(error))
            self._outages.note(error.__cause__ if isinstance(error, ResourceError) else error)
            raise McpError(error_object(error)) from error

"""Answers of the engine tools: the result itself, or the server's error raised again as one of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from mcp.shared.exceptions import McpError
from mcp.types import METHOD_NOT_FOUND, CallToolResult

from ...errors import BackendUnavailableError, ConfigurationError, MemweldError
from ...models import JSON
from .mcp_client.delivery import own_error
from .mcp_client.url import ServerAddress

__all__ = ["answer_of"]


def answer_of(outcome: CallToolResult | McpError, address: ServerAddress) -> JSON:
    """The answer of a tool for engines.

    Raises:
        MemweldError: The outcome is an error (a server with ``errors="tool"`` answers with a result that is one), or
            it is no such answer.
    """
    if isinstance(outcome, McpError):
        raise _failure_of(outcome, address) from outcome
    content = outcome.structuredContent or {}
    if not outcome.isError and "answer" in content:
        return content["answer"]
    data = content.get("data")
    if outcome.isError and isinstance(data, Mapping):
        raise _rebuilt(cast("Mapping[str, Any]", data), address)
    raise _no_backend(address)


def _no_backend(address: ServerAddress) -> ConfigurationError:
    return ConfigurationError(
        f"{address.name} does not serve as a backend here: it is no memweld, or one whose operator has not allowed it. "
        "Use a token with the scope memory:engine, or start the server with --engine-tools."
    )


def _failure_of(error: McpError, address: ServerAddress) -> MemweldError:
    data = cast("Any", error.error.data)
    if isinstance(data, Mapping):
        return _rebuilt(cast("Mapping[str, Any]", data), address)
    if error.error.code == METHOD_NOT_FOUND:
        return ConfigurationError(f"{address.name} is an MCP server without tools: it is no memweld.")
    return BackendUnavailableError(f"{address.name} answers with error {error.error.code}.")


def _rebuilt(data: Mapping[str, Any], address: ServerAddress) -> MemweldError:
    name = data.get("type")
    if name == "ToolNotFoundError":
        return _no_backend(address)
    strange = BackendUnavailableError(f"{address.name} failed with {name}: {data.get('details')}")
    return own_error(data) or strange

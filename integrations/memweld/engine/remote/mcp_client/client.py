"""`McpClient`: calls one MCP server from any thread and any event loop."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import McpError
from mcp.types import (
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    ClientRequest,
    ListToolsRequest,
    ListToolsResult,
    PaginatedRequestParams,
    RequestParams,
    Tool,
)
from typing_extensions import Self

from ....errors import BackendUnavailableError, ConfigurationError
from ...tracing import trace_headers
from .connection import CallResult, Connection
from .url import ServerAddress

__all__ = ["McpClient"]

MAX_PAGES = 1_000


def _call_request(tool: str, arguments: Mapping[str, Any]) -> ClientRequest:
    # Not the session's `call_tool`: mcp 1.30 lists the server's tools again at each call of one that is not listed.
    params = CallToolRequestParams(name=tool, arguments=dict(arguments))
    # The server joins the caller's trace, on every transport.
    if trace := trace_headers():
        params.meta = RequestParams.Meta.model_validate(trace)
    return ClientRequest(CallToolRequest(params=params))


def _close_released(connection: Connection) -> None:
    """Close a connection whose client was garbage-collected, possibly on an event loop, which must not wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        connection.close()
    else:
        threading.Thread(target=connection.close).start()


class McpClient:
    """Calls one server. Connects at the first call, and ends with `close` or with the last reference to it.

    Args:
        address: The server.
        timeout: Seconds to wait for an answer.
        client_name: How the client introduces itself to the server.
        doubt: Advice for a caller whose call is not repeated and may have been carried out.
    """

    def __init__(self, address: ServerAddress, *, timeout: float, client_name: str, doubt: str) -> None:
        self.name = address.name
        self._connection = Connection(address, timeout=timeout, client_name=client_name, doubt=doubt)
        # The thread holds the connection and not this object. Without the object, no thread and no process is left.
        weakref.finalize(self, _close_released, self._connection)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        # Frameworks copy tools: a copied tool calls the same server.
        return self

    def call(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool = True) -> CallResult[CallToolResult]:
        """Call a tool and wait for its answer.

        Args:
            tool: Its name.
            arguments: Its arguments.
            repeatable: Whether a second call does no harm, if the first may have been carried out.

        Raises:
            BackendUnavailableError: The server cannot be reached or does not answer in time; or the client is closed.
            MemweldError: The reason why the server refuses all requests.
        """
        return self._connection.submit(_call_request(tool, arguments), CallToolResult, repeatable=repeatable).result()

    async def acall(
        self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool = True
    ) -> CallResult[CallToolResult]:
        """`call` for a task of asyncio, whose event loop goes on meanwhile."""
        await self._connection.start()
        future = self._connection.submit(_call_request(tool, arguments), CallToolResult, repeatable=repeatable)
        return await asyncio.wrap_future(future)

    def list_tools(self) -> list[Tool]:
        """All tools that the server lists.

        Raises:
            MemweldError: The server cannot be reached, refuses, or has no tools.
        """
        tools: list[Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = ListToolsRequest(params=None if cursor is None else PaginatedRequestParams(cursor=cursor))
            answer = self._connection.submit(ClientRequest(request), ListToolsResult, repeatable=True).result().outcome
            if isinstance(answer, McpError):
                raise self._list_error(answer) from answer
            tools += answer.tools
            cursor = answer.nextCursor
            if not cursor:
                return tools
        raise ConfigurationError(f"{self.name} does not come to an end with listing its tools.")

    def _list_error(self, error: McpError) -> ConfigurationError | BackendUnavailableError:
        if error.error.code == METHOD_NOT_FOUND:
            return ConfigurationError(f"{self.name} has no tools.")
        return BackendUnavailableError(f"{self.name} does not list its tools: {error.error.message}")

    def close(self) -> None:
        """End the session, the thread and the server's process if it is ours; calls under way fail."""
        self._connection.close()

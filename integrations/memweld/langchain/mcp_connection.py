"""An MCP server whose tools are lent out: the link to it, which lives as long as one of them."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Mapping
from typing import Any

from mcp.shared.exceptions import McpError
from mcp.types import (
    METHOD_NOT_FOUND,
    CallToolResult,
    ClientRequest,
    ListToolsRequest,
    ListToolsResult,
    PaginatedRequestParams,
    Tool,
)
from typing_extensions import Self

from ..engine.remote.mcp_client.client import Link, Reply
from ..engine.remote.mcp_client.url import Address
from ..errors import BackendUnavailableError, ConfigurationError

__all__ = ["McpServer"]

MAX_PAGES = 1_000

_DOUBT = "Whether the call was carried out is not known: look before you repeat it."


def _let_go(link: Link) -> None:
    """Close the link when nobody uses it any more; the garbage collector may come by on an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        link.close()
    else:
        threading.Thread(target=link.close).start()


class McpServer:
    """One server.

    Args:
        address: Where it is.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, address: Address, *, timeout: float) -> None:
        self.name = address.name
        self._link = Link(address, timeout=timeout, who="memweld-langchain", doubt=_DOUBT)
        # The tools hold this object and the thread does not: when they are gone no thread and no process is left.
        weakref.finalize(self, _let_go, self._link)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Self:
        # A copied tool is a tool of the same server.
        return self

    def close(self) -> None:
        """End the session, the thread and the server's process if it is ours."""
        self._link.close()

    def tools(self) -> list[Tool]:
        """The tools that the server lists.

        Raises:
            MemweldError: It cannot be reached, refuses, or has no tools.
        """
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = ListToolsRequest(params=None if cursor is None else PaginatedRequestParams(cursor=cursor))
            outcome = self._link.ask(ClientRequest(request), ListToolsResult).outcome
            if isinstance(outcome, McpError):
                raise self._no_tools(outcome) from outcome
            found += outcome.tools
            cursor = outcome.nextCursor
            if not cursor:
                return found
        raise ConfigurationError(f"{self.name} does not come to an end with listing its tools.")

    def _no_tools(self, error: McpError) -> ConfigurationError | BackendUnavailableError:
        if error.error.code == METHOD_NOT_FOUND:
            return ConfigurationError(f"{self.name} has no tools.")
        return BackendUnavailableError(f"{self.name} does not list its tools: {error.error.message}")

    def call(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool) -> Reply[CallToolResult]:
        """Call a tool; see `Link.ask`."""
        return self._link.call(tool, arguments, repeatable=repeatable)

    async def acall(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool) -> Reply[CallToolResult]:
        """Call a tool without blocking the event loop."""
        return await self._link.acall(tool, arguments, repeatable=repeatable)

"""The tools of an MCP server as LangChain tools: one session for all of them, and a user whom no model chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import anyio.to_thread
from langchain_core.tools import BaseTool
from mcp.types import Tool
from typing_extensions import Self

from ..engine.remote.mcp_client.url import Address, read_address
from ..errors import ConfigurationError, invalid
from ..tools import TOOLSETS, select_tools
from .mcp_connection import McpServer
from .mcp_identity import Caller, identities_of
from .mcp_tool import McpTool

__all__ = ["McpTools", "mcp_tools"]

SCHEMES = ("http", "https", "stdio")


class McpTools(list[BaseTool]):
    """The tools, and the connection that they share. `mcp_tools` makes it.

    It ends with `close`, with the end of a ``with`` or ``async with`` block, or when neither the list nor a tool of it
    is used any more. A tool that is called later answers with an error.
    """

    def __init__(self, tools: Iterable[BaseTool], server: McpServer) -> None:
        super().__init__(tools)
        self._server = server

    def close(self) -> None:
        """End the session, its thread and the server's process if it is ours; calls that are under way fail."""
        self._server.close()

    async def aclose(self) -> None:
        """The same without blocking the event loop."""
        await anyio.to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def mcp_tools(
    url: str,
    *,
    token: str | None = None,
    user_id: str | None = None,
    agent_id: str | None = None,
    tools: Sequence[str] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 90.0,
) -> McpTools:
    """The tools of an MCP server for an agent: ``create_agent(model, tools=mcp_tools("http://host:8710/mcp"))``.

    All tools share one session, from any thread and any event loop, sync and async; it is opened anew when the server
    restarts. Tools are listed at once: in async code ``await asyncio.to_thread(mcp_tools, url)``.

    No schema shows ``user_id`` or ``agent_id``, and what a model says there never reaches the server. A server that
    asks for the user is told the one given here, else the user whom the run names (the authenticated user, the runtime
    context, ``configurable`` or `memweld.user_scope`). A server that knows the user by itself, from the token or
    because it is locked to one, is not told.

    A tool message has the answer's text as content, or its blocks where it is not only text; structured content is in
    the artifact. What goes wrong with a call comes back to the model as a tool message with status ``error``. A call
    whose answer was lost is repeated if the tool says that this does no harm.

    Args:
        url: ``http://…``, ``https://…`` or ``stdio:COMMAND``. A URL without a path means ``/mcp``.
        token: The bearer token, for HTTP.
        user_id: The user of every call; the run's if None.
        agent_id: The agent of every call; the run's if None.
        tools: Names of tools, or toolsets of memweld; all that the server lists if None.
        headers: Further headers, for HTTP.
        timeout: Seconds to wait for an answer.

    Raises:
        BackendUnavailableError: The server cannot be reached.
        AccessDeniedError: It refuses the token.
        ConfigurationError: The URL cannot be used; nothing there serves MCP tools; or ``user_id`` is given and no tool
            takes one.
        InvalidInputError: A name in ``tools`` is not the server's, or an id breaks a rule.
    """
    address = _address(url, token, headers)
    server = McpServer(address, timeout=timeout)
    try:
        listed = server.tools()
        caller = Caller(user_id, agent_id, [identities_of(tool) for tool in listed], server=address.name)
        return McpTools([McpTool(server, tool, caller) for tool in _chosen(listed, tools, address)], server)
    except BaseException:
        server.close()
        raise


def _address(url: str, token: str | None, headers: Mapping[str, str] | None) -> Address:
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        raise ConfigurationError(
            f"An MCP server has a URL that begins with http://, https:// or stdio:, not {scheme}:."
        )
    return read_address(url, token, headers=headers, kind="MCP")


def _chosen(listed: Sequence[Tool], names: Sequence[str] | None, address: Address) -> list[Tool]:
    if names is None:
        return list(listed)
    by_name = {tool.name: tool for tool in listed}
    chosen: dict[str, Tool] = {}
    for name in names:
        known = TOOLSETS if name not in by_name else ()
        found = [tool.name for tool in select_tools([name])] if name in known else [name]
        here = [one for one in found if one in by_name]
        if not here:
            offered = ", ".join(sorted(by_name)) or "none"
            raise invalid("tools", name, f"{address.name} has no such tool", f"It has: {offered}.")
        chosen |= {one: by_name[one] for one in here}
    return list(chosen.values())

"""`mcp_tools`: the tools of an MCP server as LangChain tools, with one session and a user whom no model chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import anyio.to_thread
from langchain_core.tools import BaseTool
from mcp.types import Tool
from typing_extensions import Self

from ..engine.remote.mcp_client.client import McpClient
from ..engine.remote.mcp_client.url import ServerAddress, read_address
from ..errors import ConfigurationError, invalid
from ..tools import TOOLSETS, select_tools
from .mcp_identity import IdentityBinding, identities_of
from .mcp_tool import McpTool

__all__ = ["McpTools", "mcp_tools"]

SCHEMES = ("http", "https", "stdio")

_DOUBT = "Whether the call was carried out is not known: look before you repeat it."


class McpTools(list[BaseTool]):
    """The tools, and the connection that they share. `mcp_tools` makes it.

    It ends with `close`, with the end of a ``with`` or ``async with`` block, or when the program holds neither the list
    nor a tool of it any more. A tool that is called later answers with an error.
    """

    def __init__(self, tools: Iterable[BaseTool], client: McpClient) -> None:
        super().__init__(tools)
        self._client = client

    def close(self) -> None:
        """End the session, its thread and the server's process if it is ours; calls that are under way fail."""
        self._client.close()

    async def aclose(self) -> None:
        """The same without blocking the event loop."""
        await anyio.to_thread.run_sync(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
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
    restarts. This function lists the tools: in async code call ``await asyncio.to_thread(mcp_tools, url)``.

    No schema shows ``user_id`` or ``agent_id``, and a model's own values never reach the server. A server that lists
    ``user_id`` gets the one given here, else the user of the run (the authenticated user, the runtime context,
    ``configurable`` or `memweld.user_scope`). A server that knows the user by itself, from the token or because it is
    locked to one, gets none.

    A tool message has the answer's text as content, or its blocks where not all are text; structured content is in the
    artifact. The model sees a failed call as a tool message with status ``error``. The client repeats a call whose
    answer was lost if the tool's hints say that this does no harm.

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
    client = McpClient(address, timeout=timeout, client_name="memweld-langchain", doubt=_DOUBT)
    try:
        listed = client.list_tools()
        binding = IdentityBinding(user_id, agent_id, [identities_of(tool) for tool in listed], server=address.name)
        return McpTools([McpTool(client, tool, binding) for tool in _chosen(listed, tools, address)], client)
    except BaseException:
        client.close()
        raise


def _address(url: str, token: str | None, headers: Mapping[str, str] | None) -> ServerAddress:
    scheme = url.partition(":")[0].lower()
    if scheme not in SCHEMES:
        raise ConfigurationError(
            f"An MCP server has a URL that begins with http://, https:// or stdio:, not {scheme}:."
        )
    return read_address(url, token, headers=headers, kind="MCP")


def _chosen(listed: Sequence[Tool], names: Sequence[str] | None, address: ServerAddress) -> list[Tool]:
    if names is None:
        return list(listed)
    by_name = {tool.name: tool for tool in listed}
    chosen: dict[str, Tool] = {}
    for name in names:
        is_toolset = name not in by_name and name in TOOLSETS
        names_of = [tool.name for tool in select_tools([name])] if is_toolset else [name]
        here = [one for one in names_of if one in by_name]
        if not here:
            offered = ", ".join(sorted(by_name)) or "none"
            raise invalid("tools", name, f"{address.name} has no such tool", f"It has: {offered}.")
        chosen |= {one: by_name[one] for one in here}
    return list(chosen.values())

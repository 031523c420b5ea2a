"""Clients of the protocol in Python: mcp's session and FastMCP's client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import McpError
from mcp.types import TextContent

UNKNOWN = {"memory_id": "mem_xyz789"}
ERROR = {
    "code": -32603,
    "message": "Internal error: Memory not found",
    "data": {"type": "MemoryNotFoundError", "details": "No memory exists with ID mem_xyz789"},
}


@asynccontextmanager
async def session_over(where: str | list[str]) -> AsyncIterator[ClientSession]:
    opened = (
        streamable_http_client(where)
        if isinstance(where, str)
        else stdio_client(StdioServerParameters(command=where[0], args=where[1:]))
    )
    async with opened as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        yield session


@pytest.mark.parametrize("transport", ["http", "stdio"])
class TestSession:
    async def test_a_json_rpc_error_is_raised(
        self, transport: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
    ) -> None:
        async with session_over(serve() if transport == "http" else stdio()) as session:
            with pytest.raises(McpError) as caught:
                await session.call_tool("get_memory", UNKNOWN)
            assert caught.value.error.model_dump() == ERROR
            assert (await session.call_tool("get_preferences", {"user_id": "session"})).isError is False

    async def test_an_error_result_is_returned(
        self, transport: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
    ) -> None:
        async with session_over(serve("tool") if transport == "http" else stdio("tool")) as session:
            result = await session.call_tool("get_memory", UNKNOWN)
        assert result.isError
        (content,) = result.content
        assert isinstance(content, TextContent)
        assert json.loads(content.text) == result.structuredContent == ERROR


def transport_to(kind: str, errors: str, serve: Callable[..., str], stdio: Callable[..., list[str]]) -> Any:
    if kind == "stdio":
        command = stdio(errors)
        return StdioTransport(command[0], command[1:], keep_alive=False)
    url = serve(errors)
    return StreamableHttpTransport(url) if kind == "http" else SSETransport(url.removesuffix("/mcp") + "/sse")


@pytest.mark.parametrize("kind", ["http", "sse", "stdio"])
class TestFastMcp:
    async def test_a_json_rpc_error_is_raised(
        self, kind: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
    ) -> None:
        async with Client(transport_to(kind, "jsonrpc", serve, stdio)) as client:
            with pytest.raises(McpError) as caught:
                await client.call_tool("get_memory", UNKNOWN)
        assert caught.value.error.model_dump() == ERROR

    async def test_an_error_result_is_raised_unless_asked_not_to(
        self, kind: str, serve: Callable[..., str], stdio: Callable[..., list[str]]
    ) -> None:
        async with Client(transport_to(kind, "tool", serve, stdio)) as client:
            with pytest.raises(ToolError, match="Memory not found"):
                await client.call_tool("get_memory", UNKNOWN)
            result = await client.call_tool("get_memory", UNKNOWN, raise_on_error=False)
        assert result.is_error
        assert result.structured_content == ERROR

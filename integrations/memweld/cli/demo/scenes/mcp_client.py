"""An MCP client that starts ``memweld serve`` and calls its tools over stdio."""

from __future__ import annotations

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import TextContent

from .... import Backend

__all__ = ["play"]


async def _call(url: str, user_id: str, calls: list[tuple[str, dict[str, str]]]) -> list[tuple[str, str]]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "memweld", "serve", "--url", url],
        env={**os.environ, "MEMWELD_USER_ID": user_id, "MEMWELD_LOCK_USER": "1"},
    )
    answers: list[tuple[str, str]] = []
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for tool, arguments in calls:
            result = await session.call_tool(tool, arguments)
            text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
            answers.append((f"{tool}{arguments or ''}", text))
    return answers


def play(backend: Backend, user_id: str, prompt: str) -> list[tuple[str, str]]:
    """The client reads a preference and searches, as this user and no other."""
    calls: list[tuple[str, dict[str, str]]] = [("get_preferences", {}), ("search_memories", {"query": prompt})]
    return asyncio.run(_call(backend.url, user_id, calls))

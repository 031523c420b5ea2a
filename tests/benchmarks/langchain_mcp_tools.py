"""Compares a call through `mcp_tools` with one through langchain-mcp-adapters' own tools: ratios of one run.

    python tests/benchmarks/langchain_mcp_tools.py [--calls 200] [--others 10]

Both call ``search_memories`` of a memweld server, over stdio and over HTTP, in an event loop. The adapters' tools open
a session for each call, as from ``MultiServerMCPClient.get_tools``. Or they share a session that the program opens
around all calls (``client.session``), bound to its event loop. `mcp_tools` shares one session everywhere. Calls
alternate, so a noisy machine disturbs all of them alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from langchain_core.tools import BaseTool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
from rich.console import Console
from rich.table import Table

from memweld.langchain import mcp_tools

SERVE = [sys.executable, "-m", "memweld", "serve", "--url", "sqlite://"]
QUERY = {"query": "Which food is dangerous?"}
ANA: Any = {"configurable": {"user_id": "ana"}}


@contextmanager
def over_http() -> Iterator[str]:
    """Start a server process; yield the URL that it prints."""
    command = [*SERVE, "--transport", "http", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        yield found[0]
    finally:
        process.terminate()
        process.wait()


def search(tools: list[BaseTool]) -> BaseTool:
    return next(tool for tool in tools if tool.name == "search_memories")


async def seconds(tool: BaseTool, **more: Any) -> float:
    start = time.perf_counter()
    assert "Found" in str(await tool.ainvoke({**QUERY, **more}, ANA))
    return time.perf_counter() - start


async def compare(transport: str, url: str, connection: Any, calls: int, others: int, table: Table) -> None:
    client = MultiServerMCPClient({"memory": connection})
    async with await asyncio.to_thread(mcp_tools, url) as given, client.session("memory") as session:
        ours, shared = search(given), search(await load_mcp_tools(session))
        apart = search(await client.get_tools())
        for tool, more in ((ours, {}), (shared, {"user_id": "ana"})):
            await seconds(tool, **more)
        measured: dict[str, list[float]] = {"ours": [], "shared": [], "apart": []}
        for number in range(calls):
            measured["ours"].append(await seconds(ours))
            measured["shared"].append(await seconds(shared, user_id="ana"))
            if number < others:
                measured["apart"].append(await seconds(apart, user_id="ana"))
        start = time.perf_counter()
        await asyncio.gather(*(seconds(ours) for _ in range(calls)))
        rate = calls / (time.perf_counter() - start)
    mine = statistics.median(measured["ours"])
    for name, words in (("apart", "adapters, a session per call"), ("shared", "adapters, one session by hand")):
        other = statistics.median(measured[name])
        table.add_row(transport, words, f"{mine * 1e3:.2f}", f"{other * 1e3:.2f}", f"{mine / other:.3f}")
    table.add_row(transport, f"{calls} calls at once", f"{rate:.0f} calls/s", "", "")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--others", type=int, default=10, help="how many calls with a session of their own")
    options = parser.parse_args()
    os.environ |= {"FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_LOG_LEVEL": "ERROR"}
    table = Table(
        "transport", "against", "mcp_tools, ms", "other, ms", "ratio", title="p50 of search_memories, ainvoke"
    )
    stdio = {"transport": "stdio", "command": SERVE[0], "args": SERVE[1:]}
    url = "stdio:" + shlex.join(SERVE)
    await compare("stdio", url, stdio, options.calls, options.others, table)
    with over_http() as url:
        connection = {"transport": "streamable_http", "url": url}
        await compare("http", url, connection, options.calls, options.others, table)
    console = Console()
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("memweld", "langchain-mcp-adapters", "mcp"))
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")


if __name__ == "__main__":
    asyncio.run(main())

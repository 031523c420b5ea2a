"""Compares the memory server with an empty FastMCP server: ratios of one run, not milliseconds.

    python tests/benchmarks/mcp_server.py [--calls 200] [--starts 5] [--callers 16]

For stdio and HTTP it measures the round trip of each tool on a small memory against a FastMCP tool that returns a
constant, the time from starting the process to its answer to ``initialize``, and 16 concurrent callers. Calls of the
two servers alternate, so a noisy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from rich.console import Console
from rich.table import Table

EMPTY = """
import sys
from fastmcp import FastMCP
server = FastMCP("empty")
@server.tool(output_schema=None)
async def nothing() -> str:
    return "nothing"
arguments = dict(transport="http", host="127.0.0.1", port=int(sys.argv[1]), log_level="error") if sys.argv[1:] else {}
server.run(show_banner=False, **arguments)
"""
READS: dict[str, dict[str, Any]] = {
    "search_memories": {"query": "Which food is dangerous?"},
    "get_all_memories": {},
    "get_preferences": {},
    "get_task_context": {"task_id": "ship-42"},
}
WRITES: dict[str, dict[str, Any]] = {
    "add_memory": {"messages": [{"role": "user", "content": "I keep bees"}]},
    "set_preference": {"key": "theme", "value": "dark"},
    "record_task_outcome": {"task_id": "ship-42", "outcome": "on time", "success": True},
}
Transport = Callable[[list[str]], Any]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def over_stdio(command: list[str]) -> AsyncIterator[ClientSession]:
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


@asynccontextmanager
async def over_http(command: list[str], port: int) -> AsyncIterator[ClientSession]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await listening(port)
        async with (
            streamablehttp_client(f"http://127.0.0.1:{port}/mcp") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            yield session
    finally:
        process.terminate()
        process.wait()


async def listening(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise TimeoutError(f"nothing listens on port {port}")


async def seconds(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter()
    result = await call()
    assert not getattr(result, "isError", False), result
    return time.perf_counter() - start


async def compare(ours: ClientSession, empty: ClientSession, calls: int, table: Table, transport: str) -> None:
    for name, arguments in {**WRITES, **READS}.items():
        await ours.call_tool(name, arguments)
    for name, arguments in {**READS, **WRITES}.items():
        mine: list[float] = []
        theirs: list[float] = []
        for _ in range(calls):
            mine.append(await seconds(lambda n=name, a=arguments: ours.call_tool(n, a)))
            theirs.append(await seconds(lambda: empty.call_tool("nothing", {})))
        one, other = statistics.median(mine), statistics.median(theirs)
        kind = "read" if name in READS else "write"
        table.add_row(transport, f"{name} ({kind})", f"{one * 1e3:.2f}", f"{other * 1e3:.2f}", f"{one / other:.2f}")


async def concurrent(ours: ClientSession, callers: int, table: Table, transport: str) -> None:
    async def caller(number: int) -> int:
        failed = 0
        for turn in range(10):
            spoken = {"messages": [{"role": "user", "content": f"caller {number} says {turn}"}]}
            for name, arguments in (("add_memory", spoken), ("search_memories", {"query": f"caller {number}"})):
                failed += bool((await ours.call_tool(name, arguments)).isError)
        return failed

    start = time.perf_counter()
    failures = sum(await asyncio.gather(*(caller(number) for number in range(callers))))
    rate = callers * 20 / (time.perf_counter() - start)
    table.add_row(transport, f"{callers} concurrent callers", f"{rate:.0f} calls/s", "", f"{failures} errors")


async def starts(commands: dict[str, list[str]], times: int, table: Table) -> None:
    measured: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            start = time.perf_counter()
            async with over_stdio(command):
                measured[name].append(time.perf_counter() - start)
    one, other = (statistics.median(measured[name]) for name in ("ours", "empty"))
    table.add_row("stdio", "start to initialize", f"{one * 1e3:.0f}", f"{other * 1e3:.0f}", f"{one / other:.2f}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    table = Table("transport", "what", "memweld, ms", "empty FastMCP tool, ms", "ratio", title="p50 of round trips")
    os.environ |= {"MEMWELD_USER_ID": "ana", "FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_LOG_LEVEL": "ERROR"}
    with tempfile.TemporaryDirectory() as folder:
        serve, served = (
            [sys.executable, "-m", "memweld", "serve", "--url", f"sqlite:///{Path(folder) / name}"]
            for name in ("stdio.db", "http.db")
        )
        empty = [sys.executable, "-c", EMPTY]
        await starts({"ours": serve, "empty": empty}, options.starts, table)
        async with over_stdio(serve) as ours, over_stdio(empty) as theirs:
            await compare(ours, theirs, options.calls, table, "stdio")
            await concurrent(ours, options.callers, table, "stdio")
        one, other = free_port(), free_port()
        over = [*served, "--transport", "http", "--port", str(one)]
        async with over_http(over, one) as ours, over_http([*empty, str(other)], other) as theirs:
            await compare(ours, theirs, options.calls, table, "http")
            await concurrent(ours, options.callers, table, "http")
    console = Console()
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("memweld", "fastmcp", "mcp"))
    console.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}")


if __name__ == "__main__":
    asyncio.run(main())

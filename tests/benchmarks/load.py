"""Many clients of one server for a minute, alone and beside a hostile one: calls a second, p50, p99, RSS.

    python tests/benchmarks/load.py [--clients 48 64] [--seconds 60]

Each client has a token and a session of its own and calls one tool after another: half of them searches, the rest
additions, preferences and values. The hostile client, a process of its own, has one token too. Over 60 connections it
sends what costs the server most: searches, bodies of 2 MB, new sessions, more calls than it may make, and half-sent
requests. The others' p99 should at most double.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROUNDS = 4
WORDS = "bees honey Lisbon tea peanuts opera chess maps rivers bread music snow gardens trains stars".split()
INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "load", "version": "1"},
}


class Connection:
    """A connection of HTTP/1.1 that costs its process little, for the server shares the machine."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._token = port, token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.session = ""

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**24)
        reader, writer = self._streams
        session = f"mcp-session-id: {self.session}\r\n" if self.session else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._token}\r\n{session}"
            "accept: application/json\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        try:
            writer.write(head.encode() + body)
            await writer.drain()
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            self.session = headers.get("mcp-session-id", self.session)
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0, b""
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), content

    async def call(self, method: str, params: dict[str, Any]) -> bool:
        """Whether the server answered with a result."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        status, answer = await self.request("POST", "/mcp", body)
        return status == 200 and b'"result"' in answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def words(rng: random.Random, count: int) -> str:
    return " ".join(rng.choices(WORDS, k=count))


async def client(port: int, number: int, until: float, times: list[float], failures: list[int]) -> None:
    rng, connection = random.Random(number), Connection(port, f"t{number}")
    assert await connection.call("initialize", INITIALIZE)
    while time.perf_counter() < until:
        kind, started = rng.random(), time.perf_counter()
        if kind < 0.5:
            fine = await connection.call("tools/call", tool("search_memories", query=words(rng, 4)))
        elif kind < 0.7:
            said = [{"role": "user", "content": f"I like {words(rng, 8)} {rng.random()}"}]
            fine = await connection.call("tools/call", tool("add_memory", messages=said))
        elif kind < 0.8:
            fine = await connection.call("tools/call", tool("get_preferences"))
        else:
            value = json.dumps({"value": words(rng, 20)}).encode()
            fine = (await connection.request("PUT", f"/memory/n/{rng.randrange(50)}", value))[0] == 200
        times.append(time.perf_counter() - started)
        failures[0] += not fine
    connection.close()


async def hostile(port: int) -> None:
    """Send what costs most, for ever."""

    async def attack(number: int) -> None:
        rng, connection = random.Random(number), Connection(port, "hostile")
        await connection.call("initialize", INITIALIZE)
        large = json.dumps({"value": words(rng, 300_000)}).encode()
        while True:
            match number % 4:
                case 0:
                    await connection.call("tools/call", tool("search_memories", query=words(rng, 200)))
                case 1:
                    await connection.request("PUT", f"/memory/n/{rng.randrange(5)}", large)
                case 2:
                    connection.session = ""
                    await connection.call("initialize", INITIALIZE)
                case _:
                    await connection.request("GET", "/memory/n")
            await asyncio.sleep(0)

    async def half() -> None:
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /heal")
            await asyncio.sleep(0.05)

    await asyncio.gather(*(attack(number) for number in range(60)), half())


def rss(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measured(port: int, clients: int, seconds: float) -> tuple[list[float], int]:
    times: list[float] = []
    failures = [0]
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, number, until, times, failures) for number in range(clients)))
    return times, failures[0]


@contextmanager
def server(clients: int) -> Iterator[tuple[int, int]]:
    """A server with a token for each client; its port and process."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        tokens = Path(folder) / "tokens.json"
        tokens.write_text(json.dumps({f"t{n}": {"sub": f"u{n}"} for n in range(clients)} | {"hostile": {"sub": "h"}}))
        tokens.chmod(0o600)
        arguments = ["serve", "--transport", "http", "--port", str(port), "--auth", f"tokens:{tokens}"]
        command = [sys.executable, "-m", "memweld", *arguments, "--url", f"sqlite:///{folder}/m.db"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert process.stderr is not None
        process.stderr.readline()
        try:
            asyncio.run(measured(port, 2, 2))  # Loads the embedder.
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(20)


def run(clients: int, seconds: float) -> None:
    """Let the hostile client pause and go on, so that what else the machine does meets both alike."""
    parts: dict[str, list[float]] = {"nobody": [], "a hostile one": []}
    failed = dict.fromkeys(parts, 0)
    with server(clients) as (port, process):
        before = rss(process)
        attacker = subprocess.Popen([sys.executable, __file__, "--attack", str(port)])
        try:
            for _ in range(ROUNDS):
                for name, times in parts.items():
                    attacker.send_signal(signal.SIGSTOP if name == "nobody" else signal.SIGCONT)
                    found, failures = asyncio.run(measured(port, clients, seconds / ROUNDS))
                    times.extend(found)
                    failed[name] += failures
            grown = rss(process) - before
        finally:
            attacker.send_signal(signal.SIGCONT)
            attacker.terminate()
            attacker.wait(20)
    for name, times in parts.items():
        times.sort()
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        row = (clients, name, f"{len(times) / seconds:.0f}", f"{1000 * p50:.0f} ms", f"{1000 * p99:.0f} ms")
        print_row(*row, failed[name], f"{grown:+.0f} MB")


def print_row(*cells: object) -> None:
    print("| " + " | ".join(f"{cell!s:>16}" for cell in cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clients", type=int, nargs="+", default=[48, 64])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--attack", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.attack:
        asyncio.run(hostile(chosen.attack))
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, uvicorn {version('uvicorn')}", flush=True)
    print_row("clients", "beside", "calls a second", "p50", "p99", "failed", "RSS grown")
    print_row(*["---"] * 7)
    for clients in chosen.clients:
        run(clients, chosen.seconds)


if __name__ == "__main__":
    main()

"""Serves memweld over its own HTTP server with short time-outs, and opens connections to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from memweld.mcp.limits import Limits
from memweld.mcp.memweld_server import MemweldServer

POST = b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"


QUICK = Limits(
    connections=20,
    connections_per_address=20,
    header_bytes=4_000,
    header_seconds=0.4,
    body_seconds=0.8,
    idle_seconds=0.3,
    stall_seconds=0.4,
)


@contextmanager
def running(server: MemweldServer, **options: Any) -> Iterator[int]:
    """Serve over our own HTTP server in a thread; the port."""
    listening = socket.create_server(("127.0.0.1", 0))
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def serve() -> None:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        await server.run_http_async(show_banner=False, sockets=[listening], **options)

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(serve())

    port = listening.getsockname()[1]
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not is_served(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        loop, task = started[0]
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        assert not thread.is_alive()


def is_served(port: int, timeout: float = 5) -> bool:
    """Whether somebody else is served now."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=timeout, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def opened(port: int, data: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(data)
    return client

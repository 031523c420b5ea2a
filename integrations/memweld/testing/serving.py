"""Serves an ASGI application over real HTTP on this machine, for tests."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

__all__ = ["reserved_port", "serving"]


class _Server(uvicorn.Server):
    """Ends within a hundredth of a second; uvicorn 0.54 takes two tenths, even without connections."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # noqa: ASYNC110 - other threads set a flag
            await asyncio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        await self.lifespan.shutdown()


_SHARES = hasattr(socket, "SO_REUSEPORT")


@contextmanager
def reserved_port() -> Generator[int]:
    """A loopback port at which nothing listens but `serving`. No other process gets it within the block."""
    with socket.socket() as bound:
        if _SHARES:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", 0))
        port = int(bound.getsockname()[1])
        if not _SHARES:
            bound.close()
        yield port


@contextmanager
def serving(app: Any, *, port: int = 0, seconds: float = 60, **settings: Any) -> Generator[str]:
    """Serve an application until the block ends.

    Args:
        app: An ASGI application.
        port: A port of `reserved_port`; 0 for any free one.
        seconds: The time-out for the start, and for the end.
        settings: More uvicorn settings.

    Yields:
        ``http://127.0.0.1:<port>``, once it answers.

    Raises:
        TimeoutError: The application did not start or end in time.
    """
    settings = {"log_config": None, "ws": "none", "access_log": False, "timeout_graceful_shutdown": 1, **settings}
    with socket.create_server(("127.0.0.1", port), reuse_port=port != 0 and _SHARES) as listening:
        server = _Server(uvicorn.Config(app, **settings))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + seconds
            while not server.started:
                if time.monotonic() > deadline or not thread.is_alive():
                    raise TimeoutError("The application did not begin.")
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(seconds)
        if thread.is_alive():
            raise TimeoutError("The application did not end.")

"""The HTTP server: its sockets, who may connect, and a shutdown that loses no answer."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import anyio
import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from ..errors import BackendUnavailableError, ConfigurationError
from ..urls import is_local
from .traffic import Traffic

__all__ = ["GRACE_SECONDS", "HttpServer", "ShutdownWatchdog", "listen", "require_loopback"]

GRACE_SECONDS = 10.0
"""How long the server waits for calls under way after the signal to end."""

_LAST_SECONDS = 3.0
"""How long connections, streams and the lifespan may take after that."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Open the sockets of a host name or address.

    Raises:
        ConfigurationError: There is no such host.
        BackendUnavailableError: The port is taken, or the address is not this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ConfigurationError(f"Cannot find the host {host!r}: {error}") from error
    sockets: list[socket.socket] = []
    failures: list[OSError] = []
    for family, address in dict.fromkeys((entry[0], entry[4]) for entry in found):
        try:
            # Port 0 asks for any; the other addresses of the host take the same.
            taken = sockets[0].getsockname()[1] if sockets else port
            sockets.append(socket.create_server((address[0], taken, *address[2:]), family=family, backlog=128))
        except OSError as error:  # The port is taken, or the kernel has no IPv6.
            failures.append(error)
    if not sockets:
        reason = os.strerror(failures[0].errno or 0) if failures else "no address"
        raise BackendUnavailableError(f"Cannot listen on {host}:{port}: {reason}. Choose another --port or --host.")
    return sockets


def require_loopback(sockets: Sequence[socket.socket]) -> None:
    """Refuse to serve other machines.

    Raises:
        ConfigurationError: A socket can be reached from elsewhere.
    """
    for one in sockets:
        name: Any = one.getsockname()
        if not (isinstance(name, tuple) and is_local(str(name[0]))):  # pyright: ignore[reportUnknownArgumentType]
            raise ConfigurationError(
                "Without authentication the server listens on this machine only (--host 127.0.0.1): any program that "
                "reaches it can read and change the memory of every user. Give --auth, or say that you want that with "
                "--insecure-open-to-anyone-who-connects."
            )


class ShutdownWatchdog:
    """Ends the serving process if it does not end by itself after a signal.

    A thread in a library cannot be stopped, and the interpreter would wait for it.
    """

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """Start the timer: `GRACE_SECONDS` and some more."""
        self._timer = threading.Timer(GRACE_SECONDS + 2 * _LAST_SECONDS, os._exit, [1])
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> ShutdownWatchdog:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is None:
            return
        # A call can outlive the event loop: anyio's threads are no daemons.
        workers = [thread for thread in threading.enumerate() if thread.name.startswith("AnyIO worker thread")]
        for worker in workers:
            worker.join(timeout=0.5)
        if not any(worker.is_alive() for worker in workers):
            self._timer.cancel()


class HttpServer(uvicorn.Server):
    """A uvicorn server that ends in order: no new calls, the answers under way, streams, connections.

    Args:
        config: Of uvicorn.
        traffic: The calls and streams under way.
        has_pending: Whether a session has unanswered requests.
        announce: Called with the port once the server answers.
        watchdog: Armed when a signal ends the server; None where the process is not the server's own.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        traffic: Traffic,
        has_pending: Callable[[], bool],
        announce: Callable[[int], None],
        watchdog: ShutdownWatchdog | None,
    ) -> None:
        super().__init__(config)
        self._traffic = traffic
        self._has_pending = has_pending
        self._announce = announce
        self._watchdog = watchdog
        self._signalled = False

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """End at SIGINT and SIGTERM; a second signal ends at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        # Not a method: sse-starlette 3 looks for a uvicorn server behind the handler of SIGTERM, and would break off
        # all answers under way at the signal.
        def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self.force_exit = self.should_exit
            self.should_exit = self._signalled = True

        handlers = {number: signal.signal(number, end) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started and sockets:
            self._announce(sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls under way end, for at most `GRACE_SECONDS`."""
        if self._signalled and self._watchdog is not None:
            self._watchdog.arm()
        for server in self.servers:
            server.close()
        self._traffic.closing = True
        with anyio.move_on_after(GRACE_SECONDS):
            # Polled, as uvicorn itself does: answers end in several places.
            while (self._traffic.calls or self._has_pending()) and not self.force_exit:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        self._traffic.close_streams()
        await super().shutdown(sockets)

"""The HTTP server: its sockets, who may connect, and a shutdown that loses no answer."""

from __future__ import annotations

import _thread
import asyncio
import errno
import logging
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from ..errors import BackendUnavailableError, ConfigurationError, MemweldError
from ..urls import is_local
from .limits import Limits
from .traffic import Traffic

__all__ = [
    "GRACE_SECONDS",
    "HttpServer",
    "ShutdownWatchdog",
    "close_sockets",
    "fitting",
    "listen",
    "listen_unix",
    "require_loopback",
]

GRACE_SECONDS = 7.0
"""How long the server waits for calls under way after the signal to end."""

_LAST_SECONDS = 2.5
"""How long connections, streams and the lifespan may take after that."""

_OTHER_FILES = 200
"""Open files that are no connections: databases, sockets to models, the program's own."""

_log = logging.getLogger("memweld.mcp")


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


def listen_unix(path: str) -> socket.socket:
    """Open a Unix socket that only this user's programs can reach (mode 0600). An abandoned one is replaced.

    Raises:
        ConfigurationError: This system has no Unix sockets, or another file is at the path.
        BackendUnavailableError: Another server listens there, or the path cannot be used.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise ConfigurationError("This system has no Unix sockets: leave --uds out and choose a --port.")
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.lexists(path):
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise ConfigurationError(f"There is a file at {path} that is no socket: choose another --uds.")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(path) == 0:
                    raise BackendUnavailableError(f"Another server listens at {path}: choose another --uds.")
            Path(path).unlink()
        # The mode holds from the first moment; a change afterwards would leave a gap.
        mask = os.umask(0o177)
        try:
            unix.bind(path)
        finally:
            os.umask(mask)
        unix.listen(128)
    except MemweldError:  # One of them is an OSError.
        unix.close()
        raise
    except OSError as error:
        unix.close()
        raise BackendUnavailableError(f"Cannot listen at {path}: {error.strerror}. Choose another --uds.") from error
    return unix


def close_sockets(sockets: Sequence[socket.socket], path: str | None) -> None:
    """Close the sockets, and remove the file of the Unix socket at the path."""
    for one in sockets:
        one.close()
    if path is not None:
        Path(path).unlink(missing_ok=True)


def require_loopback(sockets: Sequence[socket.socket]) -> None:
    """Refuse to serve other machines.

    Raises:
        ConfigurationError: A socket can be reached from elsewhere.
    """
    for one in sockets:
        name: Any = one.getsockname()
        if one.family == getattr(socket, "AF_UNIX", None):
            continue
        if not (isinstance(name, tuple) and is_local(str(name[0]))):  # pyright: ignore[reportUnknownArgumentType]
            raise ConfigurationError(
                "Without authentication the server listens on this machine only (--host 127.0.0.1): any program that "
                "reaches it can read and change the memory of every user. Give --auth, or say that you want that with "
                "--insecure-open-to-anyone-who-connects."
            )


class ShutdownWatchdog:
    """Ends the serving process if it does not end by itself after a signal.

    A thread in a library cannot be stopped, and the interpreter would wait for it. A program that goes on after its
    server has ended is left alone.
    """

    def __init__(self) -> None:
        self._is_armed = False
        self._has_returned = threading.Event()

    def arm(self) -> None:
        """Allow `GRACE_SECONDS` and some more from the first signal, less than ten seconds. For signal handlers."""
        if not self._is_armed:
            self._is_armed = True
            # `threading.Thread` takes locks, and the interrupted code may have them.
            _thread.start_new_thread(self._end_process, (time.monotonic() + GRACE_SECONDS + _LAST_SECONDS,))

    def _end_process(self, deadline: float) -> None:
        if not self._has_returned.wait(deadline - time.monotonic()):
            os._exit(1)
        while has_workers := _has_workers():
            if not threading.main_thread().is_alive() and time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if has_workers:
            os._exit(1)

    def __enter__(self) -> ShutdownWatchdog:
        return self

    def __exit__(self, *_: object) -> None:
        self._has_returned.set()


def _has_workers() -> bool:
    # A call can outlive the event loop: anyio's threads are no daemons.
    return any(thread.name.startswith("AnyIO worker thread") for thread in threading.enumerate())


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong on the event loop; a lack of file descriptors takes one line."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        reason = os.strerror(error.errno)
        _log.error("No connection can be taken: %s. Raise the limit of open files (ulimit -n).", reason)
    else:
        loop.default_exception_handler(context)


def fitting(limits: Limits) -> Limits:
    """The limits whose connections fit this process's limit of open files, which is raised as far as the system allows.

    Lower ones are logged.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    needed = limits.connections + _OTHER_FILES
    if soft == unlimited:
        return limits
    if soft < needed:
        soft = needed if hard == unlimited else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    fit = max(soft - _OTHER_FILES, soft // 2)
    if fit >= limits.connections:
        return limits
    lowered = replace(
        limits,
        connections=fit,
        connections_per_address=max(1, limits.connections_per_address * fit // limits.connections),
    )
    _log.warning(
        "The limit of open files (ulimit -n) is %d, so the server takes %d connections, %d of them from one address. "
        "Raise it for more.",
        soft,
        lowered.connections,
        lowered.connections_per_address,
    )
    return lowered


class HttpServer(uvicorn.Server):
    """A uvicorn server that ends in order: no new calls, the answers under way, streams, connections.

    Args:
        config: Of uvicorn.
        traffic: The calls and streams under way.
        has_pending: Whether a session has unanswered requests.
        announce: Called with the port, None for a Unix socket, once the server answers.
        watchdog: Armed when a signal ends the server; None where the process is not the server's own.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        traffic: Traffic,
        has_pending: Callable[[], bool],
        announce: Callable[[int | None], None],
        watchdog: ShutdownWatchdog | None,
    ) -> None:
        super().__init__(config)
        self._traffic = traffic
        self._has_pending = has_pending
        self._announce = announce
        self._watchdog = watchdog

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
            self.should_exit = True
            if self._watchdog is not None:  # Here, because a blocked event loop does not see the signal.
                self._watchdog.arm()

        handlers = {number: signal.signal(number, end) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(_report)
        if self.started and sockets:
            is_unix = sockets[0].family == getattr(socket, "AF_UNIX", None)
            self._announce(None if is_unix else sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let calls under way end, for at most `GRACE_SECONDS`."""
        for server in self.servers:
            server.close()
        self._traffic.closing = True
        with anyio.move_on_after(GRACE_SECONDS):
            # Polled, as uvicorn itself does: answers end in several places.
            while (self._traffic.calls or self._has_pending()) and not self.force_exit:  # noqa: ASYNC110
                await anyio.sleep(0.02)
        self._traffic.close_streams()
        await super().shutdown(sockets)

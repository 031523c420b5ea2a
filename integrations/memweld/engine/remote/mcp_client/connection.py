"""The thread and the event loop of a client: its session, opened anew when it is lost, and repeated calls."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import anyio
import anyio.to_thread
from mcp.shared.exceptions import McpError
from mcp.types import ClientRequest
from pydantic import BaseModel

from ....errors import BackendUnavailableError
from ....library_logs import CLIENT_THREAD, hide_client_texts
from .delivery import UnansweredError
from .session import Session
from .url import ServerAddress

__all__ = ["CallResult", "Connection"]

R = TypeVar("R", bound=BaseModel)

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Seconds before each repetition of an unanswered call: about as long as a server takes to restart."""

CLOSE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class CallResult(Generic[R]):
    """The server's answer to a request.

    Attributes:
        outcome: The answer, or a JSON-RPC error of the server.
        repeated: The client lost the answer to an earlier attempt, which may have been carried out.
    """

    outcome: R | McpError
    repeated: bool


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # anyio 4.16 may find a Unix socket readable just after it has given up waiting for it.
    if not isinstance(context.get("exception"), asyncio.InvalidStateError):
        loop.default_exception_handler(context)


class _Running(NamedTuple):
    process: int
    thread: threading.Thread
    loop: asyncio.AbstractEventLoop


class Connection:
    """Runs the session with one server in a thread of its own. Thread-safe.

    Args:
        address: The server.
        timeout: Seconds to wait for an answer.
        client_name: How the client introduces itself to the server.
        doubt: Advice for a caller whose call is not repeated and may have been carried out.
    """

    def __init__(self, address: ServerAddress, *, timeout: float, client_name: str, doubt: str) -> None:
        self._address = address
        self._timeout = timeout
        self._client_name = client_name
        self._doubt = doubt
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._closed = False
        self._answered = False

    async def start(self) -> None:
        """Start the thread without blocking the caller's event loop."""
        running = self._running
        if running is None or running.process != os.getpid():
            await anyio.to_thread.run_sync(self._start)

    def _start(self) -> None:
        with self._lock:
            self._loop()

    def submit(self, request: ClientRequest, kind: type[R], *, repeatable: bool) -> Future[CallResult[R]]:
        """Send a request; the future has the answer, or the error of a call that stays unanswered.

        Args:
            request: The request.
            kind: The type of its answer.
            repeatable: Whether it may be sent again if it may have been carried out already.

        Raises:
            BackendUnavailableError: The connection is closed.
        """
        # The loop takes up what is submitted under the lock before it sees the end that `close` submits after it.
        with self._lock:
            loop = self._loop()
            return asyncio.run_coroutine_threadsafe(self._answer(request, kind, repeatable), loop)

    def close(self) -> None:
        """End the session and the thread; calls under way fail."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is None or running.process != os.getpid():
            return
        with suppress(RuntimeError):  # The loop has ended.
            running.loop.call_soon_threadsafe(self._ending.set)
        # The garbage collector may close a connection in the connection's own thread, which cannot wait for itself.
        if running.thread is not threading.current_thread():
            running.thread.join()

    def _loop(self) -> asyncio.AbstractEventLoop:
        """The thread's event loop; the caller holds the lock."""
        if self._closed:
            raise self._closed_error()
        # A forked process has none of its parent's threads.
        if self._running is None or self._running.process != os.getpid():
            hide_client_texts()
            started: Future[asyncio.AbstractEventLoop] = Future()
            thread = threading.Thread(target=anyio.run, args=(self._serve, started), name=CLIENT_THREAD, daemon=True)
            thread.start()
            self._running = _Running(os.getpid(), thread, started.result())
        return self._running.loop

    def _closed_error(self) -> BackendUnavailableError:
        return BackendUnavailableError("The connection is closed: connect anew.")

    # All below runs in the connection's thread.

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        """Hold the sessions, each in a task that enters and leaves it, until the connection is closed."""
        self._session: Session | None = None
        self._opening, self._ending = anyio.Lock(), anyio.Event()
        asyncio.get_running_loop().set_exception_handler(_report)
        async with anyio.create_task_group() as self._group:
            started.set_result(asyncio.get_running_loop())
            await self._ending.wait()
            if self._session is not None:
                self._session.end()
            self._group.cancel_scope.deadline = anyio.current_time() + CLOSE_SECONDS

    async def _open_session(self) -> Session:
        async with self._opening:
            if self._ending.is_set():
                raise self._closed_error()
            if self._session is None or self._session.is_over:
                session = Session(self._address, timeout=self._timeout, client_name=self._client_name)
                try:
                    await self._group.start(session.hold)
                except UnansweredError as failure:
                    # The handshake was lost: the call itself was not sent.
                    delivery = "final" if failure.delivery == "final" else "unsent"
                    raise UnansweredError(delivery, failure.error, retry_after=failure.retry_after) from failure
                self._session, self._answered = session, True
                if self._ending.is_set():  # `_serve` saw no session that it could end.
                    session.end()
            return self._session

    async def _answer(self, request: ClientRequest, kind: type[R], repeatable: bool) -> CallResult[R]:
        pauses, maybe_done, deadline = iter(PAUSES), False, anyio.current_time() + self._timeout
        try:
            while True:
                try:
                    session = await self._open_session()
                    return CallResult(await session.ask(request, kind), maybe_done)
                except McpError as error:
                    return CallResult(error, maybe_done)
                except UnansweredError as failure:
                    pause = self._next_pause(
                        failure, pauses, repeatable=repeatable, left=deadline - anyio.current_time()
                    )
                    maybe_done = maybe_done or failure.delivery == "unknown"
                await anyio.sleep(pause)
        except asyncio.CancelledError as error:
            # The end of the loop cancels this task. Its caller was not cancelled.
            if self._closed:
                raise self._closed_error() from error
            raise

    def _next_pause(self, failure: UnansweredError, pauses: Iterator[float], *, repeatable: bool, left: float) -> float:
        """Seconds to wait before the call is repeated, as the server says or as we think.

        Args:
            failure: Of the last attempt.
            pauses: Our own, of which the next one is taken.
            repeatable: Whether the call may be carried out twice.
            left: Seconds until the call's time is up.

        Raises:
            MemweldError: The call is not repeated.
        """
        if self._ending.is_set():
            raise self._closed_error() from failure
        if failure.delivery == "final":
            raise failure.error from failure.__cause__
        if failure.delivery == "unknown" and not repeatable:
            raise BackendUnavailableError(f"{failure.error} {self._doubt}") from failure
        if failure.retry_after is not None:
            if failure.retry_after > left:
                raise failure.error from failure
            return failure.retry_after
        # A server that has never answered is not restarting: it is not there.
        pause = next(pauses, None) if self._answered else None
        if pause is None:
            raise failure.error from failure
        return pause

"""The link to a server: a session in a thread of its own, shared by all callers and opened anew when it is lost."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus
from anyio.from_thread import BlockingPortal
from mcp.shared.exceptions import McpError
from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest
from pydantic import BaseModel

from ....errors import BackendUnavailableError
from .delivery import UnansweredError
from .session import LinkedSession
from .url import Address

__all__ = ["Link", "Reply"]

R = TypeVar("R", bound=BaseModel)

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2)
"""Seconds before each repetition of a call without an answer: about as long as a server takes to restart."""

CLOSE_SECONDS = 10.0

THREAD = "memweld-link"


async def _host(ready: Future[BlockingPortal]) -> None:
    # Not `start_blocking_portal`: in a forked process its context manager, when it is let go, waits without end for a
    # thread that is not there.
    async with BlockingPortal() as portal:
        ready.set_result(portal)
        await portal.sleep_until_stopped()


@dataclass(frozen=True, slots=True)
class Reply(Generic[R]):
    """What the server answers.

    Attributes:
        outcome: Its answer, or the JSON-RPC error that it answers with.
        repeated: The call was repeated after its answer was lost: it may have been carried out before.
    """

    outcome: R | McpError
    repeated: bool


def _call_of(tool: str, arguments: Mapping[str, Any]) -> ClientRequest:
    # Not the client's `call_tool`: mcp 1.30 lists the server's tools again at each call of one that is not listed.
    return ClientRequest(CallToolRequest(params=CallToolRequestParams(name=tool, arguments=dict(arguments))))


class Link:
    """Asks one server from any thread, whether or not an event loop runs there.

    Args:
        address: The server.
        timeout: Seconds to wait for an answer.
        who: How the client introduces itself to the server.
        doubt: What a caller is told of a call that is not repeated and may have been carried out.
    """

    def __init__(self, address: Address, *, timeout: float, who: str, doubt: str) -> None:
        self._address = address
        self._timeout = timeout
        self._who = who
        self._doubt = doubt
        self._starting = threading.Lock()
        self._running: tuple[int, threading.Thread, BlockingPortal] | None = None
        self._closed = False
        self._answered = False

    def call(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool = True) -> Reply[CallToolResult]:
        """Call a tool and wait for its answer. The same as `ask`."""
        return self.ask(_call_of(tool, arguments), CallToolResult, repeatable=repeatable)

    async def acall(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool = True) -> Reply[CallToolResult]:
        """Call a tool from a task of asyncio, whose event loop goes on meanwhile. The same as `ask`."""
        if self._running is None or self._running[0] != os.getpid():
            await anyio.to_thread.run_sync(self._portal)
        asking = self._guarded(_call_of(tool, arguments), CallToolResult, repeatable)
        try:
            # Not through the portal, whose functions all wait for its loop: the caller's would wait as well.
            future = asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError as error:
            asking.close()
            raise self._is_closed() from error
        return await asyncio.wrap_future(future)

    def ask(self, request: ClientRequest, kind: type[R], *, repeatable: bool = True) -> Reply[R]:
        """Send a request and wait for its answer.

        Args:
            request: The request.
            kind: The type of its answer.
            repeatable: Whether it may be repeated if it may have been carried out already.

        Raises:
            BackendUnavailableError: The server cannot be reached or does not answer in time; or the link is closed.
            MemweldError: The reason why the server refuses all requests.
        """
        portal = self._portal()
        try:
            return portal.call(self._ask, request, kind, repeatable)
        except (CancelledError, RuntimeError) as error:
            if not self._closed:
                raise
            raise self._is_closed() from error

    def close(self) -> None:
        """End the session and the thread; calls that are under way fail."""
        with self._starting:
            self._closed = True
            running, self._running = self._running, None
        if running is None or running[0] != os.getpid():
            return
        _, thread, portal = running
        if thread is threading.current_thread():
            # The garbage collector may come by in our own thread, which cannot wait for itself.
            threading.Thread(target=self._stop, args=(thread, portal)).start()
        else:
            self._stop(thread, portal)

    def _stop(self, thread: threading.Thread, portal: BlockingPortal) -> None:
        portal.call(self._end)
        portal.call(portal.stop)
        thread.join()

    def _portal(self) -> BlockingPortal:
        with self._starting:
            if self._closed:
                raise self._is_closed()
            # A forked process has none of its parent's threads.
            if self._running is None or self._running[0] != os.getpid():
                ready: Future[BlockingPortal] = Future()
                thread = threading.Thread(target=anyio.run, args=(_host, ready), name=THREAD, daemon=True)
                thread.start()
                portal = ready.result()
                portal.start_task(self._serve)
                self._running = (os.getpid(), thread, portal)
            return self._running[2]

    def _is_closed(self) -> BackendUnavailableError:
        return BackendUnavailableError("The connection is closed: connect anew.")

    # What follows runs in the thread of the portal.

    async def _serve(self, *, task_status: TaskStatus[None]) -> None:
        """Hold the sessions, each in a task that enters and leaves it, until the link is closed."""
        self._loop = asyncio.get_running_loop()
        self._session: LinkedSession | None = None
        self._opening = anyio.Lock()
        self._ending, self._ended = anyio.Event(), anyio.Event()
        try:
            async with anyio.create_task_group() as group:
                self._group: TaskGroup = group
                task_status.started()
                await self._ending.wait()
                if self._session is not None:
                    self._session.end()
                group.cancel_scope.deadline = anyio.current_time() + CLOSE_SECONDS
        finally:
            self._ended.set()

    async def _end(self) -> None:
        self._ending.set()
        await self._ended.wait()

    async def _current(self) -> LinkedSession:
        async with self._opening:
            if self._ending.is_set():
                raise self._is_closed()
            if self._session is None or self._session.is_over:
                session = LinkedSession(self._address, timeout=self._timeout, who=self._who)
                try:
                    await self._group.start(session.hold)
                except UnansweredError as failure:
                    # What was lost is the handshake: the call itself was not sent.
                    fate = "final" if failure.fate == "final" else "unsent"
                    raise UnansweredError(fate, failure.error) from failure
                self._session, self._answered = session, True
            return self._session

    async def _guarded(self, request: ClientRequest, kind: type[R], repeatable: bool) -> Reply[R]:
        """The same as `_ask`, in a task that the loop's end cancels: its caller was not cancelled."""
        try:
            return await self._ask(request, kind, repeatable)
        except asyncio.CancelledError as error:
            if not self._closed:
                raise
            raise self._is_closed() from error

    async def _ask(self, request: ClientRequest, kind: type[R], repeatable: bool) -> Reply[R]:
        pauses, maybe_done = iter(PAUSES), False
        while True:
            try:
                session = await self._current()
                return Reply(await session.ask(request, kind), maybe_done)
            except McpError as error:
                return Reply(error, maybe_done)
            except UnansweredError as failure:
                pause = self._pause(failure, pauses, repeatable=repeatable)
                maybe_done = maybe_done or failure.fate == "unknown"
            await anyio.sleep(pause)

    def _pause(self, failure: UnansweredError, pauses: Iterator[float], *, repeatable: bool) -> float:
        """How long to wait before the call is repeated; raises where it is not."""
        if self._ending.is_set():
            raise self._is_closed() from failure
        if failure.fate == "final":
            raise failure.error from failure.__cause__
        if failure.fate == "unknown" and not repeatable:
            raise BackendUnavailableError(f"{failure.error} {self._doubt}") from failure
        # A server that has never answered is not restarting: it is not there.
        pause = next(pauses, None) if self._answered else None
        if pause is None:
            raise failure.error from failure
        return pause

"""The stdio transport: validated UTF-8, a stdout for the protocol alone, an exit on Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, TextIO, TypeAlias, cast

import anyio
from anyio.from_thread import BlockingPortal
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

__all__ = ["stdio_streams"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_End: TypeAlias = Callable[[signal.Signals], None]
_Handler: TypeAlias = Callable[[int, FrameType | None], Any]


@contextmanager
def _own_stdout() -> Generator[TextIO]:
    """Give the protocol the real stdout; all other output, that of C libraries included, goes to stderr."""
    sys.stdout.flush()
    protocol = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(protocol, "w", encoding="utf-8", newline="\n", closefd=False) as stdout:
            yield stdout
    finally:
        os.dup2(protocol, 1)
        os.close(protocol)


def _read(stdin: TextIO, portal: BlockingPortal, send: MemoryObjectSendStream[str]) -> None:
    # Each of these errors means that the server has stopped listening.
    with stdin, contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, RuntimeError):
        for line in stdin:
            portal.call(send.send, line)
        portal.call(send.aclose)


@asynccontextmanager
async def _stdin_lines() -> AsyncGenerator[tuple[MemoryObjectReceiveStream[str], MemoryObjectSendStream[str]]]:
    """The lines of stdin, read by a daemon thread, and the stream whose end is theirs.

    A blocked read cannot be cancelled, and anyio's worker threads are no daemons. With mcp's reader the process lives
    on after Ctrl-C until its client sends another line.
    """
    # mcp's own reader replaces bytes that are not UTF-8 and would store broken text; escaped, they do not parse.
    stdin = os.fdopen(os.dup(0), encoding="utf-8", errors="surrogateescape", newline="\n")
    send, receive = anyio.create_memory_object_stream[str](0)
    async with BlockingPortal() as portal, send, receive:
        threading.Thread(target=_read, args=(stdin, portal, send), daemon=True).start()
        yield receive, send


async def _end_at_signal(lines: MemoryObjectSendStream[str], numbers: list[signal.Signals], end: _End) -> None:
    """Close the lines at the first signal: the session answers what it has and ends."""
    with anyio.open_signal_receiver(*numbers) as received:
        for number in numbers:
            # A blocked event loop receives nothing; a handler of the interpreter is called all the same.
            signal.signal(number, _and_then(end, signal.getsignal(number)))
        async for _ in received:
            lines.close()


def _and_then(end: _End, following: _Handler | int | None) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        end(signal.Signals(number))
        if callable(following):
            following(number, frame)

    return handle


@asynccontextmanager
async def stdio_streams(
    end: _End,
) -> AsyncGenerator[
    tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
]:
    """The process's stdin and stdout as streams of messages; an invalid line comes as its exception.

    Args:
        end: Called in the handler of the signal that ends the streams, SIGTERM or SIGINT.
    """
    # A shell makes its background processes ignore SIGINT, and only the main thread gets signals.
    in_main = threading.current_thread() is threading.main_thread() and os.name != "nt"
    numbers = [each for each in _SIGNALS if in_main and signal.getsignal(each) is not signal.SIG_IGN]
    with _own_stdout() as stdout:
        async with (
            anyio.create_task_group() as group,
            _stdin_lines() as (lines, sender),
            stdio_server(stdin=cast("anyio.AsyncFile[str]", lines), stdout=anyio.wrap_file(stdout)) as streams,
        ):
            if numbers:
                group.start_soon(_end_at_signal, sender, numbers, end)
            yield streams
            group.cancel_scope.cancel()

"""The stdio transport: validated UTF-8, a stdout for the protocol alone, an exit on Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TextIO, cast

import anyio
from anyio.from_thread import BlockingPortal
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

__all__ = ["stdio_streams"]


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
async def _stdin_lines() -> AsyncGenerator[MemoryObjectReceiveStream[str]]:
    """The lines of stdin, read by a daemon thread.

    A blocked read cannot be cancelled, and anyio's worker threads are no daemons. With mcp's reader the process lives
    on after Ctrl-C until its client sends another line.
    """
    # mcp's own reader replaces bytes that are not UTF-8 and would store broken text; escaped, they do not parse.
    stdin = os.fdopen(os.dup(0), encoding="utf-8", errors="surrogateescape", newline="\n")
    send, receive = anyio.create_memory_object_stream[str](0)
    async with BlockingPortal() as portal, send, receive:
        threading.Thread(target=_read, args=(stdin, portal, send), daemon=True).start()
        yield receive


@asynccontextmanager
async def stdio_streams() -> AsyncGenerator[
    tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
]:
    """The process's stdin and stdout as streams of messages; an invalid line comes as its exception."""
    with _own_stdout() as stdout:
        async with (
            _stdin_lines() as lines,
            stdio_server(stdin=cast("anyio.AsyncFile[str]", lines), stdout=anyio.wrap_file(stdout)) as streams,
        ):
            yield streams

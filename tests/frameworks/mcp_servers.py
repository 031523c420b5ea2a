"""MCP servers for tests: real ones over HTTP and stdio, broken ones, and what a client of theirs leaves behind."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memweld.library_logs import CLIENT_THREAD
from memweld.testing.serving import serving

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": "init",
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "wire", "version": "1"},
    },
}


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """The application on the loopback interface; the URL of its endpoint."""
    with serving(app, port=port) as url:
        yield f"{url}/mcp"


def stdio(*arguments: str) -> str:
    """The URL of a server process of the client's own."""
    return "stdio:" + shlex.join([sys.executable, "-m", "memweld", "serve", *arguments])


def environment(**extra: str) -> dict[str, str]:
    """This process's variables, without settings of memweld and FastMCP."""
    names = [name for name in os.environ if not name.startswith(("MEMWELD_", "FASTMCP_"))]
    return {**{name: os.environ[name] for name in names}, **extra}


def threads() -> list[threading.Thread]:
    """The running threads of MCP clients."""
    return [thread for thread in threading.enumerate() if thread.name == CLIENT_THREAD]


def children() -> list[int]:
    """The running server processes that this process has started."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z" and b"memweld\0serve" in command:
                found.append(int(entry.name))
    return found


def text_of(result: Any) -> str:
    """The text of a tool's result, which has one block."""
    (block,) = result.content
    return block.text


def said(text: str) -> dict[str, Any]:
    """The arguments of ``add_memory`` for a user's words."""
    return {"messages": [{"role": "user", "content": text}]}


class Counting:
    """An application that lists the methods and tools of its calls in ``asked``."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def reading() -> Any:
            message = await receive()
            if message["type"] == "http.request" and message.get("body"):
                body = json.loads(message["body"])
                self.asked.append(body.get("params", {}).get("name", body["method"]))
            return message

        await self._app(scope, reading if scope["type"] == "http" else receive, send)


class Losing:
    """An application that carries calls out and loses the answers of the next ``losing``.

    Args:
        app: The application.
        how: ``status`` answers 502 as a proxy does; ``cut`` begins an answer and breaks off; ``empty`` ends the stream
            of events without one.
        tool: The tool whose answers it loses; any call's if not given.
    """

    def __init__(self, app: Any, how: str = "status", tool: str | None = None) -> None:
        self._app, self._how = app, how
        self.tool = tool
        self.losing = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not self.losing:
            await self._app(scope, receive, send)
            return
        message = await receive()
        lost = self.tool in (None, json.loads(message["body"]).get("params", {}).get("name"))
        self.losing -= lost
        messages = [message]

        async def again() -> Any:
            return messages.pop() if messages else await receive()

        async def swallowed(message: Any) -> None:
            pass

        await self._app(scope, again, swallowed if lost else send)
        if lost:
            await self._break_off(send)

    async def _break_off(self, send: Any) -> None:
        if self._how == "status":
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b"Bad Gateway"})
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        half = b'event: message\r\ndata: {"jsonrpc":"2.0"' if self._how == "cut" else b": nothing\r\n\r\n"
        await send({"type": "http.response.body", "body": half, "more_body": True})
        if self._how == "empty":
            await send({"type": "http.response.body", "body": b""})
        # Otherwise uvicorn finds the answer incomplete and cuts the connection.

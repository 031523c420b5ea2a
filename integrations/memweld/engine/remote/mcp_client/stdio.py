"""The stdio transport: a server process that ends with the session."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from mcp.client.stdio import StdioServerParameters, stdio_client

from ....errors import ConfigurationError
from .http import Streams
from .url import ServerAddress

__all__ = ["stdio_streams"]


def _environment(address: ServerAddress) -> dict[str, str]:
    """This process's variables, except the URL that names the command: the server would start itself again."""
    asking = {"MEMWELD_ENGINE_TOOLS": "1"} if address.is_backend else {}
    return asking | {
        name: value
        for name, value in os.environ.items()
        if not (name.upper() == "MEMWELD_URL" and value.lower().startswith("stdio:"))
    }


def _log() -> Any:
    """The log of the process: our stderr, or nowhere if that is no file (in a notebook)."""
    for stream in (sys.stderr, sys.__stderr__):
        try:
            if stream is not None and stream.fileno() >= 0:
                return stream
        except (OSError, ValueError):
            continue
    return subprocess.DEVNULL


@asynccontextmanager
async def stdio_streams(address: ServerAddress) -> AsyncGenerator[Streams]:
    """Start the process and open its streams; the end of the block ends it.

    Raises:
        ConfigurationError: There is no such command.
    """
    command, *arguments = address.command
    # In a thread: `langgraph dev` finds blocking calls on every event loop, ours included.
    if await anyio.to_thread.run_sync(shutil.which, command) is None:
        raise ConfigurationError(f"{address.name} cannot be started: there is no such command.")
    server = StdioServerParameters(command=command, args=arguments, env=_environment(address))
    async with stdio_client(server, errlog=_log()) as streams:
        yield streams

"""A filter for the logs of the libraries below an MCP server or client: at DEBUG, mcp and FastMCP log whole messages.

A log outlives an erasure, so it holds no text of a memory. Importing this module loads nothing.
"""

from __future__ import annotations

import logging

__all__ = ["CLIENT_THREAD", "hide_client_texts", "hide_server_texts"]

CLIENT_THREAD = "memweld-mcp-client"
"""The name of the threads in which memweld's own client talks with servers."""

_SERVER = (
    "fastmcp.server.mixins.mcp_operations",
    "mcp.server.lowlevel.server",
    "mcp.server.sse",
    "mcp.server.streamable_http",
    "sse_starlette.sse",
)
_CLIENT = ("mcp.client.sse", "mcp.client.stdio", "mcp.client.streamable_http")
_DROPPED = ("Failed to parse message", "Error in standalone SSE writer")
"""Records of mcp 1.30 at any level: the full text of every invalid message, and every session's end."""


class _WithoutTexts(logging.Filter):
    """Cuts DEBUG records before what they quote. A client of the program's own logs as ever."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in _DROPPED:
            return False
        is_ours = record.name not in _CLIENT or record.threadName == CLIENT_THREAD
        if record.levelno <= logging.DEBUG and is_ours:
            record.msg, record.args = f"{str(record.msg).partition(':')[0].partition('%')[0].strip()} …", ()
        return True


_WITHOUT_TEXTS = _WithoutTexts()


def _hide(names: tuple[str, ...]) -> None:
    for name in names:
        logging.getLogger(name).addFilter(_WITHOUT_TEXTS)  # Once: a logger does not take the same filter twice.


def hide_server_texts() -> None:
    """Keep texts out of the logs of servers in this process."""
    _hide(_SERVER)


def hide_client_texts() -> None:
    """Keep texts out of the logs of memweld's own clients in this process."""
    _hide(_CLIENT)

"""Spans of the server: one for each call of a memory tool, and one for each request of the key-value API.

They continue the trace of the client: the one in the message's ``_meta``, else the one in the request's headers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from mcp.server.lowlevel.server import request_ctx
from starlette.requests import HTTPConnection

from ..engine.tracing import Attributes, mark_response, remote_context, span, span_origin
from .access import current_request

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["request_span", "resource_span", "tool_span"]


def tool_span(name: str) -> AbstractContextManager[Span | None]:
    """The span of a call, by the conventions for MCP. It takes the place of FastMCP's.

    FastMCP's has the id of the token's client, which may be the user's, and the texts of errors.

    Args:
        name: Of a tool that exists.
    """
    return _call_span("tools/call", name, {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name})


def resource_span(uri: str) -> AbstractContextManager[Span | None]:
    """The span of a read of a resource that exists, by the same conventions."""
    return _call_span("resources/read", uri, {"mcp.resource.uri": uri})


def _call_span(method: str, name: str, attributes: Attributes) -> AbstractContextManager[Span | None]:
    message = request_ctx.get(None)
    request = current_request()
    meta = None if message is None or message.meta is None else message.meta.model_dump()
    attributes = {
        "mcp.method.name": method,
        **attributes,
        "network.transport": "pipe" if request is None else "tcp",
    }
    # The context around a session's task is that of the request which opened it: it is asked last.
    parent = remote_context(meta, None if request is None else request.headers)
    return span(f"{method} {name}", "server", attributes, parent=parent)


@contextmanager
def request_span(request: HTTPConnection, operation: str) -> Generator[Callable[[int], None]]:
    """Record a request as a span, by the conventions for HTTP; the block calls the function with the status.

    Args:
        request: The request. Its path, which has keys, is not on the span.
        operation: The method, and the beginning of the path.
    """
    method, _, start = operation.partition(" ")
    attributes = {"http.request.method": "_OTHER" if method == "?" else method, "http.route": f"{start}/{{path}}"}
    # An instrumentation of the whole application has read the headers already.
    parent = remote_context(request.headers) if span_origin() is None else None
    with span(operation, "server", attributes, parent=parent) as current:

        def answer(status: int) -> None:
            if current is not None:
                mark_response(current, status)

        yield answer

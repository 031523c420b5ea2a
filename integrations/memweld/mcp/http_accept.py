"""The Accept header of a request to MCP, and the plain JSON answer for clients that read no stream of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import mcp.types as mt
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Scope, Send

__all__ = ["JSON_TYPE", "STREAM_TYPE", "accepting", "accepts", "as_json", "names", "replacing"]

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"


def _accepted(scope: Scope) -> list[str]:
    """The media types of the Accept header, without parameters; any type where there is none."""
    header = ",".join(Headers(scope=scope).getlist("accept")) or "*/*"
    return [part.partition(";")[0].strip().lower() for part in header.split(",")]


def names(scope: Scope, media_type: str) -> bool:
    """Whether the header names the type itself."""
    return media_type in _accepted(scope)


def accepts(scope: Scope, media_type: str) -> bool:
    """Whether the client takes the type, by its name or a pattern."""
    return not {media_type, f"{media_type.partition('/')[0]}/*", "*/*"}.isdisjoint(_accepted(scope))


def accepting(scope: Scope, accept: str) -> Scope:
    """The scope with another Accept header."""
    headers = [pair for pair in cast("list[tuple[bytes, bytes]]", scope["headers"]) if pair[0] != b"accept"]
    return {**scope, "headers": [*headers, (b"accept", accept.encode())]}


def as_json(send: Send, request_id: object, unfinished: Response) -> Send:
    """A ``send`` that turns a stream of events into its answer, for a client that reads no stream.

    Args:
        send: Of the request.
        request_id: The id of the JSON-RPC request.
        unfinished: The response if the stream ends before the answer.
    """

    def is_stream(start: Message) -> bool:
        return Headers(raw=start["headers"]).get("content-type", "").startswith(STREAM_TYPE)

    def answer(start: Message, body: bytes) -> Response:
        found = _answer_among(body, request_id)
        session = Headers(raw=start["headers"]).get(MCP_SESSION_ID_HEADER)
        headers = {} if session is None else {MCP_SESSION_ID_HEADER: session}
        return Response(found, 200, headers, media_type=JSON_TYPE) if found else unfinished

    return replacing(send, is_stream, answer)


def replacing(send: Send, when: Callable[[Message], bool], replace: Callable[[Message, bytes], Response]) -> Send:
    """A ``send`` that collects some responses and sends others in their place.

    Args:
        send: Of the request.
        when: Whether to replace the response that starts with this message.
        replace: Makes the other response from the start and the whole body.
    """
    start: list[Message] = []
    body = bytearray()

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start" and when(message):
            start.append(message)
            return
        if not start or message["type"] != "http.response.body":
            await send(message)
            return
        body.extend(message.get("body", b""))
        if message.get("more_body"):
            return
        response = replace(start[0], bytes(body))
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body})

    return collect


def _answer_among(events: bytes, request_id: object) -> bytes | None:
    """The answer to the request among events; None where the stream ended before it."""
    for line in events.splitlines():
        field, _, data = line.partition(b":")
        if field == b"data" and data.strip():
            message = mt.JSONRPCMessage.model_validate_json(data).root
            if isinstance(message, (mt.JSONRPCResponse, mt.JSONRPCError)) and message.id == request_id:
                return data.strip()
    return None

"""The HTTP transport: mcp's, with an answer to every request.

In mcp 1.30 one request that cannot be sent, or that fails with an HTTP status, ends the session for all others. A
request whose stream of events breaks off waits without end. Here each becomes a JSON-RPC error in the place of the
answer, with the call's delivery, and the session goes on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import MCP_SESSION_ID, streamable_http_client
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError

from ....errors import BackendUnavailableError, ConfigurationError
from ....urls import public_url
from .delivery import UnansweredError, http_failure
from .endpoint import EndpointTransport, proxy_of, reason_of, stays
from .url import ServerAddress

__all__ = ["Streams", "http_streams"]

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]
"""The stream from the server and the stream to it."""

CONNECT_SECONDS = 10.0
GOODBYE_SECONDS = 2.0

_MOST_REDIRECTS = 5

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


def _request_id(request: httpx.Request) -> str | int | None:
    """The id of the JSON-RPC request in the body; None for a notification."""
    body: Any = json.loads(request.content)
    return body.get("id") if "method" in body else None


class _WatchedStream(httpx.AsyncByteStream):
    """A stream of events that ends with an error where it breaks off before the answer.

    Its reader stops at the answer, and reads the end only where there was none.
    """

    def __init__(self, stream: httpx.AsyncByteStream, error: bytes) -> None:
        self._stream = stream
        self._error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        whole = True
        with suppress(httpx.TransportError):
            async for chunk in self._stream:
                whole = chunk.endswith((b"\n\n", b"\r\n\r\n"))
                yield chunk
        # mcp passes over half an event that is marked as one of an unknown kind.
        yield b"" if whole else b"\nevent: broken\n\n"
        yield b"event: message\ndata: " + self._error + b"\n\n"

    async def aclose(self) -> None:
        """Close the stream."""
        await self._stream.aclose()


class _AnsweringClient(httpx.AsyncClient):
    """A client that answers every POST: with an error of our own where the server gives no answer."""

    def __init__(self, address: ServerAddress, timeout: float) -> None:
        bearer = {} if address.token is None else {"Authorization": f"Bearer {address.token}"}
        asking = {"Memweld-Engine": "1"} if address.is_backend else {}
        self._proxy = proxy_of(address.url)
        super().__init__(
            headers={**asking, **address.headers, **bearer},
            auth=address.login,
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            # The transport is for one server: the proxy is chosen above.
            transport=EndpointTransport(address.query, self._proxy, address.socket),
            trust_env=False,
        )
        self._address = address

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send the request, and follow redirects that stay with the server."""
        if request.method != "POST":
            return await self._followed(request, **options)
        try:
            response = await self._followed(request, **options)
        except httpx.TransportError as error:
            delivery = "unsent" if isinstance(error, _UNSENT) else "unknown"
            return self._unanswered(request, UnansweredError(delivery, self._unreachable(error)))
        failure = self._redirected(response) or http_failure(
            response.status_code,
            self._address,
            in_session=MCP_SESSION_ID in request.headers,
            retry_after=response.headers.get("retry-after", ""),
        )
        if failure is not None:
            await response.aclose()
            return self._unanswered(request, failure)
        return await self._watched(request, response)

    async def _followed(self, request: httpx.Request, **options: Any) -> httpx.Response:
        options.pop("follow_redirects", None)
        response = await super().send(request, follow_redirects=False, **options)
        for _ in range(_MOST_REDIRECTS):
            following = response.next_request
            if following is None or not stays(request, following):
                break
            await response.aclose()
            response = await super().send(following, follow_redirects=False, **options)
        return response

    def _redirected(self, response: httpx.Response) -> UnansweredError | None:
        """The failure of a redirect that is not followed: credentials go to the named server only."""
        if response.next_request is None:
            return None
        target = public_url(str(response.next_request.url))
        text = f"{self._address.name} redirects to {target}, which is not followed. If you trust it, connect to it."
        return UnansweredError("final", ConfigurationError(text))

    async def _watched(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        broken = UnansweredError("unknown", BackendUnavailableError(f"{self._address.name} broke off its answer."))
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - an asynchronous client's
            response.stream = _WatchedStream(response.stream, self._error(request, broken))
            return response
        try:
            await response.aread()
        except httpx.TransportError:
            return self._unanswered(request, broken)
        return response

    def _unreachable(self, error: Exception) -> BackendUnavailableError:
        through = "" if self._proxy is None else f" through the proxy {public_url(self._proxy)} of the environment"
        found = BackendUnavailableError(f"{self._address.name} cannot be reached{through} ({reason_of(error)}).")
        found.__cause__ = error
        return found

    def _error(self, request: httpx.Request, failure: UnansweredError) -> bytes:
        identity = _request_id(request)
        error = JSONRPCError(jsonrpc="2.0", id=-1 if identity is None else identity, error=failure.data())
        return error.model_dump_json(exclude_none=True).encode()

    def _unanswered(self, request: httpx.Request, failure: UnansweredError) -> httpx.Response:
        if _request_id(request) is None:
            return httpx.Response(202, request=request)
        headers = {"content-type": "application/json"}
        return httpx.Response(200, headers=headers, content=self._error(request, failure), request=request)


@asynccontextmanager
async def http_streams(address: ServerAddress, *, seconds: float) -> AsyncGenerator[Streams]:
    """Open a session's streams to the endpoint; ends the session there when the block ends.

    Args:
        address: The server.
        seconds: How long to wait for an answer.
    """
    async with (
        _AnsweringClient(address, seconds) as client,
        # mcp's own goodbye prints a complaint about a server that has gone before.
        streamable_http_client(address.url, http_client=client, terminate_on_close=False) as (read, write, session_id),
    ):
        try:
            yield read, write
        finally:
            with anyio.move_on_after(GOODBYE_SECONDS, shield=True), suppress(httpx.HTTPError, RuntimeError):
                named = session_id()
                if named is not None:
                    await client.delete(address.url, headers={MCP_SESSION_ID: named})

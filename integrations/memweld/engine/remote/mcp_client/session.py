"""One MCP session with a server, from its handshake until it is over."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus
from mcp import ClientSession
from mcp.shared.exceptions import McpError
from mcp.types import CONNECTION_CLOSED, ClientRequest, Implementation
from pydantic import BaseModel

from ....errors import BackendUnavailableError, MemweldError
from .delivery import UnansweredError, own_error, read_failure
from .endpoint import reason_of
from .http import Streams, http_streams
from .stdio import stdio_streams
from .url import ServerAddress

__all__ = ["Session"]

R = TypeVar("R", bound=BaseModel)

HANDSHAKE_SECONDS = 30.0


class Session:
    """A session that tasks of one event loop share.

    Args:
        address: The server.
        timeout: Seconds to wait for an answer.
        client_name: How the client introduces itself.
    """

    def __init__(self, address: ServerAddress, *, timeout: float, client_name: str) -> None:
        self._address = address
        self._implementation = Implementation(name=client_name, version="1")
        self._timeout = timeout
        self._over = anyio.Event()
        self._waiting: set[anyio.CancelScope] = set()
        self._client: ClientSession | None = None

    @property
    def is_over(self) -> bool:
        """Whether it answers no more calls."""
        return self._over.is_set()

    def end(self) -> None:
        """Let the task that holds the session leave it."""
        self._over.set()

    async def hold(self, *, task_status: TaskStatus[None]) -> None:
        """Open the session and keep it open until it ends or breaks.

        Raises:
            MemweldError: It cannot be opened, and that will not change.
            UnansweredError: It cannot be opened now.
        """
        opened = False
        try:
            async with self._streams() as streams, ClientSession(*streams, client_info=self._implementation) as client:
                with anyio.fail_after(HANDSHAKE_SECONDS):
                    await client.initialize()
                self._client, opened = client, True
                task_status.started()
                await self._over.wait()
        except Exception as error:
            # After the opening, the tasks that wait for answers notice that the session breaks.
            if not opened:
                raise self._explained(error) from error
        finally:
            self._over.set()
            for scope in list(self._waiting):
                scope.cancel()

    def _streams(self) -> AbstractAsyncContextManager[Streams]:
        if self._address.command:
            return stdio_streams(self._address)
        return http_streams(self._address, seconds=self._timeout)

    def _explained(self, error: Exception) -> Exception:
        found = error
        while inner := getattr(found, "exceptions", None):  # an ExceptionGroup, which Python 3.10 does not know
            found = inner[0]
        if isinstance(found, McpError):
            return read_failure(found, self._address) or self._refusal(found)
        if isinstance(found, (MemweldError, UnansweredError)):
            return found
        why = "no answer in time" if isinstance(found, TimeoutError) else reason_of(found)
        unavailable = BackendUnavailableError(f"{self._address.name} cannot be reached ({why}).")
        return UnansweredError("unsent", unavailable)

    def _refusal(self, error: McpError) -> MemweldError:
        foreign = BackendUnavailableError(f"{self._address.name} answers with error {error.error.code}.")
        return own_error(error.error.data) or foreign

    async def ask(self, request: ClientRequest, kind: type[R]) -> R:
        """Send a request.

        Args:
            request: The request.
            kind: The type of its answer.

        Raises:
            McpError: The server answers with an error.
            UnansweredError: There is no answer.
            BackendUnavailableError: The server does not answer in time.
        """
        assert self._client is not None  # noqa: S101 - `hold` has started
        broken = BackendUnavailableError(f"{self._address.name} has closed the connection.")
        result: R | None = None
        with anyio.move_on_after(self._timeout) as scope:
            self._waiting.add(scope)
            try:
                result = await self._client.send_request(request, kind)
            except McpError as error:
                failure = read_failure(error, self._address)
                if failure is None:
                    raise
                if error.error.code == CONNECTION_CLOSED or failure.delivery == "ended":
                    self.end()
                raise failure from error
            except (anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
                self.end()
                raise UnansweredError("unsent", broken) from error
            finally:
                self._waiting.discard(scope)
        if result is None:
            if self.is_over:
                raise UnansweredError("unknown", broken)
            raise BackendUnavailableError(
                f"{self._address.name} did not answer within {self._timeout:g} seconds. "
                "It may still carry out what it was asked."
            )
        return result

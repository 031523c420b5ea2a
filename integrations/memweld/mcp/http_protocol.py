"""The connections of the HTTP server: how many there may be, and how long each may take for each step.

uvicorn 0.54 has no time-out for headers, bodies and unread answers, and its parser in C takes headers of any length.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Literal, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .limits import Limits

__all__ = ["Connections", "GuardedProtocol"]

Phase: TypeAlias = Literal["headers", "body", "answer", "idle"]

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connections:
    """The open connections of a server, by the address of the client.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._by_address: dict[str, dict[GuardedProtocol, None]] = {}
        self._count = 0

    def protocol(self, **arguments: Any) -> GuardedProtocol:
        """Make the protocol of a connection; uvicorn's ``http``."""
        return GuardedProtocol(self, **arguments)

    def admit(self, connection: GuardedProtocol) -> bool:
        """Take a connection; a full server closes another that waits for its client. False: none does."""
        own = self._by_address.get(connection.address, {})
        crowd = None
        if len(own) >= self.limits.connections_per_address:
            crowd = own
        elif self._count >= self.limits.connections:
            crowd = max(self._by_address.values(), key=len)
        if crowd is not None:
            waiting = next((one for one in crowd if one.is_waiting), None)
            if waiting is None:
                return False
            self.release(waiting)
            waiting.transport.abort()
        self._by_address.setdefault(connection.address, {})[connection] = None
        self._count += 1
        return True

    def release(self, connection: GuardedProtocol) -> None:
        """Forget a connection, if it is known."""
        own = self._by_address.get(connection.address, {})
        if connection in own:
            del own[connection]
            self._count -= 1
            if not own:
                del self._by_address[connection.address]


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with a deadline for each phase of a connection. No byte of the client puts it off.

    Args:
        book: Of the server.
        arguments: Of uvicorn.
    """

    def __init__(self, book: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._book = book
        self._limits = book.limits
        self._phase: tuple[Phase, object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self.address = ""

    @property
    def _has_request(self) -> bool:
        return bool(self.cycle)  # None until the first, whatever the annotation in uvicorn says.

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being served."""
        return not self._has_request or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or answer 503."""
        super().connection_made(transport)
        if transport.get_extra_info("socket").family == getattr(socket, "AF_UNIX", None):
            self.client = ("127.0.0.1", 0)  # uvicorn knows no address, and the client is this machine's.
        self.address = self.client[0] if self.client else ""
        if self._book.admit(self):
            self._follow()
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._book.release(self)
        for timer in (self._deadline, self._stall):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection is about to close."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._stall = self._after(self._limits.stall_seconds, self._stall)

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _after(self, seconds: float, timer: asyncio.TimerHandle | None) -> asyncio.TimerHandle:
        if timer is not None:
            timer.cancel()
        return self.loop.call_later(seconds, self.transport.abort)

    def _current_phase(self) -> Phase:
        if not self.is_waiting:
            return "body" if self.cycle.more_body else "answer"
        if self.conn.their_state is h11.SEND_BODY:  # Answered before the body was there.
            return "body"
        # uvicorn has a timer for a connection that waits for its next request.
        return "headers" if not self._has_request or self.conn.trailing_data[0] else "idle"

    def _follow(self) -> None:
        phase = self._current_phase()
        if (phase, self.cycle) == self._phase or self.transport.is_closing():
            return
        self._phase = (phase, self.cycle)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if phase in ("headers", "body"):
            seconds = self._limits.header_seconds if phase == "headers" else self._limits.body_seconds
            self._deadline = self._after(seconds, None)

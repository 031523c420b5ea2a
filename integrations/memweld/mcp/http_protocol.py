"""A connection of the HTTP server: how long its client may take for each step, and answers below the application.

uvicorn 0.54 has no time-out for headers, bodies and unread answers, and its parser in C takes headers of any length.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .http_connections import CONNECTION, Connections, Owner
from .http_errors import error_body
from .http_headers import SECURITY_HEADERS

__all__ = ["GuardedProtocol", "guarded"]

Phase: TypeAlias = Literal["headers", "body", "answer", "idle"]

_PROGRESS_BYTES = 262_144
"""What a client must read of an answer in each ``stall_seconds``, unless less is left."""

_UNSENT_BYTES = 131_072
"""What the kernel may take of an answer in advance. It takes megabytes otherwise, and hides how fast a client reads."""

_PHRASES = {400: b"Bad Request", 503: b"Service Unavailable"}


def _raw_answer(status: int, error: str, message: str) -> bytes:
    """A whole answer from below the application, in the form of the application's errors."""
    body = json.dumps(error_body(error, message)).encode()
    headers = [
        *SECURITY_HEADERS,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *([(b"retry-after", b"5")] if status == 503 else []),
    ]
    lines = b"".join(b"%s: %s\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (status, _PHRASES[status], lines, body)


class GuardedProtocol(H11Protocol):
    """uvicorn's protocol with a deadline for each phase of a connection. No byte of the client puts it off.

    Args:
        book: Of the server.
        arguments: Of uvicorn.
    """

    def __init__(self, book: Connections, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.app_state = {**self.app_state, CONNECTION: self}  # Each request's scope has a copy.
        self.book = book
        self.owner: Owner = ("address", "")
        self.is_stream = False
        self._limits = book.limits
        self._phase: tuple[Phase, object] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unread = 0

    @property
    def _has_request(self) -> bool:
        return bool(self.cycle)  # None until the first, whatever the annotation in uvicorn says.

    @property
    def _is_answered(self) -> bool:
        return not self._has_request or self.cycle.response_complete

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being served, and the client has every answer."""
        return self._is_answered and not self.transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or answer 503."""
        super().connection_made(transport)
        connected = transport.get_extra_info("socket")
        if connected.family == getattr(socket, "AF_UNIX", None):
            self.client = ("127.0.0.1", 0)  # uvicorn knows no address, and the client is this machine's.
        elif hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):  # The client has gone.
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self.owner = ("address", self.client[0] if self.client else "")
        if self.book.admit(self):
            self._follow()
        else:
            text = "The server has as many connections as it takes. Try again in 5 seconds."
            transport.write(_raw_answer(503, "ServerBusyError", text))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.book.release(self)
        for timer in (self._deadline, self._stall):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the connection is about to close."""
        if self.transport.is_closing():
            return
        if not self.transport.get_write_buffer_size():
            self._stop_stall()
        super().data_received(data)
        self._follow()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer data that are no HTTP request, and close the connection."""
        if self._is_answered or not self.cycle.response_started:
            self.transport.write(_raw_answer(400, "InvalidRequestError", msg))
        if self._has_request:
            self.cycle.disconnected = True  # The application's answer would follow this one.
            self.cycle.message_event.set()
        self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for a client that has not read the answer."""
        self.book.renew(self)
        super().on_response_complete()
        if self._stall is None:
            self._start_stall()
        self._follow()

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection; one with an unread answer is idle only afterwards."""
        if self.transport.get_write_buffer_size():
            self._deadline = self.loop.call_later(self._limits.idle_seconds, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._start_stall()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._stop_stall()
        if self._is_answered:
            self._start_stall()

    def _start_stall(self) -> None:
        self._stop_stall()
        self._unread = self.transport.get_write_buffer_size()
        if self._unread:
            self._stall = self.loop.call_later(self._limits.stall_seconds, self._check_stall)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _check_stall(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left and left > self._unread - _PROGRESS_BYTES:
            self.transport.abort()
        else:
            self._start_stall()

    def _current_phase(self) -> Phase:
        if not self._is_answered:
            return "body" if self.cycle.more_body else "answer"
        if self.conn.their_state is h11.SEND_BODY:  # Answered before the body was there.
            return "body"
        return "headers" if not self._has_request or self.conn.trailing_data[0] else "idle"

    def _follow(self) -> None:
        phase = self._current_phase()
        if (phase, self.cycle) == self._phase or self.transport.is_closing():
            return
        self._phase = (phase, self.cycle)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if phase == "headers":
            self._deadline = self.loop.call_later(self._limits.header_seconds, self.transport.abort)
        elif phase == "body":
            self._deadline = self.loop.call_later(self._limits.body_seconds, self.transport.abort)
        elif phase == "idle":
            # Any byte ends uvicorn's own timer, the last one of a refused body too.
            self._unset_keepalive_if_required()
            self._deadline = self.loop.call_later(self._limits.idle_seconds, self.timeout_keep_alive_handler)


def guarded(book: Connections) -> Callable[..., GuardedProtocol]:
    """Uvicorn's ``http``: makes the protocols of connections that the book counts."""
    return functools.partial(GuardedProtocol, book)

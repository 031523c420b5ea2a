"""`Limits`: what one user, one address and one connection may take from a server over HTTP."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..errors import invalid

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server over HTTP gives to one user, and to all connections. All are positive numbers.

    The limits of connections and times hold where memweld runs the HTTP server. Another server that serves `create_app`
    has its own; there only the limits of users and of a request's headers hold.

    A user is the subject of a token. A token with the scope ``memory:any-user`` acts for many users, and so do programs
    on the server's own machine where there are no tokens: these may make ten times as many calls and sessions.

    Attributes:
        calls_per_minute: Calls of a user; 32 KiB of a body count as one more, and a new session as ten. A user who was
            quiet may make those of ten seconds at once.
        calls_in_flight: Calls of a user at the same time. Further ones wait for some seconds, then they are refused.
        sessions: MCP sessions of a user. One more ends the one that was idle longest.
        bytes_kept: Bytes of memories, values and messages of a user. Above, nothing is added until something goes.
        connections: Open connections.
        connections_per_address: Open connections of one address, or of one user once it has sent a token. A user may
            have half as many open requests.
        header_bytes: Length of a request's path and headers.
        header_seconds: How long a connection may take to send the headers of a request.
        body_seconds: How long a request may take to send its body.
        idle_seconds: How long a connection stays open between two requests.
        stall_seconds: How long a client may take to read each 256 KiB of an answer, or the rest of it.

    Raises:
        InvalidInputError: A limit is not positive.
    """

    calls_per_minute: int = 3_000
    calls_in_flight: int = 100
    sessions: int = 200
    bytes_kept: int = 1_000_000_000
    connections: int = 800
    connections_per_address: int = 400
    header_bytes: int = 32_768
    header_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 15.0
    stall_seconds: float = 30.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if not getattr(self, field.name) > 0:
                raise invalid(field.name, getattr(self, field.name), "a limit is positive", "Leave it out.")

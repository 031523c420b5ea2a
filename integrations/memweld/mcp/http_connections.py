"""The open connections of the HTTP server, by the user or the address that each counts for.

A connection counts for the address of its client, until a request with a valid token makes it the user's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, cast

from starlette.types import Scope

from .limits import Limits

__all__ = ["CONNECTION", "Connection", "Connections", "count_for", "streaming"]

CONNECTION = "memweld.connection"
"""The key by which the ``state`` of a request's ASGI scope has its `Connection`."""

Owner: TypeAlias = tuple[str, str]
"""``address`` or ``user``, and which one."""


class Connection(Protocol):
    """A connection, as far as the book knows it.

    Attributes:
        owner: For whom it counts.
        is_stream: Whether it carries a stream of events, which its client can ask for again.
    """

    owner: Owner
    is_stream: bool

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being served, and the client has every answer."""
        ...

    @property
    def book(self) -> Connections:
        """The book that has it."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...


class Connections:
    """The open connections of a server.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._by_owner: dict[Owner, dict[Connection, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        """The number of open connections."""
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Take a connection. A full server closes another of the owner with most connections.

        Returns:
            False if there is none to close.
        """
        own = self._by_owner.get(connection.owner, {})
        if len(own) >= self.limits.connections_per_address:
            has_room = self._close_one([own])
        elif self._count >= self.limits.connections:
            has_room = self._close_one(sorted(self._by_owner.values(), key=len, reverse=True), than=len(own) + 1)
        else:
            has_room = True
        if has_room:
            self._add(connection)
        return has_room

    def _close_one(self, crowds: Iterable[dict[Connection, None]], than: int = 0) -> bool:
        """Close the connection that waits for its client longest, else the oldest stream of an owner with many.

        Args:
            crowds: The connections of owners, in the order in which these lose one.
            than: Only owners with more connections lose a stream.
        """
        for crowd in crowds:
            chosen = next((one for one in crowd if one.is_waiting), None)
            if chosen is None and len(crowd) > than:
                chosen = next((one for one in crowd if one.is_stream), None)
            if chosen is not None:
                self.release(chosen)
                chosen.abort()
                return True
        return False

    def count_for(self, connection: Connection, user: str) -> None:
        """Count a connection for the user whose token it has sent, and no longer for its address."""
        owner = ("user", user)
        if connection.owner == owner or connection not in self._by_owner.get(connection.owner, {}):
            return
        self.release(connection)
        connection.owner = owner
        own = self._by_owner.get(owner, {})
        if len(own) >= self.limits.connections_per_address:
            self._close_one([own])
        self._add(connection)

    def renew(self, connection: Connection) -> None:
        """Close the other connections of its owner before this one, which has just been answered."""
        own = self._by_owner.get(connection.owner, {})
        if connection in own:
            del own[connection]
            own[connection] = None

    def release(self, connection: Connection) -> None:
        """Forget a connection, if it is known."""
        own = self._by_owner.get(connection.owner, {})
        if connection in own:
            del own[connection]
            self._count -= 1
            if not own:
                del self._by_owner[connection.owner]

    def _add(self, connection: Connection) -> None:
        self._by_owner.setdefault(connection.owner, {})[connection] = None
        self._count += 1


def _connection_of(scope: Scope) -> Connection | None:
    """The connection of a request; None on another server than ours."""
    return cast("dict[str, Any]", scope.get("state", {})).get(CONNECTION)


def count_for(scope: Scope, user: str) -> None:
    """Count the connection of a request for the user of its token."""
    connection = _connection_of(scope)
    if connection is not None:
        connection.book.count_for(connection, user)


@contextmanager
def streaming(scope: Scope) -> Generator[None]:
    """Mark the connection of a request as a stream of events for the block."""
    connection = _connection_of(scope)
    if connection is None:
        yield
        return
    connection.is_stream = True
    try:
        yield
    finally:
        connection.is_stream = False

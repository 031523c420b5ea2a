"""Users who share an address, and owners who share a server: nobody takes all connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastmcp.server.auth import StaticTokenVerifier
from live_server import POST, QUICK, is_served, opened, running

from memweld import connect
from memweld.mcp import create_server
from memweld.mcp.http_connections import Connections

TOKENS = {name: {"client_id": name, "sub": name} for name in ("ana", "bob", "eve")}
TOKENS["service"] = {"client_id": "service", "sub": "service", "scopes": ["memory:any-user"]}  # type: ignore[dict-item]


def begun(port: int, token: str) -> socket.socket:
    """A request of a user whose body does not come."""
    return opened(port, POST + f"authorization: Bearer {token}\r\ncontent-length: 9\r\n\r\n{{".encode())


def is_unanswered(client: socket.socket) -> bool:
    """Whether the server still waits for the body, having neither answered nor closed."""
    client.settimeout(0.1)
    try:
        client.recv(100)
    except TimeoutError:
        return True
    except OSError:
        pass
    return False


class TestUsers:
    """Connections of users who share an address."""

    @contextmanager
    def served(self, **limits: Any) -> Iterator[int]:
        chosen = replace(QUICK, body_seconds=30, idle_seconds=30, header_seconds=30, **limits)
        with connect("sqlite://") as backend:
            server = create_server(backend, limits=chosen, auth=StaticTokenVerifier(TOKENS))
            with running(server) as port:
                yield port

    def test_a_user_takes_none_of_the_address(self) -> None:
        with self.served(connections=40, connections_per_address=4) as port:
            busy = [begun(port, name) for name in ("ana", "ana", "bob", "bob", "eve", "eve")]
            assert is_served(port)
            for client in busy:
                client.close()

    def test_a_service_takes_half_of_all(self) -> None:
        with self.served(connections=12, connections_per_address=6) as port:
            busy: list[socket.socket] = []
            for _ in range(20):
                busy.append(begun(port, "service"))
                assert is_served(port)
            assert sum(is_unanswered(client) for client in busy) == 6
            for client in busy:
                client.close()

    def test_streams_of_many_users_leave_room(self) -> None:
        with self.served(connections=4, connections_per_address=4) as port:
            streams: list[socket.socket] = []
            for user in ("ana", "bob", "ana", "bob"):
                streams.append(opened(port, stream_of(user, port)))
                assert streams[-1].recv(4_096).startswith(b"HTTP/1.1 200")
            assert is_served(port)
            assert [is_unanswered(each) for each in streams] == [False, True, True, True]
            for each in streams:
                each.close()


def stream_of(user: str, port: int) -> bytes:
    """The request for the stream of a new session."""
    headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {user}"}
    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    begun = httpx.post(f"http://127.0.0.1:{port}/mcp", json=message, headers=headers, trust_env=False)
    session = begun.headers["mcp-session-id"]
    lines = ("GET /mcp HTTP/1.1", "host: localhost", f"authorization: Bearer {user}", f"mcp-session-id: {session}")
    return "\r\n".join((*lines, "accept: text/event-stream", "", "")).encode()


class _Connection:
    """A connection without a socket."""

    def __init__(self, book: Connections, owner: str, *, waits: bool = False, streams: bool = False) -> None:
        self.book, self.owner = book, ("address", owner)
        self.is_waiting, self.is_stream, self.is_closed = waits, streams, False

    def abort(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("others", "closed"),
    [
        pytest.param([("a", "call"), ("a", "call"), ("b", "call")], None, id="calls are not cut off"),
        pytest.param([("a", "stream"), ("a", "stream"), ("b", "wait")], 0, id="the owner of most loses its oldest"),
        pytest.param([("a", "stream"), ("b", "stream"), ("c", "stream")], None, id="all have as many as the new one"),
        pytest.param([("a", "call"), ("a", "call"), ("b", "wait")], 2, id="who waits goes before a refusal"),
    ],
)
def test_a_full_server_closes_what_can_come_again(others: list[tuple[str, str]], closed: int | None) -> None:
    book = Connections(replace(QUICK, connections=3))
    connections = [_Connection(book, owner, waits=kind == "wait", streams=kind == "stream") for owner, kind in others]
    assert all(book.admit(each) for each in connections)
    assert book.admit(_Connection(book, "new")) is (closed is not None)
    assert [number for number, each in enumerate(connections) if each.is_closed] == ([] if closed is None else [closed])


def test_a_connection_counts_for_its_last_user() -> None:
    book = Connections(replace(QUICK, connections_per_address=1))
    proxy = _Connection(book, "proxy")
    assert book.admit(proxy)
    for user in ("ana", "bob", "bob"):
        book.count_for(proxy, user)
        assert proxy.owner == ("user", user)
    assert book.admit(_Connection(book, "proxy"))
    assert not book.admit(_Connection(book, "proxy"))
    book.release(proxy)
    book.count_for(proxy, "ana")  # It is closed.
    assert book.admit(_Connection(book, "other"))

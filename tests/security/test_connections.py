"""The HTTP port against clients without a token: headers, bodies, idle and unread connections, floods, the log."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_server import POST, QUICK, is_served, opened, running

from memweld import BackendUnavailableError, ConfigurationError, connect
from memweld.mcp import create_app, create_server
from memweld.mcp.http_connections import Connections
from memweld.mcp.http_protocol import guarded
from memweld.mcp.http_server import fitting, listen_unix
from memweld.mcp.limits import Limits
from memweld.mcp.log_limits import RepeatFilter, bounded_log
from memweld.testing.serving import serving


def seconds_until_closed(client: socket.socket, *, drip: bytes = b"") -> float:
    """How long the server keeps a connection that sends one byte after another, or none."""
    started = time.monotonic()
    client.settimeout(0.05)
    while time.monotonic() - started < 30:
        try:
            if not client.recv(65_536):
                break
        except TimeoutError:
            pass
        except OSError:
            break
        try:
            client.sendall(drip)
        except OSError:
            break
    client.close()
    return time.monotonic() - started


# For connections that must not end while a busy machine stalls.
CALM = replace(QUICK, header_seconds=30, body_seconds=30, idle_seconds=30, stall_seconds=30)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with connect("sqlite://") as backend, running(create_server(backend, limits=QUICK)) as port:
        yield port


@pytest.fixture(scope="module")
def calm_port() -> Iterator[int]:
    with connect("sqlite://") as backend, running(create_server(backend, limits=CALM)) as port:
        yield port


SMALL = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
MUCH = 12_000_000


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with many bytes at ``/much``, once the body is there."""
    while (await receive()).get("more_body"):
        pass
    body = b"x" * MUCH if scope["path"] == "/much" else b"ok"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def guarding(limits: Limits) -> Iterator[int]:
    """Serve a small application over connections with the limits; the port."""
    with serving(_application, http=guarded(Connections(limits)), lifespan="off") as url:
        yield int(url.rpartition(":")[2])


def asking_for_much(port: int) -> socket.socket:
    """A client with a small buffer that has not read its large answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(SMALL.replace(b"/health", b"/much"))
    return client


def received(client: socket.socket, *, step: int = 65_536, pause: float = 0) -> int:
    """How many bytes come until the server closes, or all; it may take a minute."""
    count, deadline = 0, time.monotonic() + 60
    while count <= MUCH:
        assert time.monotonic() < deadline
        try:
            data = client.recv(step, socket.MSG_WAITALL if count + step < MUCH else 0)
        except OSError:
            break
        if not data:
            break
        count += len(data)
        time.sleep(pause)
    client.close()
    return count


def answered(client: socket.socket) -> bytes:
    """The small answer, all of it."""
    data = b""
    while not data.endswith(b"ok"):
        more = client.recv(4_096)
        assert more, data
        data += more
    return data


class TestDeadlines:
    @pytest.mark.parametrize(
        ("sent", "drip"),
        [
            pytest.param(b"", b"", id="nothing is sent"),
            pytest.param(b"GET /heal", b"", id="half a request line"),
            pytest.param(b"GET /health HTTP/1.1\r\nhost: localhost\r\n", b"a", id="headers that drip"),
            pytest.param(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b"", id="idle after an answer"),
            pytest.param(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", b"\r", id="half a second request"),
            pytest.param(POST + b"content-length: 1000\r\n\r\n{", b"", id="half a body"),
            pytest.param(POST + b"content-length: 1000\r\n\r\n{", b" ", id="a body that drips"),
            pytest.param(POST + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n", id="chunks without end"),
            pytest.param(
                b"GET /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n", b" ", id="a body of a 404"
            ),
        ],
    )
    def test_a_connection_ends_in_time(self, port: int, sent: bytes, drip: bytes) -> None:
        assert seconds_until_closed(opened(port, sent), drip=drip) < 9

    def test_a_client_that_does_not_read(self, port: int) -> None:
        client = opened(port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        request = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n"
        deadline = time.monotonic() + 30
        client.settimeout(1)
        with pytest.raises(OSError):  # noqa: PT011, PT012 - reset or broken, as the moment has it
            while time.monotonic() < deadline:
                try:
                    client.sendall(request * 100)
                except TimeoutError:
                    client.send(b"x")
        assert time.monotonic() < deadline
        client.close()

    def test_the_rest_of_a_refused_body_does_not_keep_a_connection(self, port: int) -> None:
        client = opened(port, b"GET /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404")
        client.sendall(b"rest")
        assert seconds_until_closed(client) < 9

    @pytest.mark.parametrize(("step", "is_complete"), [(524_288, True), (8_192, False)])
    def test_a_client_that_reads_steadily_gets_its_answer(self, step: int, is_complete: bool) -> None:
        # Longer than a busy machine stalls, and shorter than the whole answer takes.
        with guarding(replace(CALM, stall_seconds=3.5) if is_complete else QUICK) as port:
            assert (received(asking_for_much(port), step=step, pause=0.05) > MUCH) is is_complete

    def test_an_honest_client_keeps_its_connection(self) -> None:
        with guarding(replace(CALM, idle_seconds=4)) as port, opened(port) as client:
            for _ in range(6):
                client.sendall(SMALL)
                assert answered(client).startswith(b"HTTP/1.1 200")
                time.sleep(0.8)


class TestHeaders:
    def test_many_bytes(self, calm_port: int) -> None:
        client = opened(calm_port, b"GET /health HTTP/1.1\r\nhost: localhost\r\n")
        sent = 0
        with pytest.raises(OSError):  # noqa: PT011, PT012
            while sent < 50_000_000:
                client.sendall(b"x: " + b"y" * 60_000 + b"\r\n")
                sent += 60_000
        assert sent < 10_000_000
        client.close()

    @pytest.mark.parametrize("headers", [{f"x-{number}": "y" for number in range(150)}, {"x": "y" * 3_990}])
    def test_too_many_in_one_packet(self, calm_port: int, headers: dict[str, str]) -> None:
        answer = httpx.get(f"http://127.0.0.1:{calm_port}/health", headers=headers, trust_env=False)
        assert answer.status_code in (400, 431)

    def test_the_limit_holds_in_an_application_on_another_server(self) -> None:
        with connect("sqlite://") as backend, serving(create_app(backend)) as url:
            answer = httpx.get(f"{url}/health", headers={f"x-{number}": "y" for number in range(150)})
        assert answer.status_code == 431
        assert answer.json()["error"]["type"] == "HeadersTooLargeError"


class TestFloods:
    def test_an_unread_answer_is_not_cut_off_for_others(self) -> None:
        with guarding(replace(CALM, connections_per_address=2)) as port:
            reader = asking_for_much(port)
            with opened(port, SMALL) as idle:
                assert idle.recv(100)
                time.sleep(0.2)
                assert is_served(port)
                assert received(reader) > MUCH

    def test_the_connection_that_was_idle_longest_goes(self) -> None:
        limits = replace(CALM, connections_per_address=2)
        with guarding(limits) as port, opened(port) as first, opened(port) as second:
            for client in (first, second, first):
                client.sendall(SMALL)
                assert answered(client)
            assert is_served(port)
            with contextlib.suppress(ConnectionResetError):
                assert second.recv(4_096) == b""
            first.sendall(SMALL)
            assert answered(first).startswith(b"HTTP/1.1 200")

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="every address of 127.0.0.0/8 is this machine's")
    def test_idle_connections_of_another_address_keep_nobody_out(self) -> None:
        with guarding(replace(CALM, connections=3)) as port:
            busy = [opened(port, POST + b"content-length: 9\r\n\r\n{") for _ in range(2)]
            idle = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0), timeout=10)
            idle.sendall(SMALL)
            assert idle.recv(100)
            assert is_served(port)
            for client in (*busy, idle):
                client.close()

    def test_idle_connections_keep_nobody_out(self) -> None:
        with guarding(CALM) as port:
            clients = [opened(port, b"GET /heal") for _ in range(60)]
            assert is_served(port)
            for client in clients:
                client.close()

    def test_a_full_server_answers_503(self) -> None:
        # Every connection waits for an answer: none can be closed for another.
        limits = replace(CALM, connections=6, connections_per_address=3)
        with connect("sqlite://") as backend, running(create_server(backend, limits=limits)) as port:
            busy = [opened(port, POST + b"content-length: 9\r\nexpect: 100-continue\r\n\r\n") for _ in range(3)]
            for client in busy:
                assert client.recv(100).startswith(b"HTTP/1.1 100 ")
            answer = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert answer.json()["error"]["type"] == "ServerBusyError"
            assert answer.headers["x-content-type-options"] == "nosniff"
            for client in busy:
                client.close()
            deadline = time.monotonic() + 30
            while not is_served(port):
                assert time.monotonic() < deadline

    @pytest.mark.parametrize(
        ("files", "fitted"),
        [
            ((1_024, 4_096), (800, 400)),
            ((256, 4_096), (800, 400)),
            ((600, 600), (400, 200)),
            ((100, 100), (50, 25)),
        ],
    )
    def test_connections_leave_files_for_others(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        files: tuple[int, int],
        fitted: tuple[int, int],
    ) -> None:
        resource = pytest.importorskip("resource")
        raised: list[tuple[int, int]] = []
        monkeypatch.setattr(resource, "getrlimit", lambda _: files)
        monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
        limits = fitting(Limits())
        assert (limits.connections, limits.connections_per_address) == fitted
        assert raised in ([], [(min(1_000, files[1]), files[1])])
        assert [f"takes {fitted[0]} connections" in record.getMessage() for record in caplog.records] == (
            [] if limits == Limits() else [True]
        )


class TestTheLog:
    def test_repeated_lines_are_counted(self) -> None:
        written = io.StringIO()
        handler = logging.StreamHandler(written)
        log = logging.getLogger("memweld.tests.flood")
        log.addHandler(handler)
        try:
            with bounded_log():
                for number in range(5_000):
                    log.error("attempt %s", number, exc_info=OSError(errno.EMFILE, "Too many open files"))
                log.error("another line")
        finally:
            log.removeHandler(handler)
        assert written.getvalue().count("attempt") == 20
        assert "another line" in written.getvalue()

    def test_the_next_minute_says_how_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 0.0
        monkeypatch.setattr("memweld.mcp.log_limits.time.monotonic", lambda: now)
        bound = RepeatFilter(most=2)

        def record() -> logging.LogRecord:
            return logging.LogRecord("log", logging.ERROR, "file.py", 1, "attempt %s", (1,), None)

        assert [bound.filter(record()) for _ in range(5)] == [True, True, False, False, False]
        now = 61.0
        following = record()
        assert bound.filter(following)
        assert following.getMessage() == "attempt 1 (3 more lines like this were left out)"

    def test_invalid_requests_fill_no_log(self, port: int, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        for _ in range(40):
            client = opened(port, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")
            client.close()
        assert not any(record.exc_info for record in caplog.records)


class TestSecurityHeaders:
    @pytest.mark.parametrize("path", ["/health", "/nothing", "/memory/n/k", "/mcp"])
    def test_every_answer_has_them(self, port: int, path: str) -> None:
        headers = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers
        assert "server" not in headers

    def test_a_refused_host_has_them(self, port: int) -> None:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", headers={"host": "evil.example"}, trust_env=False)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (421, "nosniff")

    async def test_https_has_one_more(self) -> None:
        with connect("sqlite://") as backend:
            transport = httpx.ASGITransport(create_app(backend), client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
                assert "max-age=" in (await client.get("/health")).headers["strict-transport-security"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")
class TestUnixSocket:
    def test_a_backend_connects_through_it(self, tmp_path: Path) -> None:
        path = str(tmp_path / "m.sock")
        listening = listen_unix(path)
        assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        with pytest.raises(BackendUnavailableError, match="Another server listens"):
            listen_unix(path)
        listening.close()
        with listen_unix(path):  # The abandoned one is replaced.
            pass

    def test_another_file_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("mine")
        with pytest.raises(ConfigurationError, match="no socket"):
            listen_unix(str(path))
        assert path.read_text() == "mine"

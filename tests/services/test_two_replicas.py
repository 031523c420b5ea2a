"""Two stateless servers over one file, behind a proxy: what one writes the other reads, and either may go."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from memweld import MemweldError, connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HEADERS = {"accept": "application/json, text/event-stream"}
CLIENTS = 4


class Replica:
    """A `memweld serve --stateless` process on a port of its own, which it keeps when it is started again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "memweld", "serve", "--transport", "http", "--stateless"]
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port), "--url", self._url], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert ", serving http://127.0.0.1:" in said, said + self.process.stderr.read()
        self.port = int(said.rsplit(":", 1)[1].removesuffix("/mcp\n"))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send the signal; the exit code, and what it wrote to stderr besides its address."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


class Proxy:
    """Passes each connection on to the next of the replicas, and to another one where nobody listens.

    Attributes:
        port: Where it listens.
        served: How many connections each port was given.
    """

    def __init__(self, ports: list[int]) -> None:
        self._turns = itertools.cycle([ports, ports[::-1]])
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.served = dict.fromkeys(ports, 0)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in next(self._turns):
            try:
                opened = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            self.served[port] += 1
            return opened
        raise ConnectionRefusedError

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await self._dial()
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, ready: Callable[[], None], stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # One side is gone, which the other is told by the end of its stream.
    finally:
        writer.close()


@contextmanager
def proxied(replicas: list[Replica]) -> Iterator[Proxy]:
    """A proxy in a thread of its own."""
    proxy = Proxy([replica.port for replica in replicas])
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(proxy.run(ready.set, stop),), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive()
        loop.close()


@contextmanager
def running(url: str, count: int) -> Iterator[list[Replica]]:
    """So many servers over one database."""
    with ThreadPoolExecutor() as pool:
        started = list(pool.map(Replica, [url] * count))
    try:
        yield started
    finally:
        for replica in started:
            if replica.process.poll() is None:
                replica.end(signal.SIGKILL)


def call(address: str, tool: str, **arguments: Any) -> httpx.Response:
    """Call a tool, without a session and over a connection of its own."""
    params = {"name": tool, "arguments": {"user_id": "ana", **arguments}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return httpx.post(f"{address}/mcp", json=message, headers=HEADERS, timeout=120)


class Load:
    """Clients that store one preference after another while something happens to the servers.

    Attributes:
        acknowledged: The keys whose write was answered with success.
        failures: What the clients got instead.
    """

    def __init__(self, write: Callable[[str], str], *, calls: int) -> None:
        self._write = write
        self._keys = iter([f"key-{number}" for number in range(calls)])
        self._lock = threading.Lock()
        self._done = threading.Semaphore(0)
        self.acknowledged: list[str] = []
        self.failures: list[str] = []

    def _client(self) -> None:
        while True:
            with self._lock:
                key = next(self._keys, None)
            if key is None:
                return
            failure = self._write(key)
            if failure:
                self.failures.append(failure)
            else:
                self.acknowledged.append(key)
            self._done.release()

    def run(self, meanwhile: Callable[[Callable[[int], None]], None]) -> None:
        """Run it; ``meanwhile`` is given a function that waits for so many further calls to be over."""

        def wait(calls: int) -> None:
            for _ in range(calls):
                assert self._done.acquire(timeout=300)

        with ThreadPoolExecutor(CLIENTS) as clients:
            running = [clients.submit(self._client) for _ in range(CLIENTS)]
            meanwhile(wait)
            for client in running:
                client.result(timeout=600)


def bare(proxy: Proxy) -> Callable[[str], str]:
    """A client that does not try again."""

    def write(key: str) -> str:
        try:
            response = call(f"http://127.0.0.1:{proxy.port}", "set_preference", key=key, value=key)
        except httpx.TransportError as error:
            return type(error).__name__
        return "" if response.status_code == 200 and '"result"' in response.text else str(response.status_code)

    return write


@contextmanager
def remote(proxy: Proxy) -> Iterator[Callable[[str], str]]:
    """memweld's own client, which tries again."""
    with connect(f"http://127.0.0.1:{proxy.port}/mcp") as backend:
        preferences = backend.user("ana").preferences

        def write(key: str) -> str:
            try:
                preferences.set(key, key)
            except MemweldError as error:
                return str(error)
            return ""

        yield write


def lost(load: Load, replica: Replica) -> set[str]:
    """The keys that were acknowledged and that a server does not have."""
    with connect(f"{replica.address}/mcp") as backend:
        return set(load.acknowledged) - set(backend.user("ana").preferences.all())


class ReplicaScenarios:
    """Guarantees of stateless servers over one database; a subclass has a fixture ``replicas``.

    Attributes:
        calls: How many writes a load makes.
    """

    calls = 160

    def test_a_session_goes_on_in_another(self, replicas: list[Replica]) -> None:
        for turn in range(2 * len(replicas)):
            with connect(f"{replicas[turn % len(replicas)].address}/mcp") as backend:
                history = backend.user("ana").history("chat")
                history.add_user_message(f"turn {turn}")
                assert [message.content for message in history.messages()] == [f"turn {n}" for n in range(turn + 1)]

    def test_a_killed_replica_takes_no_acknowledged_write_along(self, replicas: list[Replica]) -> None:
        with proxied(replicas) as proxy:
            load = Load(bare(proxy), calls=self.calls)

            def kill(wait: Callable[[int], None]) -> None:
                wait(self.calls * 3 // 8)
                replicas[0].end(signal.SIGKILL)

            load.run(kill)
        assert len(load.failures) <= CLIENTS  # The calls under way in it, and no later one.
        assert len(load.acknowledged) + len(load.failures) == self.calls
        assert not lost(load, replicas[1])
        replicas[0].start()
        assert not lost(load, replicas[0])

    def test_a_rolling_restart_is_not_seen_by_our_client(self, replicas: list[Replica]) -> None:
        with proxied(replicas) as proxy, remote(proxy) as write:
            load = Load(write, calls=self.calls)

            def restart(wait: Callable[[int], None]) -> None:
                for replica in replicas:
                    wait(self.calls // 8)
                    assert replica.end() == (0, "")
                    replica.start()

            load.run(restart)
        assert not load.failures
        assert len(load.acknowledged) == self.calls
        assert not lost(load, replicas[0])


@pytest.mark.exhaustive
class TestTwoReplicas(ReplicaScenarios):
    @pytest.fixture
    def replicas(self, tmp_path: Path) -> Iterator[list[Replica]]:
        with running(f"sqlite:///{tmp_path / 'memory.db'}", 2) as started:
            yield started

    def test_any_replica_serves_any_call(self, replicas: list[Replica]) -> None:
        with proxied(replicas) as proxy:
            write = bare(proxy)
            assert [write(key) for key in ("a", "b", "c", "d")] == [""] * 4
            assert list(proxy.served.values()) == [2, 2]
        assert all(replica.end() == (0, "") for replica in replicas)

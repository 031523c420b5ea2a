"""Acknowledged writes survive a dead server and a fork; for clients that die see tests/reliability."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from servers import PostgresServer

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))

import sound  # pyright: ignore[reportMissingImports]
import writer  # pyright: ignore[reportMissingImports]

from memweld import Backend, BackendUnavailableError, connect
from memweld.testing import HashEmbedder

# multiprocessing forks its processes through a Unix socket.
pytestmark = [pytest.mark.services, pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.make_database()


@pytest.fixture
def url(database: str, tmp_path: Path) -> str:
    return f"{database}?schema=t{abs(hash(tmp_path))}&pool_size=8"


def check_tables(url: str) -> None:
    """Nothing in the tables contradicts anything else."""
    place, _, schema = url.partition("?schema=")
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {schema.partition('&')[0]}, public".encode())
        sound.check_tables(lambda sql: connection.execute(sql.encode()).fetchall())


class Load:
    """Threads that write until they are told to stop; what was acknowledged, and what was not."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._stop = threading.Event()
        self.acknowledged: list[tuple[str, str, str]] = []
        self.failures: list[BaseException] = []
        self.longest = 0.0
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(8)]

    def _work(self, number: int) -> None:
        memory = self._backend.user(f"user-{number % 4}")
        for each in range(100_000):
            if self._stop.is_set():
                return
            text = f"{number} writes {each}"
            writes = {
                "item": lambda text=text: memory.add(text),
                "message": lambda text=text: memory.history("s").append(text),
                "value": lambda text=text: memory.state("n").set(text, text),
            }
            kind = list(writes)[each % 3]
            begun = time.monotonic()
            try:
                writes[kind]()
            except BaseException as error:
                self.failures.append(error)
            else:
                self.acknowledged.append((f"user-{number % 4}", kind, text))
            self.longest = max(self.longest, time.monotonic() - begun)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait(self, more: int) -> None:
        """Until so many more writes are acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + 60
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, self.failures[-3:]
            time.sleep(0.01)

    def lost(self) -> set[tuple[str, str, str]]:
        """The acknowledged writes that are not there."""
        held: set[tuple[str, str, str]] = set()
        for user in {user for user, _, _ in self.acknowledged}:
            memory = self._backend.user(user)
            held |= {(user, "item", item.text) for item in memory.all(limit=10_000)}
            held |= {(user, "message", message.text) for message in memory.history("s").messages()}
            held |= {(user, "value", key) for key in memory.state("n")}
        return set(self.acknowledged) - held


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_goes_and_comes_back_under_load(postgres: PostgresServer, url: str, how: str) -> None:
    """Clear errors for what was under way, nothing acknowledged is lost, and the same backend works on."""
    with connect(url, embedder=HashEmbedder(writer.DIMENSIONS)) as backend:
        with Load(backend) as load:
            for _ in range(2):
                load.wait(100)
                postgres.kill() if how == "kill" else postgres.stop()
                time.sleep(0.3)
                postgres.start()
            load.wait(100)
        assert {type(error) for error in load.failures} <= {BackendUnavailableError}, load.failures
        assert load.longest < 40
        assert not load.lost()
        failed = len(load.failures)
        with Load(backend) as after:
            after.wait(100)
        assert not after.failures
    assert failed <= 3 * 8 * 2, "only what was under way fails"
    check_tables(url)


def test_a_server_that_is_gone(postgres: PostgresServer, url: str) -> None:
    """A new connection says at once that it is not there; and nothing needs to be made anew when it is back."""
    with connect(url) as backend:
        postgres.stop()
        try:
            begun = time.monotonic()
            with pytest.raises(BackendUnavailableError, match="cannot be reached") as caught:
                backend.user("ana").all()
            assert time.monotonic() - begun < 12, "it does not wait for a connection"
            assert "\n" not in str(caught.value)
        finally:
            postgres.start()
        assert backend.user("ana").all() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_connections_of_its_own(url: str) -> None:
    """Parent and child go on with one backend object, and neither disturbs the other's sessions."""
    with connect(url, embedder=HashEmbedder()) as backend:
        memory = backend.user("ana")
        memory.add("before")
        child = os.fork()
        if child == 0:
            try:
                memory.add("in the child")
                os._exit(0 if len(memory.all()) >= 2 else 1)
            except BaseException:
                os._exit(2)
        for number in range(5):
            memory.add(f"in the parent {number}")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert {item.text for item in memory.all()} == {
            "before",
            "in the child",
            *(f"in the parent {number}" for number in range(5)),
        }

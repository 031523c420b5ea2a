"""On Postgres, too: what was acknowledged stays, whoever is killed, and whoever writes at the same time."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers import PostgresServer

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))

import oracle  # pyright: ignore[reportMissingImports]
import writer  # pyright: ignore[reportMissingImports]

from memweld import Backend, BackendUnavailableError, connect
from memweld.testing import HashEmbedder

# multiprocessing forks its processes through a Unix socket.
pytestmark = [pytest.mark.services, pytest.mark.enable_socket]

USER = "ana@example.com"
PROCESSES, THREADS, ROUNDS = 4, 4, 12


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.make_database()


@pytest.fixture
def url(database: str, tmp_path: Path) -> str:
    return f"{database}?schema=t{abs(hash(tmp_path))}&pool_size=8"


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    place, _, schema = url.partition("?schema=")
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {schema.partition('&')[0]}, public".encode())
        return connection.execute(sql.encode()).fetchall()


def check_tables(url: str) -> None:
    """Nothing in the tables contradicts anything else."""
    assert rows(url, "SELECT id FROM items WHERE root != (SELECT root FROM owners WHERE owners.id = owner)") == []
    assert rows(url, "SELECT id FROM items i WHERE stamp > (SELECT version FROM owners WHERE id = i.root)") == []
    items, values = "SELECT id FROM items WHERE kind = 'record'", "SELECT record FROM state WHERE record IS NOT NULL"
    assert rows(url, f"({items} EXCEPT {values}) UNION ALL ({values} EXCEPT {items})") == []
    counted = "SELECT s.id, count(m.seq) FROM sessions s LEFT JOIN messages m ON m.session = s.id GROUP BY s.id"
    assert rows(url, f"SELECT id, messages FROM sessions EXCEPT {counted}") == []


def rest(hears: Connection) -> list[tuple[str, dict[str, Any]]]:
    heard: list[Any] = []
    try:
        while True:
            heard.append(hears.recv())
    except EOFError:
        return heard


def test_a_client_that_is_killed(url: str) -> None:
    """Whatever it was doing happened whole or not at all, and what it had acknowledged is there."""
    chance = random.Random(1)
    model, number, unfinished = oracle.empty(), 0, 0
    with writer.connect(url) as backend:
        backend.user("bob").add("bob's fact")
        for each in range(20):
            process, hears = writer.start(writer.write, url, USER, chance.getrandbits(32), number)
            heard = [hears.recv() for _ in range(chance.randint(1, 40))]
            time.sleep(chance.random() * 0.01)
            writer.kill(process)
            heard += rest(hears)
            allowed = [model]
            for word, op in heard:
                steps = oracle.foretell(allowed[0], op)
                allowed = [allowed[0], *steps] if word == "begun" else [steps[-1]]
            number += sum(word == "begun" for word, _ in heard)
            unfinished += len(allowed) > 1
            # The lock of the dead is Postgres's to release: this write waits for it.
            backend.user(USER).history("wait").append("wait")
            backend.user(USER).history("wait").clear()
            model = oracle.read(backend.user(USER))
            assert model in allowed, (each, model, allowed)
            check_tables(url)
            texts = sorted(hit.text for hit in backend.user(USER).search("fact operation", limit=10_000))
            assert texts == sorted(text for _, _, text in model["items"])
        assert [item.text for item in backend.user("bob").all()] == ["bob's fact"]
    assert unfinished > 3, "the kills must hit operations under way"


def crowd(url: str, process: int, says: Connection) -> None:
    """Four threads that write for the same two users as everybody else; what was acknowledged is said."""
    backend = connect(url, embedder=HashEmbedder(writer.DIMENSIONS))

    def work(thread: int) -> list[tuple[str, str]]:
        me, said = f"{process}-{thread}", []
        for number in range(ROUNDS):
            user = ("ana", "bob")[number % 2]
            memory = backend.user(user)
            memory.history("s").append(f"{me} {number}")
            memory.state("n").update("count", lambda value: value + 1, default=0)
            (item,) = memory.add(f"fact {me} {number}")
            memory.add("what everybody says")
            memory.preferences.set("last", me)
            assert item.id in {hit.id for hit in memory.search(f"fact {me} {number}", limit=50)}
            if number % 3 == 0:
                memory.delete(item.id)
            elif number % 3 == 1:
                memory.update(item.id, f"changed {me} {number}")
                said.append((user, f"changed {me} {number}"))
            else:
                said.append((user, f"fact {me} {number}"))
        return said

    with backend, ThreadPoolExecutor(THREADS) as pool:
        says.send([each for found in pool.map(work, range(THREADS)) for each in found])


def test_four_processes_with_four_threads_each(url: str) -> None:
    """Nothing is lost, doubled or out of order; what everybody says at once is kept once."""
    started = [writer.start(crowd, url, process) for process in range(PROCESSES)]
    said = [each for _, hears in started for each in hears.recv()]
    for process, _ in started:
        process.join(30)
        assert process.exitcode == 0
    with connect(url, embedder=HashEmbedder(writer.DIMENSIONS)) as backend:
        for user in ("ana", "bob"):
            memory = backend.user(user)
            mine = sorted([text for whose, text in said if whose == user] + ["what everybody says"])
            assert sorted(item.text for item in memory.all(limit=10_000, kinds="item")) == mine
            found = memory.search("fact changed everybody", limit=10_000, kinds="item")
            assert sorted(hit.text for hit in found) == mine
            assert memory.state("n")["count"] == PROCESSES * THREADS * ROUNDS // 2
            messages = [message.text.split() for message in memory.history("s").messages()]
            assert len(messages) == PROCESSES * THREADS * ROUNDS // 2
            for me in {who for who, _ in messages}:
                numbers = [int(number) for who, number in messages if who == me]
                assert numbers == sorted(numbers)
    check_tables(url)


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
        """What was acknowledged and is not there."""
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
            assert time.monotonic() - begun < 5
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

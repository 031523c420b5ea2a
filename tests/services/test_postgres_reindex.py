"""Changing the embedder of a Postgres memory: resumed, beside others, for vectors of another length, and for whom."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from servers import PostgresServer
from typer.testing import CliRunner

import memweld
from memweld import Backend, BackendUnavailableError, ConfigurationError
from memweld.cli import app
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.services

OLD, NEW = 16, 32
REFUSED = "connect with the embedder of the file, or run `memweld reindex`"


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.make_database()


Connect = Callable[..., Backend]


@pytest.fixture
def connect(url: str, request: pytest.FixtureRequest) -> Connect:
    def connect(embedder: int | HashEmbedder, options: str = "") -> Backend:
        made = HashEmbedder(embedder) if isinstance(embedder, int) else embedder
        backend = memweld.connect(f"{url}?pool_size=8{options}", embedder=made)
        request.addfinalizer(backend.close)
        return backend

    return connect


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET search_path TO memweld, public")
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def fill(backend: Backend, count: int = 150) -> None:
    for user in ("ana", "bob"):
        turn = [{"role": "user", "content": f"{user} has fact number {number}"} for number in range(count // 2)]
        backend.user(user).add(turn)
    backend.user("ana").preferences.set("theme", "dark")
    backend.user("ana").state("n").set("k", 1, text="a record of ana")


def check_vectors(url: str, dimensions: int) -> None:
    """Every row has the vector of what it says, and nothing is left of the change."""
    model = HashEmbedder(dimensions)
    for text, vector in rows(url, "SELECT text, vector::text FROM items"):
        wanted = np.array(model.embed_query(text), dtype="<f4")
        held = np.array(vector.strip("[]").split(","), dtype="<f4")
        assert held.shape == wanted.shape, text
        assert np.allclose(held, wanted / np.linalg.norm(wanted), atol=1e-5), text
    assert rows(url, "SELECT count(*) FROM items WHERE next_vector IS NOT NULL") == [(0,)]
    assert rows(url, "SELECT key FROM meta WHERE key = 'reindex'") == []


def test_vectors_of_another_length(url: str, connect: Connect) -> None:
    """Refused before, done with progress, refused to the old one afterwards; and back again."""
    old, new = connect(OLD), connect(NEW)
    fill(old)
    with pytest.raises(ConfigurationError, match=REFUSED):
        new.user("ana").search("fact 7")
    told: list[tuple[int, int]] = []
    assert new.admin.reindex(lambda done, total: told.append((done, total))) == 152
    assert told[-1] == (152, 152)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    check_vectors(url, NEW)
    assert new.user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    assert new.user("ana").preferences.get("theme") == "dark"
    assert new.admin.reindex() == 0
    for call in (lambda: old.user("ana").search("fact 7"), lambda: old.user("ana").add("late")):
        with pytest.raises(ConfigurationError, match=REFUSED):
            call()
    assert old.admin.reindex() == 152
    check_vectors(url, OLD)
    assert old.user("bob").search("fact number 9", limit=1)[0].text == "bob has fact number 9"
    assert connect(HashEmbedder(8), "&schema=other").admin.reindex() == 0, "nothing is there yet"


def test_the_index_follows(url: str, connect: Connect) -> None:
    """Users who are searched by HNSW are, by an index for the new length, which a search fills."""
    old, new = connect(OLD, "&exact_below=0"), connect(NEW, "&exact_below=0")
    fill(old)

    def indexed(backend: Backend) -> str:
        for user in ("ana", "bob"):
            found = backend.user(user).search(f"{user} has fact number 7", limit=3)
            assert found[0].text == f"{user} has fact number 7"
        for _ in range(1_200):
            if rows(url, "SELECT bool_and(wide) FROM owners WHERE id = root") == [(True,)]:
                break
            threading.Event().wait(0.05)
        assert rows(url, "SELECT bool_and(wide) FROM items") == [(True,)]
        ((definition,),) = rows(url, "SELECT indexdef FROM pg_indexes WHERE indexname = 'items_by_vector'")
        assert backend.user("bob").search("bob has fact number 9", limit=1)[0].text == "bob has fact number 9"
        return definition

    assert f"vector({OLD})" in indexed(old)
    # Somebody who reads meanwhile still sees the rows of the old length.
    with psycopg.connect(url) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM pg_class")
        assert new.admin.reindex() == 152
    assert rows(url, "SELECT count(*) FROM items WHERE wide") == [(0,)]
    assert f"vector({NEW})" in indexed(new)


def test_writes_meanwhile(url: str, connect: Connect) -> None:
    """The embedder before works on while vectors are made; while they change places, what needs one is refused."""
    old, new = connect(OLD), connect(NEW)
    fill(old, 400)
    ana = old.user("ana")
    (doomed,), (changed,) = ana.add("to be deleted"), ana.add("to be changed")
    open_rounds = closed_rounds = 0

    def meddle(done: int, total: int) -> None:
        nonlocal open_rounds, closed_rounds
        if done < total // 2 and open_rounds < 3:
            open_rounds += 1
            ana.add(f"written in round {open_rounds}")
            ana.update(changed.id, f"changed in round {open_rounds}")
            ana.preferences.set("theme", f"of round {open_rounds}")
            assert ana.search("written in round", limit=1)
        elif done > 0.75 * total:
            closed_rounds += 1
            for backend in (old, new):
                memory = backend.user("ana")
                for call in (
                    lambda memory=memory: memory.search("fact"),
                    lambda memory=memory: memory.add("too early"),
                    lambda memory=memory: memory.update(changed.id, "too early"),
                    lambda memory=memory: memory.state("n").set("k", 2, text="too early"),
                ):
                    with pytest.raises(ConfigurationError, match=r"is being given the embedder .* try again when"):
                        call()
            assert ana.get(changed.id).text == "changed in round 3"
            if closed_rounds == 1:
                ana.delete(doomed.id)
            ana.history("s").append("still written")
            ana.state("n")["k"] = closed_rounds

    new.admin.reindex(meddle)
    assert open_rounds == 3
    assert closed_rounds > 0
    check_vectors(url, NEW)
    texts = {hit.text for hit in new.user("ana").search("round written changed", limit=1000)}
    assert {"written in round 1", "written in round 3", "changed in round 3"} <= texts
    assert not {"to be deleted", "too early"} & texts
    assert len(new.user("ana").history("s").messages()) == closed_rounds


def test_under_load(url: str, connect: Connect) -> None:
    """Eight threads write all the while: each write is kept with the right vector, or refused; none fails otherwise."""
    old, new = connect(OLD), connect(NEW)
    fill(old, 600)
    kept: list[tuple[str, str]] = []
    failures: list[Exception] = []
    stop = threading.Event()

    def work(number: int) -> None:
        user = f"user-{number % 3}"
        memory = old.user(user)
        for step in range(100_000):
            if stop.is_set():
                return
            try:
                (item,) = memory.add(f"{number} says {step}")
                kept.append((user, f"{number} says {step}"))
                if step % 3 == 0:
                    memory.update(item.id, f"{number} changed {step}")
                    kept[kept.index((user, f"{number} says {step}"))] = (user, f"{number} changed {step}")
                if step % 5 == 0:
                    memory.search("says", limit=3)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        while len(kept) <= 50:
            assert time.monotonic() < deadline, failures[:3]
            time.sleep(0.01)
        assert new.admin.reindex() > 600
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert {type(error) for error in failures} <= {ConfigurationError}, failures[:3]
    for user in {user for user, _ in kept}:
        texts = {item.text for item in new.user(user).all(limit=10_000)}
        assert {text for whose, text in kept if whose == user} <= texts
    check_vectors(url, NEW)


KILLED = """
import os, signal, sys, memweld
from memweld.testing import HashEmbedder
backend = memweld.connect(sys.argv[1], embedder=HashEmbedder(32))
backend.admin.reindex(lambda done, total: os.kill(os.getpid(), signal.SIGKILL) if done >= int(sys.argv[2]) else None)
"""


def kill(url: str, done: int) -> None:
    """Let a process die after so much of its work."""
    command = [sys.executable, "-c", KILLED, url, str(done)]
    killed = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr


@pytest.mark.parametrize("done", [60, 700, 1000])
def test_killed_half_way_it_continues(url: str, connect: Connect, done: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While vectors are made, and while they change places; what was made is not made again."""
    fill(connect(OLD), 1200)
    kill(url, done)
    if done < 600:
        assert connect(OLD).user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    else:
        with pytest.raises(ConfigurationError, match="run it again with this embedder"):
            connect(OLD).user("ana").search("fact number 7")
    again: list[str] = []
    plain = HashEmbedder.embed_documents
    monkeypatch.setattr(HashEmbedder, "embed_documents", lambda self, texts: again.extend(texts) or plain(self, texts))
    assert connect(NEW).admin.reindex() == 1202
    assert len([text for text in again if text != "memory"]) <= 1202 - min(2 * done, 1202)
    check_vectors(url, NEW)


def test_another_one_takes_over_what_was_interrupted(url: str, connect: Connect) -> None:
    """In the middle of the exchange, when there are vectors of two lengths."""
    fill(connect(OLD), 1200)
    kill(url, 1000)
    third = connect(24)
    assert third.admin.reindex() == 1202
    check_vectors(url, 24)
    assert third.user("bob").search("fact number 9", limit=1)[0].text == "bob has fact number 9"


def test_two_at_once(url: str, connect: Connect) -> None:
    """One of them notices; for the same embedder both go on."""
    fill(connect(OLD))
    third = connect(24)
    with pytest.raises(ConfigurationError, match="reindexes"):
        connect(NEW).admin.reindex(lambda _done, _total: third.admin.reindex())
    check_vectors(url, 24)


def test_erased_meanwhile(url: str, connect: Connect) -> None:
    old = connect(OLD)
    fill(old)

    def stop(done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        connect(NEW).admin.reindex(stop)
    assert rows(url, "SELECT count(*) FROM items WHERE next_vector IS NOT NULL") == [(64,)]
    old.user("ana").erase()
    assert rows(url, "SELECT count(*) FROM items WHERE next_vector IS NOT NULL") == [(0,)]
    assert connect(NEW).admin.reindex() == 75


def test_a_failing_embedder_leaves_the_old_vectors(url: str, connect: Connect) -> None:
    class Failing(HashEmbedder):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise TimeoutError("the model is tired")

    old = connect(OLD)
    fill(old)
    with pytest.raises(BackendUnavailableError, match="tired"):
        connect(Failing(NEW)).admin.reindex()
    assert old.user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
    assert old.admin.reindex() == 0, "who stays with the old one clears up"
    check_vectors(url, OLD)


def test_row_level_security(url: str, connect: Connect) -> None:
    """The error for a role that sees one user at a time names a role that may; a role that sees all does it for all."""
    rows(url, "CREATE ROLE seer LOGIN")
    owner = connect(OLD)
    fill(owner)
    owner.admin.migrate(role="seer")
    seer = url.replace("postgres@", "seer@")
    with (
        memweld.connect(f"{seer}?rls=1", embedder=HashEmbedder(NEW)) as backend,
        pytest.raises(
            ConfigurationError, match=r"row-level security .* change of the embedder is for all: use the URL"
        ),
    ):
        backend.admin.reindex()
    assert connect(NEW).admin.reindex() == 152
    with memweld.connect(f"{seer}?rls=1", embedder=HashEmbedder(NEW)) as backend:
        assert backend.user("ana").search("fact number 7", limit=1)[0].text == "ana has fact number 7"
        assert backend.user("ana").add("as before")
    check_vectors(url, NEW)


def test_the_command(url: str) -> None:
    with memweld.connect(url, embedder=HashEmbedder(OLD)) as backend:
        fill(backend, 4)
    run = CliRunner()
    done = run.invoke(app, ["reindex", "--url", url, "--embedder", "static"])
    assert (done.exit_code, done.stdout) == (0, "Embedded 6 memories again.\n"), done.output
    assert "fact number 1" in run.invoke(app, ["search", "fact", "--user", "ana", "--url", url]).stdout

"""After an erasure no byte of the user is left: searched for in the raw files, in every form it could have.

A file is overwritten at once. Postgres has no row of the user any more, and no byte in its tables' files once these are
written anew (``VACUUM FULL``); its write-ahead log and its backups are not ours to promise.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import struct
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest
import writer
from places import Place
from sound import DIMENSIONS

import memweld
from memweld.engine.sqlite.transactions import SqliteDatabase
from memweld.testing import HashEmbedder, ScriptedExtractor, facts
from memweld.testing.backends.restore import same_export

pytestmark = pytest.mark.enable_socket  # multiprocessing forks its processes through a Unix socket

USER = "ana-the-erased@example.com"
# Each stands in another place, and nowhere else.
SECRETS = {
    "fact": "zanzibar",
    "past text": "kilimanjaro",
    "deleted": "marzipan",
    "extracted": "quetzalcoatl",
    "metadata key": "mdkeyxylograph",
    "metadata": "mdvalueobsidian",
    "session of a fact": "sessiontumbleweed",
    "preference key": "prefkeyaardvark",
    "preference": "prefvaluebergamot",
    "task": "taskcalliope",
    "outcome": "outcomedandelion",
    "namespace": "namespaceerebus",
    "state key": "statekeyfandango",
    "state": "statevaluegargoyle",
    "past state": "pastvaluehyacinth",
    "record": "recordibex",
    "ended": "endedjabberwock",
    "session": "sessionkookaburra",
    "message": "messageleviathan",
    "past message": "pastmessagemandrake",
    "cleared": "clearednarwhal",
    "name": "nameocelot",
    "tool": "toolpapaya",
    "call": "callquinoa",
    "argument": "argumentrhubarb",
    "native": "nativesassafras",
    "part": "parttarantula",
    "agent": "agentumbrella",
    "agent's fact": "agentfactvermilion",
    "user": USER,
}


def secret(backend: memweld.Backend) -> memweld.Memory:
    """A user with something in every place that there is; some of it changed or deleted before."""
    s = SECRETS
    ana = backend.user(USER)
    item = ana.add(
        f"I was born in {s['past text']}",
        infer=False,
        metadata={s["metadata key"]: s["metadata"]},
        session_id=s["session of a fact"],
    )[0]
    ana.update(item.id, f"I was born in {s['fact']}")
    ana.add("I pray to the feathered one")  # the scripted LLM extracts it
    ana.delete(ana.add(f"My {s['deleted']} is stolen", infer=False)[0].id)
    ana.add([{"role": "user", "content": "I have a name", "name": s["name"]}], infer=False)
    ana.preferences.set(s["preference key"], {"likes": s["preference"]})
    ana.tasks.record(s["task"], outcome=s["outcome"])
    state = ana.state(s["namespace"])
    state[s["state key"]] = s["past state"]
    state[s["state key"]] = {"deep": [s["state"]]}
    state.set("r", 1, text=f"A record about {s['record']}")
    state.set("e", s["ended"], ttl=0.001)
    history = ana.history(s["session"])
    history.append({"id": "1", "role": "user", "content": s["past message"]})
    calls = [{"id": s["call"], "name": s["tool"], "arguments": {"a": s["argument"]}}]
    history.append(
        [
            {"id": "1", "role": "user", "content": s["message"], "name": s["name"]},
            {"id": "2", "role": "assistant", "content": "", "tool_calls": calls},
            {"id": "3", "role": "tool", "content": [{"type": "text", "text": s["part"]}], "tool_call_id": s["call"]},
            {"id": "4", "role": "user", "content": "x", "native": {"framework": "f", "message": {"m": s["native"]}}},
        ]
    )
    ana.history("other").append(s["cleared"])
    ana.history("other").clear()
    backend.user(USER, agent_id=s["agent"]).add("noted: " + s["agent's fact"], infer=False)
    _entity(backend, f"the entity {s['fact']}")
    return ana


def _entity(backend: memweld.Backend, text: str) -> None:
    """As mem0 stores one where spaCy is installed."""
    database, scope = backend._engine._database, backend.user(USER).scope  # type: ignore[attr-defined]
    with database.writing(scope) as connection:
        owner = connection.execute("SELECT id FROM owners WHERE user_id = ? AND agent_id = ''", (USER,)).fetchone()[0]
        row = ("e", owner, json.dumps({"data": text}), struct.pack(f"<{DIMENSIONS}f", *vector_of(text)))
        connection.execute("INSERT INTO entities (id, owner, payload, vector) VALUES (?, ?, ?, ?)", row)


def vector_of(text: str) -> list[float]:
    return HashEmbedder(DIMENSIONS).embed_query(text)


def others(backend: memweld.Backend, users: int = 20) -> None:
    chance = random.Random(3)
    for number in range(users):
        memory = backend.user(f"user {number}")
        for part in range(10):
            memory.add(f"fact {part} about tea and {chance.getrandbits(32):x}", infer=False)
        memory.state("n")["k"] = "x" * 5000
        memory.history("s").append([{"role": "user", "content": "hello"}] * 3)


def traces(held: bytes) -> list[str]:
    """Which secrets are there: as text of either width, in any case."""
    held = held.lower()
    found = []
    for place, word in SECRETS.items():
        # The keyword index keeps stems and leaves out what a word has in common with its neighbour.
        forms = [word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"), word[-7:-1].encode()]
        found += [place] if any(form in held for form in forms) else []
    return found


def fingerprints(backend: memweld.Backend) -> list[bytes]:
    """Of each of the user's items the vector, the hash of the text and the id, as they stand in files."""
    database, scope = backend._engine._database, backend.user(USER).scope  # type: ignore[attr-defined]
    with database.reading(scope) as connection:
        rows = connection.execute(
            "SELECT vector, hash, items.id FROM items JOIN owners ON owners.id = owner WHERE user_id = ?", (USER,)
        ).fetchall()
    return [each if isinstance(each, bytes) else each.encode() for row in rows for each in row]


def connect(place: Place) -> memweld.Backend:
    return place.connect(llm=ScriptedExtractor([facts(f"The user prays to {SECRETS['extracted']}")]))


def test_no_trace_is_left(place: Place) -> None:
    with connect(place) as backend:
        others(backend)
        ana = secret(backend)
        everywhere = [name for name in SECRETS if name not in ("past state", "past message", "deleted")]
        assert set(everywhere) - set(traces(place.rows())) <= {"ended", "cleared"}, "the search must find what is there"
        marks = fingerprints(backend)
        assert len(marks) == 27
        held = place.raw()
        assert all(mark in held for mark in marks)
        before = [backend.user(f"user {number}").export() for number in range(20)]
        rows = ana.export()
        receipt = ana.erase()
        assert receipt.overwritten is place.overwrites
        assert traces(place.rows()) == []
        place.reclaim()
        held = place.raw()
        assert traces(held) == []
        assert not any(mark in held for mark in marks)
        expected = {"items": len(rows["items"]), "messages": len(rows["messages"]), "sessions": len(rows["sessions"])}
        assert {store: receipt.counts[store] for store in expected} == expected
        assert receipt.counts["items"] == 9, "one of them is the earlier text"
        assert receipt.counts["entities"] == 1
        assert receipt.counts["values"] in (2, 3), "what has expired may still be there to be erased"
        assert ana.export()["items"] == ana.search("born", limit=100) == []
        for number, export in enumerate(before):
            memory = backend.user(f"user {number}")
            assert same_export(memory.export(), export)
            assert len(memory.search("tea", limit=100)) == 10
    assert traces(place.raw()) == []
    place.check()


def test_what_was_exported_is_all_that_comes_back(place: Place, make_place: Callable[[str], Place]) -> None:
    """Into the place where it was, and into another backend, from which it can be erased as well."""
    elsewhere = make_place("file")
    with connect(place) as backend, connect(elsewhere) as other:
        ana = secret(backend)
        time.sleep(0.01)
        exported = json.loads(json.dumps(ana.export()))
        hits = [(hit.id, hit.text) for hit in ana.search("born prays record", limit=50)]
        ana.erase()
        for memory, overwritten in ((ana, place.overwrites), (other.user(USER), True)):
            memory.restore(exported)
            assert same_export(memory.export(), exported)
            assert [(hit.id, hit.text) for hit in memory.search("born prays record", limit=50)] == hits
            assert memory.erase().overwritten is overwritten
    assert traces(place.rows()) == traces(elsewhere.raw()) == []


def test_a_part_of_a_user(place: Place) -> None:
    with connect(place) as backend:
        secret(backend)
        agent = backend.user(USER, agent_id=SECRETS["agent"])
        assert agent.erase().counts["items"] == 1
        left = set(traces(place.rows()))
        assert not {"agent", "agent's fact"} & left
        assert {"fact", "user", "message"} <= left


def test_while_somebody_reads(make_place: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that began before keeps its view; the receipt says so, and the next checkpoint overwrites."""
    monkeypatch.setattr("memweld.engine.sql.erase._PATIENCE_SECONDS", 0.1)
    place = make_place("file")
    with connect(place) as backend:
        ana = secret(backend)
        reader = sqlite3.connect(place.file, isolation_level=None)
        reader.execute("BEGIN")
        count = reader.execute("SELECT count(*) FROM items").fetchone()
        receipt = ana.erase()
        assert not receipt.overwritten
        assert ana.all() == ana.search("born") == []
        assert reader.execute("SELECT count(*) FROM items").fetchone() == count
        bob = backend.user("bob").state("n")
        bob["k"] = 1
        assert traces(place.raw()), "somebody still reads it"
        reader.close()
        bob["k"] = 2
        assert traces(place.raw()) == [], "the next write overwrites it"


def crowd(backend: memweld.Backend, seed: int, steps: int) -> memweld.Memory:
    """Users whose rows of all sizes stand among each other, so that pages are split, joined and made room in."""
    chance = random.Random(seed)
    ana = backend.user(USER)
    everybody = [ana, ana, backend.user(USER, agent_id=SECRETS["agent"]), *(backend.user(f"u{n}") for n in range(4))]
    marks = [*SECRETS.values()]
    for _ in range(steps):
        memory = chance.choice(everybody)
        mine = memory.user_id == USER
        word = chance.choice(marks) if mine else "somethingelse"
        text = " ".join([word, str(chance.random())] * chance.choice([1, 3, 10, 40, 100]))
        key = f"{word}{chance.randrange(100)}"
        match chance.randrange(10):
            case 0 | 1 | 2:
                memory.state(chance.choice(marks) if mine else "n").set(key, text)
            case 3 | 4 | 5:
                memory.history(word).append({"role": "user", "content": text, "name": word})
            case 6:
                memory.history(word).clear()
            case 7:
                memory.preferences.set(key, text)
            case 8:
                memory.add(text, infer=False, session_id=word)
            case _:
                held = memory.all(kinds=["item"], limit=3)
                for item in held[:1]:
                    memory.update(item.id, text)
                for item in held[1:]:
                    memory.delete(item.id)
    return ana


@pytest.mark.parametrize("seed", range(4))
def test_copies_that_moves_within_the_file_left_behind(make_place: Callable[[str], Place], seed: int) -> None:
    """SQLite zeroes the cells that it deletes, not the copies that splitting a page left in its unused part."""
    place = make_place("file")
    with connect(place) as backend:
        ana = crowd(backend, seed, 900)
        # Without vectors: in 16 dimensions those of two texts may be equal.
        marks = [mark for number, mark in enumerate(fingerprints(backend)) if number % 3]
        assert len(marks) > 30
        assert len(traces(place.raw())) > 20
        others = [backend.user(f"u{number}").export() for number in range(4)]
        assert ana.erase().overwritten
        for number, export in enumerate(others):
            assert same_export(backend.user(f"u{number}").export(), export)
            assert backend.user(f"u{number}").search("somethingelse")
        assert traces(place.raw()) == []
        held = place.raw()
        assert not any(mark in held for mark in marks)
    assert traces(place.raw()) == []
    place.check()


@pytest.mark.parametrize("who", ["an opening", "a write", "an erasure"])
def test_no_room_to_overwrite(make_place: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """The receipt says so, and it is made up for: by the next process, a later write, or the next erasure."""

    def full(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    place = make_place("file")
    with connect(place) as backend, connect(place) as server:
        server.user("bob").state("n")["k"] = 1
        crowd(backend, 1, 300)
        with monkeypatch.context() as patch:
            patch.setattr("memweld.engine.sqlite.vacuum._rewrite", full)
            assert not backend.user(USER).erase().overwritten
            assert backend.user(USER).all() == []
            server.user("bob").state("n")["k"] = 2
        assert traces(place.raw())
        if who == "an erasure":
            assert server.user("u1").erase().overwritten
        deadline = time.monotonic() + 60
        # Neither an opening nor a write waits for the other backend, which cuts the log each second.
        while traces(place.raw()) and who != "an erasure":
            assert time.monotonic() < deadline
            if who == "an opening":
                with connect(place) as opened:
                    assert opened.user("bob").state("n")["k"] == 2
            else:
                for each in (server, backend):
                    each._engine._database._retry_at = 0.0  # type: ignore[attr-defined]
                server.user("bob").state("n")["k"] = 3
        assert traces(place.raw()) == []


def die_after_erasing(url: str, says: Connection) -> None:
    """Die when the rows are gone and the file is not overwritten."""
    SqliteDatabase.vacuum = lambda *_: os.kill(os.getpid(), 9)  # type: ignore[assignment]
    with writer.connect(url) as backend:
        backend.user(USER).erase()
    says.send("alive")


def test_killed_before_it_is_overwritten(make_place: Callable[[str], Place]) -> None:
    """A server that keeps the file open notices at its next write, and does it."""
    place = make_place("file")
    with connect(place) as server:
        crowd(server, 2, 300)
        process, _ = writer.start(die_after_erasing, place.url)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert traces(place.raw())
        server.user("bob").state("n")["k"] = 1
        assert traces(place.raw()) == []
        assert server.user(USER).all() == []


def die_while_erasing(url: str, statements: int, says: Connection) -> None:
    """Die in the middle of an erasure, after so many of its statements."""
    with writer.connect(url) as backend, watched(backend, statements, lambda: os.kill(os.getpid(), 9)):
        backend.user(USER).erase()
    says.send("alive")


@contextlib.contextmanager
def watched(backend: memweld.Backend, statements: int, act: Callable[[], object]) -> Iterator[list[str]]:
    """Do something before the statement with this number; the statements, as they come."""
    seen: list[str] = []

    def count(sql: str) -> None:
        seen.append(sql)
        if len(seen) > statements:
            act()

    database = backend._engine._database  # type: ignore[attr-defined]
    if isinstance(database, SqliteDatabase):
        database._pool._open_writer().set_trace_callback(count)
        yield seen
        database._pool._open_writer().set_trace_callback(None)
        return
    from memweld.engine.postgres.connection import PostgresConnection

    plain = PostgresConnection.execute

    def execute(self: PostgresConnection, sql: str, parameters: Any = ()) -> Any:
        count(sql)
        return plain(self, sql, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresConnection, "execute", execute)
        yield seen


@pytest.mark.exhaustive
def test_an_erasure_that_is_killed(place: Place) -> None:
    """All or nothing; done again it leaves no trace."""
    with connect(place) as backend:
        others(backend, 3)
        exported = secret(backend).export()
        with watched(backend, 1_000_000, lambda: None) as seen:
            backend.user(USER).erase()
        backend.user(USER).restore(exported)
    # What rewrites the file comes behind.
    points = next((number for number, sql in enumerate(seen) if sql == "VACUUM"), len(seen))
    assert points > 10
    kept = gone = 0
    later = range(points, len(seen), max((len(seen) - points) // 4, 1))
    for statements in [*range(0, points, points // 9), points - 2, points - 1, *later, len(seen) + 9]:
        process, _ = writer.start(die_while_erasing, place.url, statements)
        process.join(60)
        assert process.exitcode == (0 if statements >= len(seen) else -signal.SIGKILL)
        place.wait_for_the_dead(USER)
        with connect(place) as backend:
            ana = backend.user(USER)
            held = ana.export()
            if held["items"]:
                kept += 1
                assert same_export(held, exported)
            else:
                gone += 1
                assert held["state"] == held["messages"] == []
                ana.erase()
                assert traces(place.rows()) == []
                ana.restore(exported)
            assert len(backend.user("user 1").all()) == 10
        place.check()
    assert kept > 8
    assert gone > 0

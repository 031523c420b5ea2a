"""After an erasure no byte of the user is in the file: searched for in the raw files, in every form it could have."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import struct
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import writer
from sound import DIMENSIONS, check_file

import memweld
from memweld.engines.stores.erasure import erase as erase_rows
from memweld.testing import HashEmbedder, ScriptedExtractor, facts
from memweld.testing.backends.restoring import same_export

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
    database = backend._engine._database  # type: ignore[attr-defined]
    with database.writing() as connection:
        owner = connection.execute("SELECT id FROM owners WHERE user_id = ? AND agent_id = ''", (USER,)).fetchone()[0]
        vector = struct.pack(f"<{DIMENSIONS}f", *vector_of(text))
        connection.execute("INSERT INTO entities VALUES (?, ?, ?, ?)", ("e", owner, json.dumps({"data": text}), vector))


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


def raw(file: Path) -> bytes:
    """Everything that lies in the directory: the file, its log, its index of the log, a journal."""
    return b"".join(path.read_bytes() for path in sorted(file.parent.iterdir()))


def traces(file: Path) -> list[str]:
    """Which secrets are there: as text of either width, in any case; and as their vectors."""
    held = raw(file).lower()
    found = []
    for place, word in SECRETS.items():
        # The keyword index keeps stems and leaves out what a word has in common with its neighbour.
        forms = [word.encode(), word.encode("utf-16-le"), word.encode("utf-16-be"), word[-7:-1].encode()]
        found += [place] if any(form in held for form in forms) else []
    return found


def fingerprints(file: Path) -> list[bytes]:
    """Of each of the user's items the vector, the hash of the text and the id, as they stand in the file."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(
            "SELECT vector, hash, items.id FROM items JOIN owners ON owners.id = owner WHERE user_id = ?", (USER,)
        )
        return [each if isinstance(each, bytes) else each.encode() for row in rows for each in row]


def connect(file: Path) -> memweld.Backend:
    llm = ScriptedExtractor([facts(f"The user prays to {SECRETS['extracted']}")])
    return writer.connect(str(file), llm=llm)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "memory.db"


def test_no_trace_is_left(file: Path) -> None:
    with connect(file) as backend:
        others(backend)
        ana = secret(backend)
        everywhere = [place for place in SECRETS if place not in ("past text", "past state", "past message", "deleted")]
        assert set(everywhere) - set(traces(file)) <= {"ended", "cleared"}, "the search must find what is there"
        marks = fingerprints(file)
        assert len(marks) == 21
        assert all(mark in raw(file) for mark in marks)
        before = [backend.user(f"user {number}").export() for number in range(20)]
        rows = ana.export()
        receipt = ana.erase()
        assert receipt.overwritten
        assert traces(file) == []
        assert not any(mark in raw(file) for mark in marks)
        expected = {"items": len(rows["items"]), "messages": len(rows["messages"]), "sessions": len(rows["sessions"])}
        assert {store: receipt.counts[store] for store in expected} == expected
        assert receipt.counts["items"] == 7
        assert receipt.counts["entities"] == 1
        assert receipt.counts["values"] in (2, 3), "what has expired may still be there to be erased"
        assert ana.export()["items"] == ana.search("born", limit=100) == []
        for number, export in enumerate(before):
            memory = backend.user(f"user {number}")
            assert same_export(memory.export(), export)
            assert len(memory.search("tea", limit=100)) == 10
    assert traces(file) == []
    check_file(file)


def test_what_was_exported_is_all_that_comes_back(file: Path, tmp_path: Path) -> None:
    with connect(file) as backend, connect(tmp_path / "elsewhere" / "memory.db") as other:
        ana = secret(backend)
        time.sleep(0.01)
        exported = json.loads(json.dumps(ana.export()))
        hits = [(hit.id, hit.text) for hit in ana.search("born prays record", limit=50)]
        ana.erase()
        for memory in (ana, other.user(USER)):
            memory.restore(exported)
            assert same_export(memory.export(), exported)
            assert [(hit.id, hit.text) for hit in memory.search("born prays record", limit=50)] == hits
            assert memory.erase().overwritten
    assert traces(file) == traces(tmp_path / "elsewhere" / "memory.db") == []


def test_a_part_of_a_user(file: Path) -> None:
    with connect(file) as backend:
        secret(backend)
        agent = backend.user(USER, agent_id=SECRETS["agent"])
        assert agent.erase().counts["items"] == 1
        assert not {"agent", "agent's fact"} & set(traces(file))
        assert {"fact", "user", "message"} <= set(traces(file))


def test_while_somebody_reads(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that began before keeps its view; the receipt says so, and the next checkpoint overwrites."""
    monkeypatch.setattr("memweld.engines.stores.erasure._PATIENCE_SECONDS", 0.1)
    with connect(file) as backend:
        ana = secret(backend)
        reader = sqlite3.connect(file, isolation_level=None)
        reader.execute("BEGIN")
        count = reader.execute("SELECT count(*) FROM items").fetchone()
        receipt = ana.erase()
        assert not receipt.overwritten
        assert ana.all() == ana.search("born") == []
        assert reader.execute("SELECT count(*) FROM items").fetchone() == count
        bob = backend.user("bob").state("n")
        bob["k"] = 1
        assert traces(file), "somebody still reads it"
        reader.close()
        bob["k"] = 2
        assert traces(file) == [], "the next write overwrites it"


def die_while_erasing(file: str, statements: int, says: Connection) -> None:
    """Die in the middle of an erasure, after so many of its statements."""
    with connect(Path(file)) as backend:
        database = backend._engine._database  # type: ignore[attr-defined]
        database._connections.writer().set_trace_callback(Countdown(statements, lambda: os.kill(os.getpid(), 9)))
        erase_rows(database, backend.user(USER).scope)
    says.send("alive")


class Countdown:
    """Acts at the statement with this number."""

    def __init__(self, statements: int, act: Any) -> None:
        self.left, self.act = statements, act

    def __call__(self, _: str) -> None:
        self.left -= 1
        if self.left < 0:
            self.act()


def test_an_erasure_that_is_killed(file: Path) -> None:
    """All or nothing; done again it leaves no trace."""
    with connect(file) as backend:
        others(backend, 3)
        exported = secret(backend).export()
    points = _statements(file)
    assert points > 20
    kept = gone = 0
    for statements in [*range(0, points, points // 9), points - 2, points - 1, points + 9]:
        process, _ = writer.start(die_while_erasing, str(file), statements)
        process.join(60)
        assert process.exitcode == (0 if statements >= points else -signal.SIGKILL)
        with connect(file) as backend:
            ana = backend.user(USER)
            held = ana.export()
            if held["items"]:
                kept += 1
                assert same_export(held, exported)
            else:
                gone += 1
                assert held["state"] == held["messages"] == []
                ana.erase()
                assert traces(file) == []
                ana.restore(exported)
            assert len(backend.user("user 1").all()) == 10
        check_file(file)
    assert kept > 8
    assert gone > 0


def _statements(file: Path) -> int:
    """How many statements an erasure has, tried on a copy."""
    copy = file.parent.parent / "copy.db"
    copy.write_bytes(file.read_bytes())
    counted = Countdown(1_000_000, lambda: None)
    with connect(copy) as backend:
        database = backend._engine._database  # type: ignore[attr-defined]
        database._connections.writer().set_trace_callback(counted)
        erase_rows(database, backend.user(USER).scope)
    return 1_000_000 - counted.left

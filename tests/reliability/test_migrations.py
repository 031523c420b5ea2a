"""Files of every earlier schema: backed up first, then migrated whole or, if that is interrupted, not at all."""

import contextlib
import json
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import writer
from sound import DIMENSIONS, check_file

import memweld
from memweld.engine.extraction.mem0.payloads import text_hash
from memweld.engine.sqlite import schema
from memweld.testing import HashEmbedder

pytestmark = pytest.mark.enable_socket  # multiprocessing forks its processes through a Unix socket

EARLIER = range(1, schema.SCHEMA_VERSION)
MOMENT = "2025-10-15T10:30:00+00:00"


def row(connection: sqlite3.Connection, table: str, **fields: object) -> None:
    names, marks = ", ".join(fields), ", ".join("?" * len(fields))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(fields.values()))


def old_file(path: Path, version: int, *, filled: bool = True) -> None:
    """A file as the memweld of that schema left it, with something of everything."""
    now = schema.SCHEMA_VERSION
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        try:
            schema.SCHEMA_VERSION = version
            schema.migrate(connection, str(path))
        finally:
            schema.SCHEMA_VERSION = now
        if not filled:
            return
        embedder = HashEmbedder(DIMENSIONS)
        row(connection, "meta", key="embedder", value=_fingerprint())
        for number, user in enumerate(("ana", "bob"), 1):
            row(connection, "owners", user_id=user, agent_id="", root=number, version=1)
            for part in range(50):
                text = f"{user} fact {part}"
                vector = np.array(embedder.embed_query(text), dtype="<f4").tobytes()
                row(
                    connection,
                    "items",
                    id=f"{user}-{part}",
                    owner=number,
                    root=number,
                    stamp=1,
                    kind="item",
                    text=text,
                    hash=text_hash(text),
                    metadata=json.dumps({"part": part}),
                    extraction="verbatim",
                    extra="{}",
                    created_at=MOMENT,
                    updated_at=MOMENT,
                    vector=vector,
                    **({"scope": f"scope{number}x"} if version < 4 else {}),
                )
                state = {"owner": number, "namespace": "n", "key": f"k{part}", "value": str(part), "version": 7}
                row(connection, "state", **state, updated_at=MOMENT, **({"created_at": MOMENT} if version > 1 else {}))
            started = {"started_at": MOMENT, "updated_at": MOMENT}
            row(connection, "sessions", id=number, owner=number, session_id="s", messages=1, **started)
            row(connection, "messages", session=number, id="m", role="user", content='"hello"', created_at=MOMENT)


def _fingerprint() -> str:
    """The name under which a file of today keeps the test's embedder."""
    with memweld.connect("sqlite://", embedder=HashEmbedder(DIMENSIONS)) as backend:
        backend.user("ana").add("x")
        with backend._engine._database.reading() as connection:  # type: ignore[attr-defined]
            return connection.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()[0]


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def everything(file: Path) -> tuple[int, int, int]:
    """Open the file, look and search; how much of each there is."""
    with writer.connect(str(file)) as backend:
        counts = []
        for user in ("ana", "bob"):
            memory = backend.user(user)
            assert len(memory.search(f"{user} fact", limit=1000)) == len(memory.all(limit=1000))
            assert [message.text for message in memory.history("s").messages()] == ["hello"]
            counts.append((len(memory.all(limit=1000)), len(memory.state("n")), memory.state("n")["k7"]))
        assert counts[0] == counts[1]
    check_file(file)
    return counts[0]


@pytest.mark.parametrize("version", EARLIER)
def test_every_earlier_schema(tmp_path: Path, version: int) -> None:
    file = tmp_path / "memory.db"
    old_file(file, version)
    file.chmod(0o640)
    assert everything(file) == (50, 50, 7)
    assert version_of(file) == schema.SCHEMA_VERSION
    (backup,) = tmp_path.glob("*.backup")
    assert backup.name.startswith(f"memory.db.schema-{version}.2")
    assert backup.stat().st_mode & 0o777 == 0o640
    assert version_of(backup) == version
    everything(file)
    assert len(list(tmp_path.iterdir())) == 2, "a file that is current is not backed up, and nothing else is left"
    # The copy is a whole file of its own, wherever it goes.
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    assert everything(backup.rename(moved / "memory.db")) == (50, 50, 7)


def test_what_earlier_erasures_left_is_overwritten(tmp_path: Path) -> None:
    """The copy from before keeps it, of which the documentation warns."""
    file = tmp_path / "memory.db"
    old_file(file, 4)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        row(connection, "owners", user_id="zanzibar", agent_id="", root=3)
        connection.execute("DELETE FROM owners WHERE user_id = 'zanzibar'")
    assert b"zanzibar" in file.read_bytes()
    everything(file)
    assert b"zanzibar" not in b"".join(path.read_bytes() for path in tmp_path.glob("memory.db*[!p]"))
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM meta WHERE key = 'overwrite'").fetchone() == (0,)


def test_what_is_empty_or_new_is_not_backed_up(tmp_path: Path) -> None:
    old_file(tmp_path / "empty.db", 1, filled=False)
    for name in ("empty.db", "new.db"):
        with writer.connect(str(tmp_path / name)) as backend:
            backend.user("ana").add("I love tea")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "new.db"]


def test_without_a_backup_nothing_is_migrated(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    old_file(file, 1)
    obstacle = tmp_path / "memory.db.backup-partial"
    obstacle.mkdir()
    with writer.connect(str(file)) as backend, pytest.raises(memweld.BackendUnavailableError, match="left as it is"):
        backend.user("ana").all()
    assert version_of(file) == 1
    obstacle.rmdir()
    assert everything(file) == (50, 50, 7)


def test_of_many_that_open_it_one_backs_it_up(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    old_file(file, 1)
    backends = [writer.connect(str(file)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda backend: len(backend.user("ana").all()), backends)) == [50] * 8
    for backend in backends:
        backend.close()
    assert len(list(tmp_path.glob("*.backup"))) == 1


def migrate_and_die(file: str, statements: int, says: Connection) -> None:
    """Die after so many statements of the migration; say so if it never came to that."""
    read = schema._statements

    def counted(script: str) -> list[str]:
        return [*read(script)[:statements], "SELECT die()"]

    schema._statements = counted
    connection = sqlite3.connect(file, isolation_level=None)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    schema.migrate(connection, file)
    says.send("alive")


@pytest.mark.parametrize("version", EARLIER)
def test_a_migration_that_is_killed_has_not_happened(tmp_path: Path, version: int) -> None:
    file = tmp_path / "memory.db"
    old_file(file, version)
    steps = len(schema._statements(schema._STEPS[version + 1]))
    assert steps > 0
    for statements in range(steps + 1):
        process, hears = writer.start(migrate_and_die, str(file), statements)
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        with pytest.raises(EOFError):
            hears.recv()
        assert version_of(file) == version
        with contextlib.closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*), sum(value) FROM state").fetchone() == (100, 2 * sum(range(50)))
    assert everything(file) == (50, 50, 7)

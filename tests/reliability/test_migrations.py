"""The schema of a file is created whole or not at all; a file of another schema stays untouched."""

import contextlib
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import writer
from sound import check_file

import memweld
from memweld.engine.sqlite import schema

pytestmark = pytest.mark.enable_socket  # multiprocessing forks its processes through a Unix socket


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def create_and_die(file: str, statements: int, says: Connection) -> None:
    """Die after so many statements of the creation; say so if it never came to that."""
    read = schema._statements

    def counted(script: str) -> list[str]:
        return [*read(script)[:statements], "SELECT die()"]

    schema._statements = counted
    connection = sqlite3.connect(file, isolation_level=None)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
    schema.create_schema(connection, file)
    says.send("alive")


@pytest.mark.parametrize("statements", [0, 1, 5, 12, 20, 999])
def test_a_creation_that_is_killed_has_not_happened(tmp_path: Path, statements: int) -> None:
    file = tmp_path / "memory.db"
    process, hears = writer.start(create_and_die, str(file), statements)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(EOFError):
        hears.recv()
    assert version_of(file) == 0
    with writer.connect(str(file)) as backend:
        backend.user("ana").add("I love tea")
        assert backend.user("ana").search("tea")
    assert version_of(file) == schema.SCHEMA_VERSION
    check_file(file)


def test_many_that_open_a_new_file(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    backends = [writer.connect(str(file)) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda backend: len(backend.user("ana").all()), backends)) == [0] * 8
    for backend in backends:
        backend.close()
    assert [path.name for path in tmp_path.iterdir()] == ["memory.db"]
    check_file(file)


def test_a_file_of_another_schema_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    with writer.connect(str(file)) as backend:
        backend.user("ana").add("I love tea")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = file.read_bytes()
    with writer.connect(str(file)) as backend, pytest.raises(memweld.BackendUnavailableError, match="upgrade memweld"):
        backend.user("ana").all()
    assert file.read_bytes() == before

"""Moving house to a real Postgres and back, whole, and after the copying process was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from servers import PostgresServer

from memweld import Backend, connect
from memweld.testing import HashEmbedder
from memweld.testing.backends.restore import fill, same_export
from memweld.transfer import copy

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.make_database()


def embedded(path: Path, **options: Any) -> Backend:
    return connect(f"sqlite:///{path}", **options)


def test_there_and_back(database: str, tmp_path: Path) -> None:
    with (
        embedded(tmp_path / "old.db", embedder=HashEmbedder()) as old,
        connect(f"{database}?schema=there", embedder=HashEmbedder(32)) as server,
        embedded(tmp_path / "new.db", embedder=HashEmbedder()) as new,
    ):
        for user in ("ana", "bob", "Çelik"):
            fill(old, user)
        old.agent("chef").add("Never use peanuts")
        there = list(copy(old, server, everybody=True, page=4))
        back = list(copy(server, new, everybody=True, page=3))
        assert len(there) == len(back) == 4
        assert all(report.equal for report in (*there, *back))
        assert {report.scope: report.source for report in there} == {report.scope: report.target for report in back}
        for user in ("ana", "bob", "Çelik"):
            assert same_export(new.user(user).export(), server.user(user).export())
        assert not any(count for report in copy(old, server, everybody=True) for count in report.stored.values())


def test_killed_and_run_again(database: str, tmp_path: Path) -> None:
    count, source, target = 3_000, f"sqlite:///{tmp_path / 'many.db'}", f"{database}?schema=killed"
    with connect(source) as old:
        exported: dict[str, Any] = old.user("ana").export()
        at = "2025-03-01T09:00:00+00:00"
        exported["items"] = [
            {"id": f"id-{number}", "text": f"fact {number}", "created_at": at, "updated_at": at}
            for number in range(count)
        ]
        old.user("ana").restore(exported)
    with connect(target) as made:
        made.admin.purge_expired()
    command = [sys.executable, "-m", "memweld", "copy", source, target, "--all"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for _ in range(3_000):
        # It stands still meanwhile, or it would end on a busy machine before it is looked at.
        process.send_signal(signal.SIGSTOP)
        if process.poll() is not None or held(database):
            break
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert process.returncode != 0, "the kill must hit a copy under way"
    partly = held(database)
    assert 0 < partly < count
    # A page of 500 is restored in transactions of 200.
    assert partly % 500 in (0, 200, 400)
    again = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr
    assert f"new or changed: {count - partly} items" in again.stdout
    with connect(target) as new:
        assert [item.id for item in new.user("ana").all(limit=count + 1)] == [f"id-{n}" for n in range(count)]


def held(database: str) -> int:
    """How many items the schema has, as another client sees it."""
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM killed.items").fetchone()
        assert found is not None
        return int(found[0])

"""Moving house to a real Postgres and back, whole, and after the copying process was killed."""

from __future__ import annotations

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

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


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
    with psycopg.connect(database, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(4711)")
        gate.execute(
            "CREATE FUNCTION killed.wait() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END $$"
        )
        gate.execute(
            "CREATE TRIGGER wait BEFORE INSERT ON killed.items FOR EACH ROW WHEN (NEW.id = 'id-1500') "
            "EXECUTE FUNCTION killed.wait()"
        )
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        waits = "FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
        while not gate.execute(f"SELECT pid {waits}".encode()).fetchall():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.communicate()
        partly = held(database)
        gate.execute(f"SELECT pg_terminate_backend(pid) {waits}".encode())
        gate.execute("DROP FUNCTION killed.wait() CASCADE")
    # A page of 500 is restored in transactions of 200.
    assert partly == 1_500
    again = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
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

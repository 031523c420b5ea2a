"""Through a pooler in transaction mode, as Supabase has one: nothing is kept in a session."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from emptying import empty
from pooler import PoolerServer
from servers import PostgresServer, running

import memweld
from memweld import Backend
from memweld.testing import BackendSuite, HashEmbedder

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[PoolerServer]:
    yield from running(lambda: PoolerServer(postgres))


@pytest.fixture(scope="module")
def database(postgres: PostgresServer, pooler: PoolerServer) -> str:
    return pooler.url_of(postgres.make_database())


def test_it_is_a_pooler_in_transaction_mode(database: str) -> None:
    """The pooler forgets session settings, so that the tests below mean something."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET memweld.user_id = 'ana'")
        assert connection.execute("SELECT current_setting('memweld.user_id', true)").fetchone() in ((None,), ("",))


class TestThroughThePooler(BackendSuite):
    """With the default embedder."""

    @pytest.fixture(autouse=True)
    def _where(self, database: str) -> None:
        empty(database, "pooled")
        self.url = f"{database}?schema=pooled&pool_size=8"

    def connect(self, place: Path, **options: Any) -> Backend:
        options.pop("embedder")
        return memweld.connect(self.url, **options)


def test_more_clients_than_sessions(database: str) -> None:
    """Locks and settings are those of the transaction: sixteen writers share four sessions, and get none wrong."""
    url = f"{database}?schema=crowd&pool_size=16"
    with memweld.connect(url, embedder=HashEmbedder()) as one, memweld.connect(url, embedder=HashEmbedder()) as other:

        def write(number: int) -> None:
            memory = (one, other)[number % 2].user(f"user-{number % 3}")
            for _ in range(10):
                memory.state("n").update("count", lambda value: value + 1, default=0)
                memory.add(f"fact {number}")

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(write, range(16)))
        for user, writers in ((0, 6), (1, 5), (2, 5)):
            memory = one.user(f"user-{user}")
            assert (memory.state("n")["count"], len(memory.all())) == (10 * writers, writers)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_row_level_security_through_the_pooler(postgres: PostgresServer, pooler: PoolerServer, signed: bool) -> None:
    """A session goes from user to user, and each transaction sees its own."""
    direct = postgres.make_database()
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS app")
        connection.execute("CREATE ROLE app LOGIN")
    with memweld.connect(direct) as backend:
        migration = backend.admin.migrate(role="app", signed=signed)
        assert migration is not None
    url = pooler.url_of(direct).replace("postgres@", "app@")
    url = f"{url}?rls=1&binding_key={migration.binding_key}" if signed else f"{url}?rls=1"
    with memweld.connect(url, embedder=HashEmbedder()) as backend:

        def work(number: int) -> bool:
            memory = backend.user(f"user-{number}")
            for each in range(5):
                memory.add(f"secret {each} of {number}")
            return {item.text for item in memory.all()} == {f"secret {each} of {number}" for each in range(5)}

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))
    with psycopg.connect(direct, autocommit=True) as connection:
        connection.execute("DROP SCHEMA memweld CASCADE")
        connection.execute("DROP OWNED BY app")
        connection.execute("DROP ROLE app")

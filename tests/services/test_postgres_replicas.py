"""Two and four stateless servers over one Postgres, behind a proxy: any of them serves any call, and any may go."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import PostgresServer
from test_two_replicas import CLIENTS, Load, Replica, bare, lost, proxied, remote

from memweld import connect

pytestmark = pytest.mark.services

CALLS = 80


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return f"{postgres.make_database()}?pool_size=4"


@pytest.fixture(scope="module", params=[2, 4], ids=["two", "four"])
def running(request: pytest.FixtureRequest, url: str) -> Iterator[list[Replica]]:
    with ThreadPoolExecutor() as pool:
        started = list(pool.map(Replica, [url] * request.param))
    yield started
    for replica in started:
        if replica.process.poll() is None:
            replica.end(signal.SIGKILL)


@pytest.fixture
def replicas(running: list[Replica], url: str) -> list[Replica]:
    """All of them up, over an empty memory."""
    for replica in running:
        if replica.process.poll() is not None:
            replica.start()
    with connect(url) as backend:
        backend.user("ana").erase()
    return running


def test_a_session_goes_on_in_another(replicas: list[Replica]) -> None:
    for turn in range(2 * len(replicas)):
        with connect(f"{replicas[turn % len(replicas)].address}/mcp") as backend:
            memory = backend.user("ana")
            memory.history("chat").add_user_message(f"turn {turn}")
            said = [message.content for message in memory.history("chat").messages()]
            assert said == [f"turn {number}" for number in range(turn + 1)]


def test_a_killed_replica_takes_no_acknowledged_write_along(replicas: list[Replica]) -> None:
    with proxied(replicas) as proxy:
        load = Load(bare(proxy), calls=CALLS)

        def kill(wait: Callable[[int], None]) -> None:
            wait(30)
            replicas[0].end(signal.SIGKILL)

        load.run(kill)
    assert len(load.failures) <= CLIENTS  # What was under way in it, and nothing later.
    assert len(load.acknowledged) + len(load.failures) == CALLS
    assert not lost(load, replicas[1])
    replicas[0].start()
    assert not lost(load, replicas[0])


def test_a_rolling_restart_is_not_seen_by_our_client(replicas: list[Replica]) -> None:
    with proxied(replicas) as proxy, remote(proxy) as write:
        load = Load(write, calls=CALLS)

        def restart(wait: Callable[[int], None]) -> None:
            for replica in replicas:
                wait(10)
                assert replica.end() == (0, "")
                replica.start()

        load.run(restart)
    assert not load.failures
    assert len(load.acknowledged) == CALLS
    assert not lost(load, replicas[0])


def test_the_database_restarts_under_the_servers(postgres: PostgresServer, replicas: list[Replica]) -> None:
    """The servers stay, what was under way may fail, and nothing acknowledged is lost."""
    failed_until_then: list[int] = []
    with proxied(replicas) as proxy:
        load = Load(bare(proxy), calls=CALLS)

        def restart(wait: Callable[[int], None]) -> None:
            wait(30)
            postgres.kill()
            postgres.start()
            failed_until_then.append(len(load.failures))

        load.run(restart)
    # While it is away each call fails; of those under way when it is back each client has one.
    assert len(load.failures) - failed_until_then[0] <= CLIENTS
    assert len(load.acknowledged) > 30, "some must come after the restart"
    assert all(replica.process.poll() is None for replica in replicas)
    assert not lost(load, replicas[-1])

"""Two and four stateless servers over one Postgres, behind a proxy: any of them serves any call, and any may go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from servers import PostgresServer
from test_two_replicas import CLIENTS, Load, Replica, ReplicaScenarios, bare, lost, proxied, running

from memweld import connect

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return f"{postgres.make_database()}?pool_size=4"


@pytest.fixture(scope="module", params=[2, 4], ids=["two", "four"])
def started(request: pytest.FixtureRequest, url: str) -> Iterator[list[Replica]]:
    with running(url, request.param) as replicas:
        yield replicas


class TestPostgresReplicas(ReplicaScenarios):
    calls = 80

    @pytest.fixture
    def replicas(self, started: list[Replica], url: str) -> list[Replica]:
        """All of them up, over an empty memory."""
        for replica in started:
            if replica.process.poll() is not None:
                replica.start()
        with connect(url) as backend:
            backend.user("ana").erase()
        return started

    def test_the_database_restarts_under_the_servers(self, postgres: PostgresServer, replicas: list[Replica]) -> None:
        """The servers stay, calls under way may fail, and nothing acknowledged is lost."""
        failed_until_then: list[int] = []
        with proxied(replicas) as proxy:
            load = Load(bare(proxy), calls=self.calls)

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

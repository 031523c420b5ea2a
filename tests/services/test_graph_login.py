"""A Neo4j that wants a login: its refusals, and our errors for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import neo4j
import pytest
from servers import Neo4jServer

import memweld
from memweld.testing import HashEmbedder

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def server(neo4j_server: Neo4jServer) -> Iterator[Neo4jServer]:
    assert neo4j_server.port  # the jars are there, or this was skipped
    server = Neo4jServer(auth=True)
    server.start()
    yield server
    server.remove()


@pytest.mark.slow
def test_a_login_that_is_refused(server: Neo4jServer, tmp_path: Path) -> None:
    def problem(login: str) -> str:
        url = server.url.replace("://", f"://{login}")
        with memweld.connect(f"sqlite:///{tmp_path}/memory.db", graph=url, embedder=HashEmbedder()) as backend:
            ana = backend.user("ana")
            ana.add("Clara lives in Porto")
            with pytest.raises(memweld.ConfigurationError) as caught:
                ana.related("Clara")
            assert not ana.settle_graph(1)
            standing = backend.admin.graph_health()
        assert standing is not None
        assert "refuses the login" in (standing.problem or "")
        assert "wrong-one" not in f"{standing.problem} {caught.value}"
        return str(caught.value).partition(" refuses ")[2]

    assert problem("neo4j:neo4j@").startswith("the login until the password is changed")
    assert problem("").startswith("the login. Check the user and password")
    for _ in range(8):
        said = problem("neo4j:wrong-one@")
        if "too many wrong attempts" in said:
            break
        assert said.startswith("the login. Check the user and password")
    else:
        pytest.fail("it does not limit attempts")

    fresh = Neo4jServer(auth=True)
    fresh.start()
    try:
        with neo4j.GraphDatabase.driver(fresh.url, auth=("neo4j", "neo4j")) as driver:
            driver.execute_query("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO 'long enough'", database_="system")
        url = fresh.url.replace("://", "://neo4j:long%20enough@")
        with memweld.connect(f"sqlite:///{tmp_path}/memory.db", graph=url, embedder=HashEmbedder()) as backend:
            assert backend.user("ana").settle_graph(60)
            assert len(backend.user("ana").related("Clara")) == 1
    finally:
        fresh.remove()

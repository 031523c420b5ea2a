"""The servers that the service tests run on are what they should be."""

from __future__ import annotations

import neo4j
import psycopg
import pytest
from servers import Neo4jServer, PostgresServer

pytestmark = pytest.mark.services


def test_postgres_is_real_and_comes_back(postgres: PostgresServer) -> None:
    """Version 16 or later with pgvector; after a kill it holds what was committed, on the same port."""
    url = postgres.make_database()
    with psycopg.connect(url) as connection:
        version = connection.execute("SHOW server_version_num").fetchone()
        assert version is not None
        assert int(version[0]) >= 160000
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE TABLE kept AS SELECT '[1,2]'::vector AS v")
    postgres.kill()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url, connect_timeout=2)
    postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_neo4j_is_real(neo4j_server: Neo4jServer) -> None:
    """The community edition of version 5."""
    with neo4j.GraphDatabase.driver(neo4j_server.url) as driver:
        (record,) = driver.execute_query("CALL dbms.components() YIELD versions, edition").records
    assert record["versions"][0].startswith("5.")
    assert record["edition"] == "community"

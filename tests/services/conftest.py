"""The servers that the service tests share; where one cannot be had, its tests are skipped, and on CI they fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import Neo4jServer, PostgresServer, ServerMissingError


def _missing(error: ServerMissingError) -> None:
    if os.environ.get("CI"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running Postgres with pgvector."""
    try:
        server = PostgresServer()
    except ServerMissingError as error:
        _missing(error)
        raise
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[Neo4jServer]:
    """A running Neo4j."""
    try:
        server = Neo4jServer()
    except ServerMissingError as error:
        _missing(error)
        raise
    server.start()
    yield server
    server.remove()

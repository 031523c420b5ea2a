"""A year in a user's life on a real Postgres, through agents of four kinds with scripted models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from emptying import empty
from servers import PostgresServer

from memweld import Backend, connect
from memweld.testing import HashEmbedder
from memweld.testing.adapters.year import YearScenarios

pytestmark = pytest.mark.services

FRAMEWORKS = Path(__file__).parents[1] / "frameworks"


def driver_of(file: str, name: str) -> Any:
    """The driver with which the tests of a framework run the adapter suite."""
    sys.path.insert(0, str(FRAMEWORKS))
    spec = importlib.util.spec_from_file_location(f"driver_of_{Path(file).parent.name}", FRAMEWORKS / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return getattr(module, name)()


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> str:
    return postgres.make_database()


class OnPostgres(YearScenarios):
    @pytest.fixture
    def backend(self, database: str) -> Iterator[Backend]:
        empty(database, "memweld")
        with connect(database, embedder=HashEmbedder()) as backend:
            yield backend


class TestLangChain(OnPostgres):
    driver = driver_of("langchain/test_adapter.py", "LangChainDriver")


class TestCrewAI(OnPostgres):
    driver = driver_of("crewai/test_tools.py", "CrewAIDriver")


class TestAutoGen(OnPostgres):
    driver = driver_of("autogen/test_agents.py", "AutoGenDriver")


class TestMcp(OnPostgres):
    driver = driver_of("mcp/test_server.py", "McpDriver")

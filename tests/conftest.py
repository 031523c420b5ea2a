"""Every test runs offline, without keys, and without the developer's own memory; and the servers that some need."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "services"))

from servers import Neo4jServer, PostgresServer, running  # pyright: ignore[reportMissingImports]

from openai_server import OpenAIServer  # pyright: ignore[reportMissingImports]

# Read when the frameworks are imported, hence before any test module.
os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_STORAGE_DIR=tempfile.mkdtemp(prefix="crewai-"),
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TRACING_ENABLED="false",
    OTEL_SDK_DISABLED="true",
    LANGSMITH_TRACING="false",
    HF_HUB_OFFLINE="1",
)
for name in [name for name in os.environ if name.startswith(("MEMWELD_", "OPENAI_"))]:
    del os.environ[name]

# The same examples in each run, on however slow a machine; `--hypothesis-profile=default` looks for others.
settings.register_profile(
    "memweld",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("memweld")


@pytest.fixture(autouse=True)
def _own_data_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test keeps by default, it keeps in a folder of its own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture(autouse=True)
def _no_handler_of_closed_streams() -> Iterator[None]:
    """A command that configures the log writes to the stderr of its runner, which is closed when the next test logs."""
    yield
    for handler in logging.root.handlers[:]:
        if type(handler) is logging.StreamHandler and getattr(handler.stream, "closed", False):
            logging.root.removeHandler(handler)


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """A server that speaks OpenAI's protocol and answers from a script."""
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running Postgres with pgvector."""
    yield from running(PostgresServer)


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[Neo4jServer]:
    """A running Neo4j."""
    yield from running(Neo4jServer)

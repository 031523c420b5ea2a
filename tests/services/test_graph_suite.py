"""The backend suite with a graph: whatever a memory promises, it promises with one, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers import Neo4jServer

import memweld
from memweld import Backend
from memweld.testing import BackendSuite

pytestmark = [pytest.mark.services, pytest.mark.slow]


class TestFileWithGraph(BackendSuite):
    graph: str

    @pytest.fixture(autouse=True)
    def _graph(self, neo4j_server: Neo4jServer) -> None:
        # By the rule: the scripted LLMs of the suite are asked for facts alone.
        self.graph = f"{neo4j_server.url}?entities=rule"

    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", graph=self.graph, **options)


class TestFileWithAGraphThatIsDown(BackendSuite):
    """Nothing but the graph's own answers depends on it."""

    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", graph="bolt://127.0.0.1:9?entities=rule", **options)

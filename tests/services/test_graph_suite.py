"""The backend suite with a graph: whatever a memory promises, it promises with one, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers import Neo4jServer

import memweld
from memweld import Backend
from memweld.testing import BackendSuite, HashEmbedder
from memweld.testing.backends.items import ItemTests
from memweld.testing.backends.scopes import ScopeTests
from memweld.testing.backends.state import StateTests
from memweld.testing.backends.whole import WholeTests

pytestmark = [pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(600)]


class TestFileWithGraph(BackendSuite):
    graph: str

    @pytest.fixture(autouse=True)
    def _graph(self, neo4j_server: Neo4jServer) -> None:
        # By the rule: the scripted LLMs of the suite are asked for facts alone.
        self.graph = f"{neo4j_server.url}?entities=rule"

    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", graph=self.graph, **options)


class TestMem0StoreWithGraph(ItemTests, ScopeTests, StateTests, WholeTests):
    """Vectors in a store of mem0's and links in a graph, each told in its own way of what one file holds."""

    graph: str

    @pytest.fixture(autouse=True)
    def _graph(self, neo4j_server: Neo4jServer) -> None:
        self.graph = f"{neo4j_server.url}?entities=rule"

    def connect(self, place: Path, **options: Any) -> Backend:
        store = {"provider": "qdrant", "config": {"path": str(place / "qdrant")}}
        url = f"sqlite:///{place / 'memory.db'}"
        backend = memweld.connect(url, graph=self.graph, mem0={"vector_store": store}, **options)
        # Opens the store, which takes longer than some of the suite's values live.
        backend.user("nobody").search("anything")
        return backend

    def test_all_three_agree(self, tmp_path: Path) -> None:
        """After changes of every kind the file, the store and the graph hold the same memories."""
        with self.connect(tmp_path, embedder=HashEmbedder()) as backend:
            ana = backend.user("ana")
            (clara,) = ana.add("My sister Clara works at Acme")
            (porto,) = ana.add("Acme builds rockets in Porto")
            (tea,) = ana.add("I like tea")
            ana.update(porto.id, "Acme builds rockets in Faro")
            ana.delete(tea.id)
            assert ana.settle_graph(60)
            assert [each.id for each in ana.related("Clara")] == [clara.id, porto.id]
            assert {hit.id for hit in ana.search("rockets")} == {clara.id, porto.id}
            opened = backend._engine.inner.projection.opened  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
            rows = opened.store._opened.store.list(top_k=100)[0]
            # A record of the store has an id of its own, as items of two users may have the same.
            assert sorted(row.payload["data"] for row in rows) == [
                "Acme builds rockets in Faro",
                "My sister Clara works at Acme",
            ]
            standing = backend.admin.graph_health()
            assert standing is not None
            assert (standing.agrees, standing.items) == (True, 2)
            receipt = ana.erase()
            assert (receipt.graph, receipt.overwritten, receipt.counts["items"]) == ("done", True, 3)
            assert opened.store._opened.store.list(top_k=100)[0] == []


class TestFileWithAGraphThatIsDown(BackendSuite):
    """Nothing but the graph's own answers depends on it."""

    def connect(self, place: Path, **options: Any) -> Backend:
        return memweld.connect(f"sqlite:///{place / 'memory.db'}", graph="bolt://127.0.0.1:9?entities=rule", **options)

"""Shared helpers of the service tests lie beside them; the conftest above has their servers, for other tests, too."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _patience_with_neo4j(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has just started on a busy machine is slower than memweld waits for, and that is no failure."""
    from memweld.engine.projections.neo4j import graph, queries

    monkeypatch.setattr(graph, "_SETTLE_SECONDS", 60.0)
    monkeypatch.setattr(queries, "_RELATED_SECONDS", 60.0)
    monkeypatch.setattr(queries, "_BOOST_SECONDS", 30.0)

"""The outbox of a graph and the texts behind extracted facts."""

from pathlib import Path
from typing import Any, cast

from memweld import connect
from memweld.engine.sql.outbox import Outbox
from memweld.testing import HashEmbedder, ScriptedExtractor, facts


def test_a_graph_gets_facts_and_no_sources(tmp_path: Path) -> None:
    llm = ScriptedExtractor([facts("Ana lives in Lisbon")])
    with connect(f"sqlite:///{tmp_path / 'g.db'}", embedder=HashEmbedder(), llm=llm) as backend:
        outbox = Outbox(cast("Any", backend)._engine.database)
        outbox.attach()
        (fact,) = backend.user("ana").add("I moved to Lisbon")
        assert {change.item for change in outbox.take(10)} == {fact.id}
        assert (outbox.count(), outbox.page(after="", limit=10)) == (1, [fact.id])
        outbox.fill()
        assert {change.item for change in outbox.take(10)} == {fact.id}

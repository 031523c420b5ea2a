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

        def waiting() -> set[str]:
            return {entry.id for entry in outbox.entries([change.item for change in outbox.take(10)]).values()}

        assert waiting() == {fact.id}
        page = outbox.page(after=0, limit=10)
        assert (outbox.count(), len(page)) == (1, 1)
        assert outbox.entries(page)[page[0]].id == fact.id
        outbox.fill()
        assert waiting() == {fact.id}

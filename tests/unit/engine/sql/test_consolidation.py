"""Consolidations that do not fit into one plan or one receipt, and rows that a plan cannot know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import memweld
from memweld import Memory
from memweld.engine.operations.consolidation import MAX_STEPS
from memweld.testing import HashEmbedder, ScriptedExtractor

PAIRS = MAX_STEPS + 100


@pytest.fixture
def ana(tmp_path: Path) -> Iterator[Memory]:
    with memweld.connect(f"sqlite:///{tmp_path}/memory.db", embedder=HashEmbedder()) as backend:
        yield backend.user("ana")


def fill(memory: Memory, pairs: int = PAIRS, *, metadata: str = "") -> None:
    """Two memories for each number, which say the same."""
    for end in (".", "!"):
        texts = [{"role": "user", "content": f"I own thing number {number} of many{end}"} for number in range(pairs)]
        memory.add(texts, infer=False, metadata={"m": metadata, "end": end} if metadata else None)


def test_planning_takes_linear_time(ana: Memory) -> None:
    """Memories are grouped, and no pair is compared."""

    def seconds() -> float:
        started_at = time.process_time()
        ana.consolidate()
        return time.process_time() - started_at

    fill(ana, 200)
    seconds()
    least = min(seconds() for _ in range(3))
    fill(ana, 800)  # 200 of them are there
    assert min(seconds() for _ in range(3)) < 8 * least + 0.05


def test_many_steps_take_several_consolidations(ana: Memory) -> None:
    fill(ana)
    first = ana.consolidate(dry_run=False)
    assert (len(first.done), first.has_more) == (MAX_STEPS, True)
    second = ana.consolidate(dry_run=False)
    assert (len(second.done), second.has_more) == (PAIRS - MAX_STEPS, False)
    assert ana.consolidate().steps == ()
    assert len(ana.all(limit=2 * PAIRS)) == PAIRS
    assert ana.undo(second).skipped == ana.undo(first).skipped == ()
    assert len(ana.all(limit=2 * PAIRS)) == 2 * PAIRS


def test_a_receipt_holds_so_much(ana: Memory) -> None:
    """It must fit into a message to a server; what does not is left for the next consolidation."""
    fill(ana, 120, metadata="x" * 5_000)
    rounds = 0
    while ana.consolidate().steps:
        receipt = ana.consolidate(dry_run=False)
        assert receipt.has_more == bool(receipt.skipped)
        assert 0 < len(str(receipt.to_dict())) < 4_000_000
        assert all("full" in step.reason for step in receipt.skipped)
        rounds += 1
    assert rounds > 1
    assert len(ana.all(limit=1_000)) == 120


def test_a_restored_older_export_does_not_undo_it(ana: Memory) -> None:
    """What was merged later is later than what the export has."""
    ana.add("I like tea", session_id="a", infer=False)
    older = ana.export()
    ana.add("I do like tea!", session_id="b", infer=False)
    ana.consolidate(dry_run=False)
    merged = ana.export()
    ana.restore(older)
    assert {**ana.export(), "exported_at": ""} == {**merged, "exported_at": ""}


@pytest.mark.parametrize("change", ["clear", "edit"])
def test_a_session_that_changes_while_it_is_summarised(tmp_path: Path, change: str) -> None:
    """What the user has taken back is in no summary; what is appended meanwhile does not matter."""
    talk = [{"role": "user", "content": f"message {number}", "id": f"m{number}"} for number in range(80)]

    def take_back(_: object) -> str:
        if change == "clear":
            session.clear(facts=True)
        else:
            session.append({"role": "user", "content": "Forget it", "id": "m7"})
        return '{"summary": "Ana plans a trip."}'

    def go_on(_: object) -> str:
        session.append(talk[60:])
        return '{"summary": "Ana booked the trip."}'

    llm = ScriptedExtractor([take_back, go_on])
    with memweld.connect(f"sqlite:///{tmp_path}/memory.db", embedder=HashEmbedder(), llm=llm) as backend:
        ana = backend.user("ana")
        session = ana.history("long")
        session.append(talk[:40])
        assert [step.reason for step in ana.consolidate(dry_run=False).skipped] == ["it was changed meanwhile"]
        assert ana.all() == []
        session.append(talk[:60])
        assert [step.kind for step in ana.consolidate(dry_run=False).done] == ["summarize"]
        assert [item.text for item in ana.all()] == ["Ana booked the trip."]

"""The recalled block: a budget that memories share, and the passage of a long one that fits."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memweld import Hit
from memweld.memory.recall import CLOSING, NOTICE, OPENING, recall_block

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)
FRAME = len("\n".join([OPENING, NOTICE, CLOSING])) + 1


def hits(*texts: str) -> list[Hit]:
    return [Hit(id=str(n), text=text, created_at=NOW, updated_at=NOW, score=0.9) for n, text in enumerate(texts)]


def lines(block: str) -> list[str]:
    return block.splitlines()[2:-1]


def test_a_long_memory_does_not_starve_the_others() -> None:
    block = recall_block(hits("menu " * 2_000, "I am allergic to peanuts", "My doctor is called Sousa"), budget=1_000)
    assert len(block) <= 1_000 + FRAME
    assert [line[15:40].strip() for line in lines(block)[1:]] == [
        "I am allergic to peanuts",
        "My doctor is called Sousa",
    ]
    assert len(lines(block)[0]) > 900


def test_the_passage_that_fits_is_shown() -> None:
    text = "The weather was fine. " * 200 + "My passport number is X1. " + "We had lunch. " * 200
    (line,) = lines(recall_block(hits(text), budget=200, query="What is my passport number?"))
    assert "passport number is X1" in line
    assert line.startswith("- [2026-01-31] …")
    assert line.endswith("…")
    (line,) = lines(recall_block(hits(text), budget=200, query="Anything else?"))
    assert line.startswith("- [2026-01-31] The weather")


@pytest.mark.parametrize("budget", [1, 20, 60, 500, 4_000])
def test_the_budget_holds(budget: int) -> None:
    block = recall_block(
        hits(*(f"Memory {n} " + "says much " * n * 20 for n in range(12))), budget=budget, query="much"
    )
    assert len(block) <= budget + FRAME
    assert lines(block)
    cut = [line for line in lines(block) if line.endswith("…")]
    assert budget < 120 or all(len(line) > 100 for line in cut)


def test_no_hits_are_no_block() -> None:
    assert recall_block([]) == ""

"""A year in a user's life: everything that a memory promises of facts that change, at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ... import Backend, Memory
from ...errors import MemoryNotFoundError
from ..year import HOMES, Year, live_a_year
from .base import BackendFixtures

__all__ = ["YearTests"]


def check_year(memory: Memory, year: Year) -> None:
    """Compare what a memory answers with what was true in each part of the year."""
    porto, lisbon, faro = HOMES
    for ago, home in ((11, porto), (9, porto), (7, lisbon), (4, lisbon), (2, faro)):
        hits = memory.search(f"Where did I live in {year.name(ago)}?", limit=3)
        assert hits[0].text == home, ago
        assert [item.text for item in memory.all(as_of=year.month(ago)) if item.text in HOMES] == [home]
    block = memory.recall(f"Where did I live in {year.name(9)}?")
    assert f"{porto} (until {year.month(8):%Y-%m-%d})" in block
    living = [hit.text for hit in memory.search("Where do I live?", limit=20)]
    assert living[0] == faro
    assert not {porto, lisbon} & set(living)
    assert memory.search(f"What is my favourite colour in {year.name(7)}?")[0].text == "My favourite colour is green"
    assert memory.search("What is my favourite colour?")[0].text == "My favourite colour is blue"
    assert "beach hut" in memory.recall(f"Where did I work from in {year.name(6)}?")
    assert "beach hut" not in memory.recall("Where do I work from?")
    assert "Klara" in memory.recall("What is my sister called?")
    assert "Clara" not in memory.recall("What is my sister called?")
    assert memory.preferences.all() == {"coffee": "black"}


class YearTests(BackendFixtures):
    """A year."""

    @pytest.fixture
    def year(self, ana: Memory, bob: Memory) -> Year:
        """The year of ana; bob lives elsewhere."""
        bob.add("I live in Braga", infer=False)
        return live_a_year(ana)

    def test_a_year_of_changes(self, ana: Memory, year: Year) -> None:
        """What held when, what holds now, and how it came about."""
        check_year(ana, year)
        (home,) = [item for item in ana.all() if item.text in HOMES]
        assert [version.text for version in ana.versions(home.id)] == list(HOMES)
        assert [version.metadata["value"] for version in ana.preferences.versions("coffee")] == ["with milk", "black"]
        (sister,) = [item for item in ana.all() if "sister" in item.text]
        assert [version.text[-5:] for version in ana.versions(sister.id)] == ["Clara", "Klara"]
        spring = ana.all(after=year.month(7), before=year.month(4), include_inactive=True, kinds="item")
        assert {item.text for item in spring} == {"I work from a beach hut", "My favourite colour is blue"}
        assert [item.text for item in ana.all(filters={"ago": {"$in": [3, 10]}}, kinds="item")] == [HOMES[2]]
        assert [item.text for item in ana.all(session_id="month-12")] == ["I am allergic to peanuts"]

    def test_what_expires_is_in_no_part_of_the_year(self, ana: Memory, year: Year) -> None:
        """Not even in a question about the time in which it was there."""
        code: dict[str, Any] = {"created_at": year.month(4), "infer": False}
        ana.add("The code of the gate is 4711", ttl=3600, **code)
        question = f"What was the code of the gate in {year.name(4)}?"
        assert ana.search(question)[0].text == "The code of the gate is 4711"
        ana.add("The code of the gate is 4711", ttl=0.5, **code)
        deadline = time.monotonic() + 60
        while any("4711" in hit.text for hit in ana.search(question, include_inactive=True)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert not any("4711" in item.text for item in ana.all(include_inactive=True))
        check_year(ana, year)

    def test_a_profile_after_a_year(self, ana: Memory, year: Year) -> None:
        """It has what holds now, pinned first, and nothing that is over but what changed lately."""
        (allergy,) = [item for item in ana.all() if "peanuts" in item.text]
        ana.pin(allergy.id)
        profile = ana.profile()
        assert "peanuts" in profile
        assert "coffee: black" in profile
        assert "beach hut" not in profile
        check_year(ana, year)

    def test_a_year_is_consolidated_and_back(self, ana: Memory, year: Year) -> None:
        """Consolidating it loses no answer, and undoing it none either."""
        ana.add("I am allergic to  peanuts!", infer=False)
        receipt = ana.consolidate(dry_run=False)
        check_year(ana, year)
        ana.undo(receipt)
        check_year(ana, year)

    def test_a_year_moves_elsewhere(self, make: Callable[..., Backend], ana: Memory, year: Year) -> None:
        """Export and restore take all of it along, and an erasure takes it away."""
        exported = ana.export()
        ids = [item.id for item in ana.all(include_inactive=True)]
        ana.erase()
        assert ana.all(include_inactive=True) == []
        assert ana.search(f"Where did I live in {year.name(9)}?") == []
        with pytest.raises(MemoryNotFoundError):
            ana.versions(ids[0])
        ana.restore(exported)
        check_year(ana, year)
        check_year(make().user("ana"), year)

    def test_nobody_else_has_that_year(self, backend: Backend, bob: Memory, year: Year) -> None:
        """No question about its time reaches another user, or an agent of the same one."""
        for memory in (bob, backend.user("ana", agent_id="cook")):
            for ago in (11, 9, 7, 4, 2):
                found = memory.search(f"Where did I live in {year.name(ago)}?", limit=20)
                assert not set(HOMES) & {hit.text for hit in found}
        assert year.month(12) > year.now - timedelta(days=400)

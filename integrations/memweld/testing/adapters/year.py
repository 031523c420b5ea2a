"""A year in a user's life, as agents see it: tools and automatic recall answer what was true when."""

from __future__ import annotations

from typing import Any

from ... import Memory
from ..year import HOMES, live_a_year
from .driver import Scenarios

__all__ = ["YearScenarios"]


class YearScenarios(Scenarios):
    """Scenarios of a year."""

    def test_an_agent_asks_about_the_year(self, ana: Memory, bob: Memory) -> None:
        """A model's search finds the home of each time, and says of it that it is over."""
        bob.add("I live in Braga")
        year = live_a_year(ana)
        for mode in self.driver.modes:
            for ago, home in ((9, HOMES[0]), (6, HOMES[1]), (2, HOMES[2])):
                query = {"query": f"Where did I live in {year.name(ago)}?", "limit": 5}
                answer = self.driver.call_tool(ana, "search_memories", query, mode)
                first = answer.text.splitlines()[1]
                assert home in first
                assert ("(until " in first) == (home != HOMES[2])
                assert "Braga" not in answer.text
            now = self.driver.call_tool(ana, "search_memories", {"query": "Where do I live?"}, mode).text
            assert [home for home in HOMES if home in now] == [HOMES[2]]

    def test_an_agent_corrects_and_replaces(self, ana: Memory) -> None:
        """A correction and a move keep what was said before."""
        mode = self.driver.modes[0]
        live_a_year(ana)
        (home,) = [item for item in ana.all() if item.text in HOMES]
        said: dict[str, Any] = {"messages": [{"role": "user", "content": "I live in Braga"}], "supersedes": [home.id]}
        assert not self.driver.call_tool(ana, "add_memory", said, mode).is_error
        (braga,) = [item for item in ana.all() if item.text == "I live in Braga"]
        correction = {"memory_id": braga.id, "data": "I live in Beja"}
        assert not self.driver.call_tool(ana, "update_memory", correction, mode).is_error
        answer = self.driver.call_tool(ana, "search_memories", {"query": "Where do I live?"}, mode).text
        assert "I live in Beja" in answer
        assert not {"I live in Braga", *HOMES} & set(answer.split(" - "))
        assert [item.text for item in ana.versions(braga.id)] == [*HOMES, "I live in Braga", "I live in Beja"]

    def test_a_turn_about_the_year(self, ana: Memory) -> None:
        """Automatic recall reads the time in the user's message."""
        self._needs_turns()
        year = live_a_year(ana)
        for mode in self.driver.modes:
            question = f"Where did I live in {year.name(9)}?"
            turn = self.driver.run_turn(ana, question, "In Porto.", session_id=None, mode=mode)
            assert f"{HOMES[0]} (until {year.month(8):%Y-%m-%d})" in turn.seen
            now = self.driver.run_turn(ana, "Where do I live?", "In Faro.", session_id=None, mode=mode)
            assert HOMES[2] in now.seen
            assert HOMES[0] not in now.seen
            assert HOMES[1] not in now.seen

"""Every pair of frameworks: what one writes, each other one reads; and docs/reference/matrix.md says what is so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import matrix
import pytest

import memweld
from memweld import Memory
from memweld.testing import HashEmbedder
from memweld.tools import memory_functions

ROOT = Path(__file__).parents[2]

# Named here and not asked of the drivers: they load their frameworks, which collecting tests should not.
CHATS = ["LangChain", "CrewAI", "AutoGen", "AG2", "Agent Framework"]
TOLD = "I told you about my lighthouse postcards"
LIVED = "I moved to a houseboat in Porto"
SAID = [("user", "My train leaves at nine"), ("assistant", "Noted: nine o'clock")]


@pytest.fixture(scope="module")
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Memory, Memory]]:
    """The memory of a user to whom one framework wrote, and of another user."""
    writer = matrix.driver_of(request.param)
    mode = writer.modes[0]
    folder = tmp_path_factory.mktemp("matrix")
    with memweld.connect(f"sqlite:///{folder / 'memory.db'}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        told = {"messages": [{"role": "user", "content": TOLD}]}
        assert not writer.call_tool(ana, "add_memory", told, mode).is_error
        assert not writer.call_tool(ana, "set_preference", {"key": "theme", "value": "dark"}, mode).is_error
        if writer.has_turns:
            writer.run_turn(ana, LIVED, "How nice!", session_id=None, mode=mode)
        if writer.has_history:
            writer.run_turn(ana, SAID[0][1], SAID[1][1], session_id="trip", mode=mode)
        yield request.param, ana, backend.user("bob")


@pytest.mark.parametrize(("written", "reader"), matrix.pairs(), indirect=["written"])
def test_what_one_writes_the_other_reads(written: tuple[str, Memory, Memory], reader: str) -> None:
    writer, ana, bob = written
    wrote, reads = matrix.driver_of(writer), matrix.driver_of(reader)
    mode = reads.modes[0]
    assert TOLD in reads.call_tool(ana, "search_memories", {"query": "lighthouse postcards"}, mode).text
    assert "theme: dark" in reads.call_tool(ana, "get_preferences", {}, mode).text
    if wrote.has_turns:
        assert LIVED in reads.call_tool(ana, "search_memories", {"query": "houseboat in Porto"}, mode).text
    if reads.has_turns:
        turn = reads.run_turn(ana, "Which lighthouse postcards?", "Yours.", session_id=None, mode=mode)
        assert TOLD in turn.seen
    if wrote.has_history and reads.has_history:
        assert reads.read_session(ana, "trip") == SAID
    if wrote.has_history:
        (get_messages,) = memory_functions(ana, ["get_messages"])
        assert f"user: {SAID[0][1]}" in get_messages("trip")
    assert "No preference is set" in reads.call_tool(bob, "get_preferences", {}, mode).text
    assert reads.call_tool(bob, "search_memories", {"query": "lighthouse postcards"}, mode).text == "Found 0 memories"


def test_who_keeps_chats() -> None:
    assert [name for name in matrix.FRAMEWORKS if matrix.driver_of(name).has_history] == CHATS


@pytest.mark.parametrize(("first", "then"), list(itertools.permutations(CHATS, 2)))
def test_a_conversation_goes_on(first: str, then: str, tmp_path: Path) -> None:
    begins, goes_on = matrix.driver_of(first), matrix.driver_of(then)
    with memweld.connect(f"sqlite:///{tmp_path / 'memory.db'}", embedder=HashEmbedder()) as backend:
        ana = backend.user("ana")
        begins.run_turn(ana, *(text for _, text in SAID), session_id="trip", mode=begins.modes[0])
        turn = goes_on.run_turn(ana, "When?", "At nine", session_id="trip", mode=goes_on.modes[0])
        assert SAID[0][1] in turn.seen
        assert SAID[1][1] in turn.seen
        back = begins.run_turn(ana, "Thanks", "Welcome", session_id="trip", mode=begins.modes[0])
        assert "At nine" in back.seen
        spoken = [text for _, text in begins.read_session(ana, "trip")]
        assert spoken == [SAID[0][1], SAID[1][1], "When?", "At nine", "Thanks", "Welcome"]


def test_the_page_says_what_is_so() -> None:
    assert (ROOT / "docs" / "reference" / "matrix.md").read_text() == matrix.page()

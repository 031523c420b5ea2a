"""The parts of a score: they add up, follow a score that entities change, and read well."""

import dataclasses

import pytest

import memweld
from memweld.explanation import WordScore
from memweld.testing import HashEmbedder
from memweld.tools import TOOLS
from memweld.validation import dump_json

PEANUTS = memweld.Explanation(
    score=0.0,
    words=(WordScore(word="peanuts", weight=0.6, score=0.7), WordScore(word="zebra", weight=0.4, score=0.0)),
    cosine=0.5,
    known=0.8,
    session_words=0.1,
    recency=0.5,
)


def test_the_parts_add_up() -> None:
    assert PEANUTS.meaning == pytest.approx(0.4)
    assert PEANUTS.fit == pytest.approx(1.2)
    assert dataclasses.replace(PEANUTS, cosine=-0.5).meaning == 0


@pytest.mark.parametrize("time", [0.9, -0.36])
def test_the_time_of_a_question_is_a_part(time: float) -> None:
    """It raises or lowers the fit, and a tool shows it only where it counts."""
    timed = dataclasses.replace(PEANUTS, time=time)
    assert timed.fit == pytest.approx(PEANUTS.fit + time)
    assert timed.shares["time"] * time > 0
    assert f"time {timed.shares['time']:.2f}" in str(timed)
    assert timed.as_json()["time"] == time
    assert "time" not in PEANUTS.as_json()


@pytest.mark.parametrize("score", [0.1, 0.4, 0.5])
def test_entities_are_the_rest_of_a_score(score: float) -> None:
    """They count before age, and a score may also fall by them."""
    changed = PEANUTS.with_score(score)
    assert changed.score == pytest.approx(sum(changed.shares.values())) == pytest.approx(score)
    assert changed.words == PEANUTS.words


def test_a_moment_between_two_looks_at_the_clock_is_no_entity() -> None:
    score = sum(PEANUTS.shares.values())
    assert PEANUTS.with_score(score * (1 + 1e-8)).entities == 0


def test_nothing_in_common_has_no_parts() -> None:
    assert set(memweld.Explanation(score=0.0).shares.values()) == {0.0}
    assert str(memweld.Explanation(score=0.0)) == "0.00 = 0"


def test_it_reads_as_a_sum() -> None:
    text = "0.35 = words 0.20 (peanuts 0.20) + meaning 0.12 + session 0.03; age left 50% of it"
    assert str(dataclasses.replace(PEANUTS, score=0.35)) == text


def test_words_of_scripts_without_spaces_are_pairs() -> None:
    ana = memweld.connect("sqlite://", embedder=HashEmbedder()).user("ana")
    ana.add("東京に住んでいます")
    (hit,) = ana.search("東京の天気", explain=True)
    assert hit.explanation is not None
    assert [word.word for word in hit.explanation.words if word.score] == ["東京"]


def test_the_tool_shows_the_parts_if_asked() -> None:
    ana = memweld.connect("sqlite://", embedder=HashEmbedder()).user("ana")
    ana.add("I am allergic to peanuts")
    plain = TOOLS["search_memories"](ana, {"query": "peanuts"})
    explained = TOOLS["search_memories"](ana, {"query": "peanuts", "explain": True})
    assert " = words " not in plain.text
    assert " = words " in explained.text
    assert "explanation" not in plain.data["memories"][0]
    assert [word["word"] for word in explained.data["memories"][0]["explanation"]["words"]] == ["peanuts"]


def test_the_parts_of_a_long_query_have_room_in_an_answer() -> None:
    ana = memweld.connect("sqlite://", embedder=HashEmbedder()).user("ana")
    words = " ".join(f"word{number}" for number in range(64))
    for number in range(50):
        ana.add(f"{number} {words}")
    answer = TOOLS["search_memories"](ana, {"query": words, "limit": 50, "explain": True})
    assert len(answer.data["memories"]) == 50
    assert len(answer.text) < 40_000
    assert len(dump_json(answer.data)) < 64_000

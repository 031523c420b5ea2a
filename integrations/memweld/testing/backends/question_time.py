"""Questions that name a time: what was said or held true then goes first, and nothing is lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from ... import Backend, Explanation, Memory
from ...errors import InvalidInputError
from ...tools import TOOLS
from ...tools.call import run_tool
from ...validation import utc_now
from .base import BackendFixtures

__all__ = ["QuestionTimeTests"]

NOW = "2026-11-28T18:30:00Z"
IN_PORTO, IN_LISBON = "I live in Porto", "I live in Lisbon"


def first(memory: Memory, query: str, now: str = NOW) -> str:
    """The text of the best hit."""
    return memory.search(query, now=now)[0].text


def live(memory: Memory) -> None:
    """A move in June 2026, and other things that were said in the year."""
    (porto,) = memory.add(IN_PORTO, created_at="2026-01-10T12:00:00Z", infer=False)
    memory.add("I love long walks", created_at="2026-02-01T12:00:00Z", infer=False)
    memory.add(IN_LISBON, created_at="2026-06-10T12:00:00Z", supersedes=porto.id, infer=False)


class QuestionTimeTests(BackendFixtures):
    """Times in queries."""

    def test_a_question_about_the_past_finds_what_held_then(self, ana: Memory) -> None:
        """The home of March, in March; today's today; and both are marked in a recall."""
        live(ana)
        for query in ("Where did I live in March?", "Where did I live last spring?", "Where did I live before May?"):
            assert first(ana, query) == IN_PORTO
        for query in ("Where did I live in August?", "Where do I live?", "Where do I live today?"):
            assert first(ana, query) == IN_LISBON
        for query in ("Where do I live?", "Where do I live now, this week?", "Where do I live?"):
            assert IN_PORTO not in [hit.text for hit in ana.search(query, now=NOW)]
        block = ana.recall("Where did I live in March?", now=NOW)
        assert f"- [2026-01-10] {IN_PORTO} (until 2026-06-10)" in block
        assert f"{IN_LISBON}\n" in block
        assert asyncio.run(ana.aio.search("Where did I live in March?", now=NOW))[0].text == IN_PORTO

    def test_a_question_about_once_finds_what_is_over(self, ana: Memory) -> None:
        """The earlier home goes first, whoever calls it so; another time in the question counts alone."""
        now = utc_now()
        ana.add(IN_PORTO, created_at=now - timedelta(days=900), infer=False)
        ana.add("I love long walks", created_at=now - timedelta(days=800), infer=False)
        ana.add("I moved to Lisbon", created_at=now - timedelta(days=300), infer=False)
        for query in (
            "Where did I live before?",
            "Where did I use to live?",
            "¿Dónde vivía antes?",
            "my previous home",
        ):
            assert first(ana, query, now.isoformat()) == IN_PORTO
        assert f"{IN_PORTO} (until {now - timedelta(days=300):%Y-%m-%d})" in ana.recall("Where did I live before?")
        for query in (
            "What should I do before my flight?",
            "Where do I live?",
            "Where did I previously live last month?",
        ):
            assert IN_PORTO not in [hit.text for hit in ana.search(query, limit=9)]
        as_of = ana.search("Where did I live before?", as_of=now)
        assert IN_PORTO not in [hit.text for hit in as_of]

    def test_what_was_said_of_late_goes_first(self, ana: Memory) -> None:
        """Recently is the last 30 days."""
        now = utc_now()
        for day, text in ((400, "I bought a red bike"), (3, "I bought a red coat"), (90, "I bought a red lamp")):
            ana.add(text, created_at=now - timedelta(days=day), infer=False)
        for query in ("What did I buy recently?", "What red thing have I bought lately?"):
            assert first(ana, query, now.isoformat()) == "I bought a red coat"

    def test_what_was_said_then_goes_first(self, ana: Memory) -> None:
        """Any occurrence counts, and what was said at other times stays behind it."""
        ana.add("I cooked fish soup", created_at="2026-11-18T12:00:00Z", infer=False)
        ana.add("I cooked bean soup", created_at="2026-11-03T12:00:00Z", infer=False)
        ana.add("I cooked bean soup", created_at="2026-07-03T12:00:00Z", metadata={"place": "here"}, infer=False)
        for query, expected in (
            ("Which soup have I cooked last week?", ["I cooked fish soup", "I cooked bean soup"]),
            ("Which soup have I cooked in July?", ["I cooked bean soup", "I cooked fish soup"]),
            ("Which soup have I cooked on 3 November?", ["I cooked bean soup", "I cooked fish soup"]),
        ):
            assert [hit.text for hit in ana.search(query, now=NOW)] == expected
        # No word says what is asked: the window alone decides.
        assert first(ana, "What did I do last week?") == "I cooked fish soup"
        assert first(ana, "in July") == "I cooked bean soup"

    def test_the_words_of_the_time_are_no_words_of_the_question(self, ana: Memory) -> None:
        """A march is no month, and a week is no answer to "last week"."""
        ana.add("We march every week", created_at="2026-10-01T12:00:00Z", infer=False)
        ana.add("The trip went to Faro", created_at="2026-03-05T12:00:00Z", infer=False)
        assert first(ana, "Where did the trip go in March?") == "The trip went to Faro"
        march = {hit.text: hit.score for hit in ana.search("the trip in March", limit=9, now=NOW)}
        assert march.get("We march every week", 0.0) < 0.1

    def test_a_text_that_names_the_time_goes_first_too(self, ana: Memory) -> None:
        """Whenever it was said: a meeting on Friday, a trip in May 2027."""
        ana.add("I swim in the lake", created_at="2026-11-27T12:00:00Z", infer=False)
        ana.add("I meet the bank on Friday", created_at="2026-10-01T12:00:00Z", infer=False)
        ana.add("I travel to Faro in May 2027", created_at="2026-09-01T12:00:00Z", infer=False)
        ana.add("I travel to Rome in May", created_at="2026-09-02T12:00:00Z", infer=False)
        assert "I meet the bank on Friday" in [hit.text for hit in ana.search("on Friday", limit=2, now=NOW)]
        assert first(ana, "Where do I travel to in May 2027?") == "I travel to Faro in May 2027"

    def test_without_a_time_nothing_changes(self, ana: Memory) -> None:
        """Nor with a look-alike, nor where the caller names the moment."""
        live(ana)
        ana.settle_graph(20)
        plain = ana.search("May I ask where I live?", limit=9)
        assert plain == ana.search("May I ask where I live?", limit=9, now="2020-01-01T00:00:00Z")
        as_of = ana.search("Where did I live in March?", as_of="2026-08-01", now=NOW)
        assert IN_PORTO not in [hit.text for hit in as_of]

    def test_the_zone_of_the_user_says_which_day_it_is(self, make: Callable[..., Backend]) -> None:
        """At 23:30 UTC yesterday is another day in Tokyo."""
        memory = make(timezone="Asia/Tokyo").user("ana")
        memory.add("I ate rice for lunch", created_at="2026-11-28T03:00:00Z", infer=False)
        memory.add("I ate soup for lunch", created_at="2026-11-27T03:00:00Z", infer=False)
        assert first(memory, "What lunch did I eat yesterday?", "2026-11-28T23:30:00Z") == "I ate rice for lunch"
        assert first(make().user("ana"), "What lunch did I eat yesterday?", "2026-11-28T23:30:00Z") == (
            "I ate soup for lunch"
        )

    def test_the_future(self, ana: Memory) -> None:
        """What begins next month is found by a question about next month, and by no other."""
        begins = utc_now() + timedelta(days=35)
        ana.add("I work at Acme", infer=False)
        ana.add("I work at Initech", valid_from=begins - timedelta(days=40), infer=False)
        ana.add("I work at Globex", valid_from=begins - timedelta(days=5), infer=False)
        found = {hit.text: hit for hit in ana.search("Where do I work in the next 60 days?", limit=9)}
        assert "I work at Globex" in found
        assert f"I work at Globex (from {begins - timedelta(days=5):%Y-%m-%d})" in ana.recall(
            "Where do I work in the next 60 days?"
        )
        assert "I work at Globex" not in [hit.text for hit in ana.search("Where do I work?", limit=9)]

    def test_the_part_of_the_time_in_an_explanation(self, ana: Memory) -> None:
        """The parts add up to the score, with age too."""
        live(ana)
        ana.settle_graph(20)
        for recency in (None, timedelta(days=30)):
            hits = ana.search("Where did I live in March?", limit=9, explain=True, now=NOW, recency=recency)
            parts = {hit.text: cast("Explanation", hit.explanation) for hit in hits}
            for hit in hits:
                each = parts[hit.text]
                fit = sum(word.score for word in each.words) + max(each.cosine, 0) * each.known + each.session
                score = (1 - math.exp(-fit - each.time) + each.entities) * each.recency
                assert hit.score == pytest.approx(score, rel=1e-4, abs=1e-6)
                assert sum(each.shares.values()) == pytest.approx(hit.score, rel=1e-4, abs=1e-6)
                assert [word.word for word in each.words if word.word == "March"] == []
            assert parts[IN_PORTO].time > 0 > parts[IN_LISBON].time

    def test_agents_see_no_more_by_a_time(self, backend: Backend, bob: Memory) -> None:
        """A window reaches no other agent's memories and no other user's."""
        cook, guide = backend.user("ana", agent_id="cook"), backend.user("ana", agent_id="guide")
        live(cook)
        bob.add("I live in Faro", created_at="2026-03-10T12:00:00Z", infer=False)
        assert guide.search("Where did I live in March?", now=NOW) == []
        assert first(cook, "Where did I live in March?") == IN_PORTO
        assert first(backend.user("ana"), "Where did I live in March?") == IN_PORTO
        assert IN_PORTO not in [hit.text for hit in bob.search("Where did I live in March?", now=NOW)]

    def test_a_tool_finds_it_too(self, ana: Memory) -> None:
        """The query of a tool is a question, and the answer says until when."""
        now = utc_now()
        (porto,) = ana.add(IN_PORTO, created_at=now - timedelta(days=900), infer=False)
        ana.add(IN_LISBON, created_at=now - timedelta(days=30), supersedes=porto.id, infer=False)
        answer = run_tool(TOOLS["search_memories"], lambda: ana, {"query": "Where did I live two years ago?"})
        assert answer.text.index(IN_PORTO) < answer.text.index(IN_LISBON)
        assert f"{IN_PORTO} (until {now - timedelta(days=30):%Y-%m-%d})" in answer.text

    @pytest.mark.parametrize("now", ["last week", 3])
    def test_no_time_is_refused(self, ana: Memory, now: object) -> None:
        """``now`` is a moment."""
        with pytest.raises(InvalidInputError, match="now"):
            ana.search("tea", now=now)  # pyright: ignore[reportArgumentType]

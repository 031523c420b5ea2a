"""Search: the least score that counts, and what age leaves of a score."""

from __future__ import annotations

import asyncio
import itertools
import math
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from ... import Backend, Explanation, Memory
from ...errors import InvalidInputError
from .base import BackendFixtures

__all__ = ["SearchTests"]

_QUERY = "Which train goes to Porto?"
_FITS = ("The train to Porto leaves at nine", "I take the train to work", "My sister Clara likes peanuts")


class SearchTests(BackendFixtures):
    """Search: the least score that counts, and what age leaves of a score."""

    def test_min_score_keeps_out_what_fits_less(self, ana: Memory) -> None:
        """The hits are those that a search without it gives such a score, in their order, and recall follows."""
        for text in _FITS:
            ana.add(text)
        ana.settle_graph(20)
        hits = ana.search(_QUERY, limit=10)
        assert [hit.text for hit in hits] == list(_FITS)
        for count, (better, worse) in enumerate(itertools.pairwise(hits), 1):
            least = (better.score + worse.score) / 2
            assert ana.search(_QUERY, limit=10, min_score=least) == hits[:count]
            assert ana.search(_QUERY, limit=1, min_score=least) == hits[:1]
            block = ana.recall(_QUERY, limit=10, min_score=least)
            assert [text in block for text in _FITS] == [at < count for at in range(3)]
        assert ana.search(_QUERY, limit=10, min_score=0) == hits
        assert ana.search(_QUERY, limit=10, min_score=1) == []
        assert ana.recall(_QUERY, min_score=1) == ""

    @pytest.mark.parametrize("score", [-0.01, 1.01, float("nan"), "high", True])
    def test_what_is_no_score_is_refused(self, ana: Memory, score: Any) -> None:
        """A score lies between 0 and 1."""
        ana.add(_FITS[0])
        for ask in (ana.search, ana.recall):
            with pytest.raises(InvalidInputError, match="min_score"):
                ask(_QUERY, min_score=score)

    def test_only_the_named_memories_are_searched(self, ana: Memory, bob: Memory) -> None:
        """They are chosen before they are ranked, with the scores of any search; no other user's is among them."""
        ids = [ana.add(f"the ficus drinks on day {number}")[0].id for number in range(12)]
        rare = ana.add("a palm in the garden")[0]
        foreign = bob.add("the ficus drinks at night")[0]
        assert [hit.id for hit in ana.search("ficus", limit=1, ids=[rare.id, foreign.id, "none"])] == [rare.id]
        scores = {hit.id: hit.score for hit in ana.search("ficus", limit=20)}
        found = ana.search("ficus", limit=20, ids=ids[3:5])
        assert {hit.id: hit.score for hit in found} == {each: scores[each] for each in ids[3:5]}
        assert ana.search("ficus", ids=[]) == []

    def test_an_explanation_gives_the_parts_of_a_score(self, backend: Backend) -> None:
        """The parts recompute each score: of words, meaning, neighbours in the session, age, and an agent's part."""
        ana, helper = backend.user("ana"), backend.user("ana", agent_id="helper")
        turns = [("user", "Which train do I take to Porto?"), ("assistant", "The one at nine")]
        ana.add([{"role": role, "content": text} for role, text in turns], session_id="s1", infer=False)
        ana.add("My sister Clara likes peanuts", created_at=datetime.now(timezone.utc) - timedelta(days=30))
        helper.add("The train to Porto is late, says Porto's station")
        ana.settle_graph(20)
        for memory, recency in itertools.product((ana, helper), (None, timedelta(days=30))):
            plain = memory.search("Does Clara take the zebra train to Porto?", limit=10, recency=recency)
            hits = memory.search("Does Clara take the zebra train to Porto?", limit=10, recency=recency, explain=True)
            assert [hit.id for hit in hits] == [hit.id for hit in plain]
            assert all(hit.explanation is None for hit in plain)
            for hit, same in zip(hits, plain, strict=True):
                parts = cast("Explanation", hit.explanation)
                fit = sum(word.score for word in parts.words) + max(parts.cosine, 0) * parts.known + parts.session
                score = (1 - math.exp(-fit) + parts.entities) * parts.recency
                assert hit.score == parts.score == pytest.approx(same.score, rel=1e-5) == pytest.approx(score, rel=1e-5)
                assert sum(parts.shares.values()) == pytest.approx(hit.score, rel=1e-5)
                words = {word.word: word for word in parts.words}
                assert set(words) == {"Clara", "take", "zebra", "train", "Porto"}
                assert sum(word.weight for word in parts.words) == pytest.approx(1)
                assert words["zebra"].score == 0 < words["zebra"].weight
                assert [name for name in words if words[name].score] == [
                    name for name in words if name.lower() in hit.text.lower()
                ]
                is_old = "Clara" in hit.text and recency is not None
                assert parts.recency == pytest.approx(0.5 if is_old else 1, rel=1e-3)
                # The answer says less than its neighbour, the question.
                assert parts.session > 0 if hit.text == turns[1][1] else hit.session_id or parts.session == 0

    def test_recency_halves_a_score_with_each_half_life(self, backend: Backend) -> None:
        """Of a fact, and of what an agent keeps of the user; what is new, or lies in the future, loses nothing."""
        now = datetime.now(timezone.utc)
        ana, helper = backend.user("ana"), backend.user("ana", agent_id="helper")
        ages = (60.0, 30.0, 0.0, -30.0)
        texts = [f"The train to Porto leaves at {hour}" for hour in ("one", "two", "three", "four")]
        for age, text, owner in zip(ages, texts, (ana, helper, ana, helper), strict=True):
            owner.add(text, created_at=now - timedelta(days=age))
        # Where there is a graph that answers, it raises scores from the moment on at which it was told.
        ana.settle_graph(20)
        for memory in (ana, helper):
            memory.search(_QUERY)
            plain = {hit.text: hit.score for hit in memory.search(_QUERY, limit=10)}
            aged = {hit.text: hit.score for hit in memory.search(_QUERY, limit=10, recency=timedelta(days=30))}
            assert set(aged) == set(plain) == set(texts if memory is ana else texts[1::2])
            for text, share in zip(texts, (0.25, 0.5, 1.0, 1.0), strict=True):
                if text in plain:
                    assert aged[text] == pytest.approx(plain[text] * share, rel=1e-3)

    def test_recency_lets_the_newer_go_first(self, ana: Memory) -> None:
        """An old fact that fits better falls behind a new one: in the order, under a limit, and in a recall."""
        year_ago = datetime.now(timezone.utc) - timedelta(days=365)
        ana.add("The train to Porto goes at nine", created_at=year_ago)
        ana.add("I take the train to work")
        month = timedelta(days=30)
        old, new = ana.search(_QUERY, limit=2)
        assert (old.text, new.text) == ("The train to Porto goes at nine", "I take the train to work")
        assert [hit.id for hit in ana.search(_QUERY, limit=2, recency=month)] == [new.id, old.id]
        assert [hit.id for hit in ana.search(_QUERY, limit=1, recency=month)] == [new.id]
        block = ana.recall(_QUERY, limit=1, recency=month)
        assert (new.text in block, old.text in block) == (True, False)
        # The least score is one that age has been taken from.
        assert [hit.id for hit in ana.search(_QUERY, min_score=new.score * 0.9, recency=month)] == [new.id]
        found = asyncio.run(ana.aio.search(_QUERY, min_score=new.score * 0.9, recency=month))
        assert [hit.id for hit in found] == [new.id]

    def test_recency_of_keyed_facts(self, ana: Memory) -> None:
        """Preferences and task outcomes age as facts do, and their own searches take no notice of it."""
        ana.preferences.set("train", "the window seat")
        ana.tasks.record("porto", outcome="took the train", success=True)
        plain = ana.search("the train", limit=10, kinds=["preference", "task"])
        assert len(plain) == 2
        aged = ana.search("the train", limit=10, kinds=["preference", "task"], recency=timedelta(days=30))
        assert [hit.id for hit in aged] == [hit.id for hit in plain]
        assert [hit.score for hit in aged] == pytest.approx([hit.score for hit in plain], rel=1e-3)

    def test_a_key_is_as_old_as_what_it_was_set_to(self, ana: Memory) -> None:
        """A preference that is set anew is new, however long there has been one."""
        ana.preferences.set("train", "the window seat")
        exported = ana.export()
        month_ago = (datetime.now(timezone.utc) - timedelta(days=30)).isoformat()
        items = cast("list[dict[str, Any]]", exported["items"])
        exported["items"] = [{**item, "created_at": month_ago, "updated_at": month_ago} for item in items]
        ana.erase()
        ana.restore(exported)

        def left() -> float:
            (plain,), (aged,) = (
                ana.search("which seat", kinds="preference", recency=recency) for recency in (None, timedelta(days=30))
            )
            return aged.score / plain.score

        assert left() == pytest.approx(0.5, rel=1e-3)
        ana.preferences.set("train", "the seat by the door")
        assert left() == pytest.approx(1, rel=1e-3)

    @pytest.mark.parametrize("recency", [timedelta(0), timedelta(days=-1), 30, "a month"])
    def test_what_is_no_time_is_refused(self, ana: Memory, recency: Any) -> None:
        """A half-life is longer than nothing."""
        ana.add(_FITS[0])
        for ask in (ana.search, ana.recall):
            with pytest.raises(InvalidInputError, match="recency"):
                ask(_QUERY, recency=recency)

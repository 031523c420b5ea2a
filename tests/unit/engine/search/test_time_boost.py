"""The window of a search: by its query, its present and its zone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from memweld.engine.operations import Search
from memweld.engine.search.time_boost import timed_query

NOW = datetime(2026, 11, 28, 23, 30, tzinfo=timezone.utc)


def test_a_search_with_a_moment_of_its_own_has_no_window() -> None:
    query = "Where did I live in March?"
    assert timed_query(Search(query=query, now=NOW), query) is not None
    assert timed_query(Search(query=query, now=NOW, as_of=NOW), query) is None


@pytest.mark.parametrize(("zone", "day"), [("Asia/Tokyo", 28), (None, 27), ("Mars/Olympus_Mons", 27), ("../etc", 27)])
def test_a_zone_that_the_machine_lacks_is_the_zone_of_now(zone: str | None, day: int) -> None:
    """A client may know more zones than its server."""
    timed = timed_query(Search(query="yesterday", now=NOW, timezone=zone), "yesterday")
    assert timed is not None
    assert datetime.fromtimestamp(timed.window.end - 1, timezone.utc).day == day


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("What did I do last week?", ""),
        ("What happened yesterday?", ""),
        ("Was habe ich letzte Woche gemacht?", ""),
        ("last week", ""),
        ("What did I cook last week?", "What did I cook ?"),
    ],
)
def test_words_that_ask_what_there_was_tell_nothing(query: str, words: str) -> None:
    timed = timed_query(Search(query=query, now=NOW), query)
    assert timed is not None
    assert timed.words == words

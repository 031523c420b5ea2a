"""Filters, times and sessions: which memories are found, listed and deleted, and what of a session is forgotten."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest

from ... import Backend, Memory
from ...engine.filters import metadata_filter, validate_filters
from ...errors import InvalidInputError
from ...models import MemoryItem
from ...validation import dump_json
from ..llm import ScriptedExtractor, facts
from .base import BackendFixtures

__all__ = ["FilterTests"]

_TRIPS: dict[str, dict[str, Any]] = {
    "rome": {
        "price": 90, "city": "Rome", "tags": ["art", 1], "when": "2024-05-03", "at": {"lat": 41.9, "in": "IT"},
        "run_id": "r1", "created_at": "2024-05-01",
    },
    "oslo": {"price": 120.5, "city": "Oslo", "tags": [], "when": "2024-07-01", "paid": True, "run_id": "r2"},
    "lima": {"price": "95", "city": "lima\u0000", "paid": None, "a\\u0000b": "\\u0000"},
    "bare": {},
}  # fmt: skip
# What fits, in the order above.
_FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"price": {"$eq": 90}}, "rome"),
    ({"price": {"$ne": 90}}, "oslo lima bare"),
    ({"price": {"$gt": 90}}, "oslo lima"),
    ({"price": {"$gte": 90, "$lt": 100}}, "rome lima"),
    ({"price": {"$lte": "95"}}, "rome lima"),
    ({"price": {"$lt": float("inf")}}, "rome oslo lima"),
    ({"when": {"$gte": "2024-05", "$lt": "2024-06"}}, "rome"),
    ({"city": {"$gt": "Rome"}}, "lima"),
    ({"city": {"$lt": 5}}, ""),
    ({"city": "lima\u0000"}, "lima"),
    ({"city": {"$contains": "m"}}, "rome lima"),
    ({"city": {"$icontains": "O"}}, "rome oslo"),
    ({"tags": {"$contains": "art"}}, "rome"),
    ({"tags": {"$contains": 1}}, "rome"),
    ({"tags": {"$contains": True}}, ""),
    ({"tags": {"$eq": ["art", 1]}}, "rome"),
    ({"tags": {"$eq": []}}, "oslo"),
    ({"price": {"$in": [90, "95", 1]}}, "rome lima"),
    ({"price": {"$nin": [90, "95"]}}, "oslo bare"),
    ({"price": {"$in": []}}, ""),
    ({"paid": {"$exists": True}}, "oslo lima"),
    ({"paid": {"$exists": False}}, "rome bare"),
    ({"paid": None}, "lima"),
    ({"paid": {"$in": [None, 1]}}, "lima"),
    ({"paid": {"$not": {"$eq": True}}}, "rome lima bare"),
    ({"at": {"lat": {"$gt": 41}}}, "rome"),
    ({"at": {"lat": {"$ne": 1}}}, "rome"),
    ({"at": {"$eq": {"in": "IT", "lat": 41.90}}}, "rome"),
    ({"at": {"$eq": {"in": "IT"}}}, ""),
    ({"a\\u0000b": {"$ne": "x"}, "city": "lima\u0000"}, "lima"),
    ({"a\\u0000b": {"$eq": "\\u0000"}}, "lima"),
    ({"$or": [{"city": "Rome"}, {"paid": True}]}, "rome oslo"),
    ({"$and": [{"price": {"$gt": 1}}, {"paid": {"$exists": True}}]}, "oslo lima"),
    ({"$not": {"city": "Rome"}}, "oslo lima bare"),
    ({"$not": [{"city": "Rome"}, {"paid": True}]}, "lima bare"),
    ({"city": "Oslo", "$or": [{"price": 1}, {"$not": [{"price": 1}]}]}, "oslo"),
    # as mem0 has it
    ({"price": {"gte": 90, "lt": 100}}, "rome lima"),
    ({"price": {"in": [90, 1]}, "city": {"ne": "Oslo"}}, "rome"),
    ({"AND": [{"price": {"gt": 1}}, {"paid": "*"}]}, "oslo lima"),
    ({"OR": [{"city": {"icontains": "ROM"}}, {"paid": {"eq": True}}]}, "rome oslo"),
    ({"NOT": [{"city": "Rome"}, {"price": "*"}]}, "bare"),
    ({"city": "*", "price": {"nin": [90]}}, "oslo lima"),
    # metadata with names of columns of mem0's
    ({"run_id": {"$eq": "r1"}}, "rome"),
    ({"$or": [{"created_at": {"$lt": "2024-06"}}, {"run_id": {"$in": ["r2"]}}]}, "rome oslo"),
    ({"created_at": "2024-05-01"}, "rome"),
]
_REFUSED: list[tuple[Any, str]] = [
    ({"n": {"$regex": ".*"}}, "no such operator"),
    ({"n": {"$gt": True}}, "a number or a text"),
    ({"n": {"$in": "abc"}}, "a list of values"),
    ({"n": {"$exists": 1}}, "true or false"),
    ({"n": {"$contains": ["a"]}}, "a part of a text"),
    ({"n": {"$icontains": 1}}, "a part of a text"),
    ({"n": {"gte": 1, "unit": "cm"}}, "operator of mem0's"),
    ({"n": [1, 2]}, "bare list"),
    ({"$nor": [{"n": 1}]}, "no field begins"),
    ({"$or": []}, "a list of objects"),
    ({"$and": {"n": 1}}, "a list of objects"),
    ({"OR": [{}]}, "a list of objects"),
    ({"$or": [{"n": 1}], "OR": [{"n": 1}]}, "means the same"),
    ({"n": {"$in": ["x" * 70_000]}}, "characters"),
    ({f"k{number}": {"$gt": 1, "$lt": 3} for number in range(51)}, "at most 100"),
    ({"user_id": {"$ne": "ana"}}, "chooses no user"),
    ({"AND": [{"user_id": "bob"}]}, "chooses no user"),
    ({"and": [{"price": 3}]}, "AND.*and"),
    ({"or": [{"price": 3}]}, "OR.*or"),
    ({"$or": [{"n": 1}, {"$not": {"agent_id": "x"}}]}, "chooses no user"),
    ({"NOT": [{"run_id": "s1"}]}, "session_id="),
    ({"run_id": "s1"}, "session_id="),
    ({"run_id": {"in": ["s1"]}}, "session_id="),
    ({"AND": [{"created_at": {"gte": "2024-07-01"}}]}, "after= and before="),
]
_MAY, _JUNE = "2024-05-01", "2024-06-01"


def _texts(items: list[Any]) -> list[str]:
    return [item.text for item in items]


def _some_value(chance: random.Random, levels: int = 1) -> Any:
    scalars = [
        None,
        True,
        False,
        0,
        1,
        -2,
        1.0,
        2.5,
        10**30,
        "",
        "a",
        "b",
        "ab",
        "A",
        "1",
        "2.5",
        "-3",
        "inf",
        "é",
        "\x00",
    ]
    if levels and chance.random() < 0.3:
        inside = [_some_value(chance, levels - 1) for _ in range(chance.randrange(3))]
        return chance.choice([inside, dict(zip("xy", inside, strict=False))])
    return chance.choice(scalars)


def _some_metadata(chance: random.Random) -> dict[str, Any]:
    return {name: _some_value(chance) for name in "abc" if chance.random() < 0.7}


def _some_filters(chance: random.Random, levels: int) -> dict[str, Any]:
    if levels and chance.random() < 0.5:
        parts = [_some_filters(chance, levels - 1) for _ in range(chance.randrange(1, 3))]
        return {chance.choice(["$and", "$or", "$not"]): parts}
    operators: list[dict[str, Any]] = [
        {chance.choice(["$eq", "$ne"]): _some_value(chance)},
        {chance.choice(["$gt", "$gte", "$lt", "$lte"]): chance.choice([0, 1, 2.5, "1", "a", "ab", "é", float("inf")])},
        {chance.choice(["$in", "$nin"]): [_some_value(chance), _some_value(chance)]},
        {"$exists": chance.random() < 0.5},
        {"$contains": _some_value(chance, 0)},
        {"$icontains": chance.choice(["A", "b", "", "1"])},
        {"$not": {"$gt": 0}},
        {"x": {"$ne": _some_value(chance)}},
    ]
    return {name: chance.choice([*operators, _some_value(chance, 0)]) for name in chance.sample("abc", 2)}


def _nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"n": 1}
    for _ in range(levels):
        condition = {"$not": condition}
    return condition


class FilterTests(BackendFixtures):
    """Filters, times and sessions: which memories are found, listed and deleted."""

    def test_filters_have_operators(self, ana: Memory, bob: Memory) -> None:
        """A list, a search and the two spellings agree; a missing field equals nothing."""
        for memory in (bob, ana):
            for text, metadata in _TRIPS.items():
                memory.add(f"trip {text}", metadata=metadata)
        for filters, expected in _FILTERS:
            wanted = [f"trip {name}" for name in expected.split()]
            assert _texts(ana.all(filters=filters)) == wanted, filters
            hits = ana.search("trip rome oslo lima bare", limit=10, filters=filters)
            assert {(hit.text, hit.user_id) for hit in hits} == {(text, "ana") for text in wanted}, filters
        assert "rome" in ana.recall("trip", filters={"price": {"$lt": 95}})
        assert ana.recall("trip", filters={"price": {"$lt": 9}}) == ""

    def test_generated_filters_are_answered_alike(self, ana: Memory) -> None:
        """Each backend answers as Python's own evaluation of the filter does."""
        chance = random.Random(15)  # noqa: S311 - a reproducible choice, no secret
        stored = {f"note {number}": _some_metadata(chance) for number in range(25)}
        for text, metadata in stored.items():
            ana.add(text, metadata=metadata)
        for _ in range(60):
            filters = _some_filters(chance, 2)
            fits = metadata_filter(dump_json(validate_filters(filters)))
            expected = [text for text, metadata in stored.items() if fits(metadata)]
            assert _texts(ana.all(filters=filters)) == expected, filters

    def test_wrong_filters_are_refused(self, ana: Memory) -> None:
        """The error names the rule; nothing is deleted."""
        ana.add("I like tea", metadata={"n": 1})
        asked: list[Callable[[Any], object]] = [
            lambda filters: ana.search("tea", filters=filters),
            lambda filters: ana.all(filters=filters),
            lambda filters: ana.recall("tea", filters=filters),
            lambda filters: ana.delete_all(filters=filters),
        ]
        for ask in asked:
            for filters, rule in _REFUSED:
                with pytest.raises(InvalidInputError, match=rule):
                    ask(filters)
            with pytest.raises(InvalidInputError, match="levels deep"):
                ask(_nested(30))
        assert len(ana.all()) == 1
        assert ana.all(filters=_nested(10)) == ana.all()

    def test_one_occurrence_must_fit(self, ana: Memory) -> None:
        """The metadata of one occurrence, or all together, meet the whole filter; so do session and time."""
        ana.add(
            "I like the window seat", metadata={"trip": "rome", "cost": 10}, session_id="a", created_at="2024-05-03"
        )
        ana.add(
            "I like the window seat", metadata={"trip": "oslo", "cost": 50}, session_id="b", created_at="2024-07-03"
        )
        ana.add("I like tea", created_at="2024-05-04")

        def found(**options: Any) -> bool:
            listed = ana.all(**options)
            assert _texts(ana.search("window seat", **options)) == _texts(listed)
            assert all(item.text == "I like the window seat" for item in listed)
            return bool(listed)

        assert found(filters={"cost": {"$lt": 20}})
        assert found(filters={"cost": {"$gt": 20}, "trip": "oslo"})
        assert not found(filters={"cost": {"$lt": 20}, "trip": "oslo"})
        assert found(filters={"trip": {"$ne": "rome"}, "cost": {"$exists": True}})
        assert found(session_id="b", filters={"cost": {"$gt": 20}})
        assert not found(session_id="b", filters={"cost": {"$lt": 20}})
        assert found(session_id="b", after="2024-07-01")
        assert not found(session_id="b", before="2024-07-01")
        assert found(after="2024-07-01", filters={"trip": "oslo"})

    def test_times_choose_memories(self, backend: Backend) -> None:
        """From ``after`` on and before ``before``; a day begins in the memory's zone."""
        ana = backend.user("ana", timezone="America/Lima")
        ana.add("I bought a red bike", created_at="2024-04-30T23:59:59-05:00")
        ana.add("I bought a blue bike", created_at="2024-05-01T00:00:00-05:00")
        ana.add("I bought a green bike", created_at="2024-06-01T04:59:59Z")
        ana.add("I bought a grey bike", created_at="2024-06-01T05:00:00Z")
        ana.add("I bought a grey bike", session_id="again", created_at="2023-01-01")
        ana.preferences.set("bike", "a black bike")
        year = timedelta(days=365)
        for after, before, expected in (
            (_MAY, _JUNE, "blue green"),
            (date(2024, 5, 1), date(2024, 6, 1), "blue green"),
            (_JUNE, "2024-07-01", "grey"),
            (None, _MAY, "red grey"),
            ("2024-04-30T23:00:00-05:00", datetime(2024, 5, 1, 5, tzinfo=timezone.utc), "red"),
            (datetime.now(timezone.utc) - year, None, "black"),
            ("0001-01-01", "9999-12-31", "red blue green grey black"),
            ("9999-12-30", None, ""),
        ):
            listed = _texts(ana.all(after=after, before=before))
            assert [text.split()[-2] for text in listed] == expected.split(), (after, before)
            assert {hit.text for hit in ana.search("bike", limit=10, after=after, before=before)} == set(listed)
            block = ana.recall("bike", limit=10, after=after, before=before)
            assert all(text in block for text in listed)
            assert block.count("bike") == len(listed) + listed.count("bike: a black bike")
        for wrong in ({"after": "May"}, {"after": _JUNE, "before": _MAY}, {"before": 5}):
            with pytest.raises(InvalidInputError):
                ana.all(**wrong)  # pyright: ignore[reportArgumentType]

    def test_memories_are_deleted_by_conditions(self, ana: Memory, bob: Memory) -> None:
        """All that meet them, superseded ones included; a condition is needed, and no other user's go."""
        for memory in (ana, bob):
            memory.add("I rent a flat", metadata={"topic": "home"}, session_id="s1", created_at="2024-04-01")
            (old,) = memory.add("I live in Porto", metadata={"topic": "home"}, created_at="2024-05-02")
            memory.add("I live in Faro", metadata={"topic": "home"}, created_at="2024-07-02", supersedes=old.id)
            memory.add("I like tea", metadata={"topic": "food", "n": 3}, session_id="s1", created_at="2024-05-03")
            memory.preferences.set("theme", "dark")
            memory.state("n").set("k", 1, text="The ficus drinks")
        with pytest.raises(InvalidInputError, match=r"clear\(\)"):
            ana.delete_all()
        with pytest.raises(InvalidInputError, match=r"clear\(\)"):
            ana.delete_all(filters={})
        assert ana.delete_all(filters={"topic": "none"}) == 0
        assert ana.delete_all(filters={"n": {"$gte": 3}}, after=_MAY, before=_JUNE) == 1
        assert ana.delete_all(session_id="s1", kinds="preference") == 0
        assert ana.delete_all(session_id="s1") == 1
        # Porto goes with Faro, and counts with it.
        assert ana.delete_all(filters={"topic": "home"}) == 1
        assert _texts(ana.all(include_inactive=True)) == ["theme: dark", "The ficus drinks"]
        assert ana.delete_all(before="2100-01-01") == 1
        assert (ana.preferences.all(), ana.state("n")["k"]) == ({}, 1)
        assert asyncio.run(ana.aio.delete_all(kinds="record")) == 1
        assert (ana.all(), list(ana.state("n"))) == ([], [])
        assert len(bob.all(include_inactive=True)) == 6
        assert ana.search("tea flat Porto") == []

    def test_a_deletion_by_conditions_keeps_to_its_scope(self, backend: Backend) -> None:
        """A user's takes along what their agents keep; an agent's takes its own alone."""
        ana, helper = backend.user("ana"), backend.user("ana", agent_id="helper")
        for memory in (ana, helper, backend.agent("helper")):
            memory.add(f"kept by {memory.scope}", metadata={"n": 1})
        assert helper.delete_all(filters={"n": 1}) == 1
        assert len(ana.all()) == 1
        helper.add("again", metadata={"n": 1})
        assert ana.delete_all(filters={"n": {"$gt": 0}}) == 2
        assert len(backend.agent("helper").all()) == 1

    def test_a_session_takes_its_facts_along(self, backend: Backend, ana: Memory, bob: Memory) -> None:
        """What it alone says goes; what others also say loses this occurrence; without ``facts`` all stay."""
        helper = backend.user("ana", agent_id="helper")
        for memory in (ana, bob, helper):
            memory.history("s1").append({"role": "user", "content": "hello"})
            memory.add("I like tea", session_id="s1", metadata={"from": "s1"})
            memory.add("I live in Porto", session_id="s1", metadata={"from": "s1"})
            memory.add("I live in Porto", session_id="s2", metadata={"from": "s2"})
            memory.add("I have a cat")
        ana.history("s2").append({"role": "user", "content": "hello"})
        assert ana.history("s2").clear() == 1
        assert len(ana.all(session_id="s2")) == 2
        assert ana.history("s1").clear(facts=True) == 1
        kept: list[MemoryItem] = [item for item in ana.all() if item.agent_id is None]
        assert _texts(kept) == ["I live in Porto", "I have a cat"]
        assert (kept[0].sessions, kept[0].metadata, kept[0].session_id) == (("s2",), {"from": "s2"}, "s2")
        assert [hit for hit in ana.search("tea", limit=10) if hit.agent_id is None and "tea" in hit.text] == []
        assert (ana.history("s1").messages(), ana.history("s1").clear(facts=True)) == ([], 0)
        assert (len(bob.all()), len(helper.all()), len(helper.history("s1").messages())) == (3, 3, 1)
        assert asyncio.run(helper.aio.history("s1").clear(facts=True)) == 1
        assert len(helper.all()) == 2

    def test_what_a_session_superseded_holds_again(self, ana: Memory) -> None:
        """What another session said stays: true again, or with the next one in its place; earlier texts leave."""
        (first,) = ana.add("My bike is red", session_id="s0")
        (second,) = ana.add("My bike is blue", session_id="s1", supersedes=first.id)
        (third,) = ana.add("My bike is green", session_id="s2", supersedes=second.id)
        (fourth,) = ana.add("My bike is grey", session_id="s1", supersedes=third.id)
        ana.update(fourth.id, "My bike is dark grey")
        assert _texts(ana.all()) == ["My bike is dark grey"]
        ana.history("s1").clear(facts=True)
        assert _texts(ana.all(include_inactive=True)) == ["My bike is red", "My bike is green"]
        assert _texts(ana.all()) == _texts(ana.search("bike")) == ["My bike is green"]
        assert _texts(ana.versions(third.id)) == ["My bike is red", "My bike is green"]
        assert ana.get(third.id).valid_until is None
        ana.history("s2").clear(facts=True)
        assert _texts(ana.all()) == ["My bike is red"]

    def test_what_comes_back_has_its_own_end(self, ana: Memory) -> None:
        """A memory that was over, or had an end to come, before another took its place."""
        for number, (end, undo) in enumerate(product(("2020-01-01", "2090-01-01"), ("clear", "keep_both"))):
            said = f"I rent room {number}"
            (lease,) = ana.add(said, valid_until=end, created_at="2019-01-01", infer=False)
            session = f"s{number}"
            (later,) = ana.add(
                f"I bought {number}", created_at="2025-01-01", supersedes=lease.id, session_id=session, infer=False
            )
            assert ana.get(lease.id).valid_until == min(later.created_at, lease.valid_until or later.created_at)
            ana.update(later.id, f"I have bought {number}")
            if undo == "clear":
                ana.history(session).clear(facts=True)
            else:
                ana.keep_both(lease.id, later.id)
            back = ana.get(lease.id)
            assert (back.superseded_by, back.valid_until) == (None, lease.valid_until)
            assert (said in _texts(ana.all())) is (end == "2090-01-01")

    def test_a_wrong_replacement_is_forgotten(self, ana: Memory) -> None:
        """What the rule superseded of another session holds again, also when a message is edited."""
        ana.capture([{"role": "user", "content": "I live in Porto"}], session_id="s1")
        ana.capture([{"role": "user", "content": "I moved to Lisbon", "id": "m1"}], session_id="s2")
        assert _texts(ana.all()) == ["I moved to Lisbon"]
        ana.capture([{"role": "user", "content": "I love Lisbon", "id": "m1"}], session_id="s2")
        assert _texts(ana.all()) == ["I live in Porto", "I love Lisbon"]
        ana.capture([{"role": "user", "content": "I moved to Faro"}], session_id="s3")
        ana.history("s3").clear(facts=True)
        assert _texts(ana.all(include_inactive=True)) == _texts(ana.all()) == ["I live in Porto", "I love Lisbon"]

    def test_a_session_takes_sources_and_captures_along(self, make: Callable[..., Backend]) -> None:
        """Sources of an LLM's facts go with them; captures that wait are dropped, and one at work leaves nothing."""
        extractor = ScriptedExtractor([facts("Ana likes green tea"), facts("Ana keeps bees")], delay=0.3)
        ana = make(llm=extractor).user("ana")
        said = [{"role": "user", "content": "I like green tea very much"}]
        ana.capture(said, session_id="s1")
        assert {item.kind for item in ana.all(kinds=["item", "source"])} == {"item", "source"}
        assert ana.delete_all(session_id="s1") == 1
        assert ana.all(kinds=["item", "source"]) == []
        for text in ("I keep bees in my garden", "I sell honey at the market"):
            ana.capture([{"role": "user", "content": text}], session_id="s1", background=True)
        ana.capture([{"role": "user", "content": "I study law"}], session_id="s2", background=True)
        assert ana.history("s1").clear(facts=True) == 3
        assert ana.flush(60)
        assert ana.all(session_id="s1", kinds=["item", "source"]) == []
        assert len(ana.all(session_id="s2", kinds=["item", "source"])) == 2

"""Filters: what is a number, both spellings, and their form, which is valid itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.engine.filters import metadata_filter, validate_filters, value_filter
from memweld.engine.filters.conditions import json_equal, number_of
from memweld.validation import dump_json


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("-2.5", -2.5), ("+.5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("9" * 100, int("9" * 100)),
        ("inf", float("inf")), ("-INF", float("-inf")), (True, None), (None, None), ("", None), (" 1", None),
        ("1_0", None), ("1e400", None), ("0x1", None), ("+-1", None), ("1.2.3", None), ("9" * 101, None), ("e", None),
        ("\u0663", None), ("infinity", None), ([1], None),
    ],
)  # fmt: skip
def test_numbers_and_their_texts(text: object, number: float | None) -> None:
    assert number_of(text) == number


def test_mem0s_spelling_is_rewritten() -> None:
    given_filters = {
        "AND": [{"a": {"gte": 1}}, {"OR": [{"b": "*"}, {"NOT": [{"c": {"in": ["*"]}}]}]}],
        "d": {"e": {"ne": 1}},
    }
    rewritten = validate_filters(given_filters)
    assert rewritten == {
        "$and": [{"a": {"$gte": 1}}, {"$or": [{"b": {"$exists": True}}, {"$not": [{"c": {"$in": ["*"]}}]}]}],
        "d": {"e": {"$ne": 1}},
    }
    assert validate_filters(rewritten) == rewritten
    # A user is named by no filter, and these compare with metadata.
    assert validate_filters({"user_id": "*", "AND": "x"}) == {"user_id": "*", "AND": "x"}


def test_values_differ_from_metadata_where_langgraph_does() -> None:
    """A missing field is null, true equals 1, and mem0's words are fields."""
    for conditions, of_values, of_metadata in (
        ({"missing": None}, True, False),
        ({"yes": 1}, True, False),
        ({"missing": {"$ne": None}}, False, True),
        ({"missing": {"$exists": False}}, True, True),
    ):
        assert value_filter(conditions)({"yes": True}) is of_values
        assert metadata_filter(dump_json(conditions))({"yes": True}) is of_metadata
    assert value_filter({"size": {"in": 3}})({"size": {"in": 3}})
    assert not value_filter({"$not": {"a": 1}})([1])


scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.5, "a", "b", "1", "ab"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner), max_leaves=3
)
objects = st.dictionaries(st.sampled_from("abc"), values, max_size=3)
operators = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), values),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([-1, 0.5, "a", "1", "b"])),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, max_size=2)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$contains"), scalars),
    st.tuples(st.just("$icontains"), st.sampled_from(["A", "b", ""])),
)
tests = st.lists(operators, min_size=1, max_size=2).map(dict)
conditions_on_one = (
    tests | tests.map(lambda each: {"$not": each}) | scalars | st.fixed_dictionaries({"x": tests | scalars})
)
flat = st.dictionaries(st.sampled_from("abc"), conditions_on_one, min_size=1, max_size=2)
filters = st.recursive(
    flat,
    lambda inner: st.builds(
        lambda name, parts: {name: parts},
        st.sampled_from(["$and", "$or", "$not"]),
        st.lists(inner, min_size=1, max_size=2),
    ),
    max_leaves=3,
)


@settings(max_examples=50)
@given(objects, filters)
def test_negation_and_groups_follow_logic(metadata: dict[str, Any], conditions: dict[str, Any]) -> None:
    """Whatever is generated is valid, and each object fits a filter or its negation."""
    valid = validate_filters(conditions)
    assert validate_filters(valid) == valid
    fits = metadata_filter(dump_json(valid))(metadata)
    assert metadata_filter(dump_json({"$not": valid}))(metadata) is not fits
    assert metadata_filter(dump_json({"$and": [valid, {"$or": [valid, {"a": 7}]}]}))(metadata) is fits


@settings(max_examples=50)
@given(values, values)
def test_equality_is_that_of_json(one: Any, other: Any) -> None:
    """Of lists and objects, too: 1 is 1.0, and not true."""
    assert json_equal(one, one)
    assert json_equal(one, other) is json_equal(other, one)
    if json_equal(one, other):
        assert one == other
    assert not json_equal([{"x": True}], [{"x": 1}])

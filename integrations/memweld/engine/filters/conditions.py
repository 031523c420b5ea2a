"""Filters as a tree of tests, and the tree as a function of Python.

``postgres/conditions.py`` writes the same tree as SQL; a test compares both.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ...models import JSON
from .rules import has_conditions, is_list, is_object

__all__ = [
    "Condition", "Group", "Test", "compares_texts", "forget_filters", "metadata_filter", "number_of", "parse",
    "value_filter",
]  # fmt: skip

Path: TypeAlias = "tuple[str | int, ...]"

Name: TypeAlias = Literal[
    "eq", "gt", "gte", "lt", "lte", "in", "exists", "contains", "icontains", "is_object", "has_length"
]


@dataclass(frozen=True, slots=True)
class Test:
    """A test of the value at a path, which may be missing.

    Attributes:
        path: Names of fields, and places in lists.
        name: The kind of test.
        operand: The value to compare with.
    """

    path: Path
    name: Name
    operand: JSON


@dataclass(frozen=True, slots=True)
class Group:
    """All of the parts, at least one, or none of them."""

    name: Literal["all", "any", "none"]
    parts: tuple[Condition, ...]


Condition: TypeAlias = "Test | Group"
Predicate: TypeAlias = Callable[[JSON], bool]
Equal: TypeAlias = Callable[[Any, Any], bool]

_GROUPS: Mapping[str, Literal["all", "any", "none"]] = {"$and": "all", "$or": "any", "$not": "none"}
_NEGATIONS: Mapping[str, Name] = {"$ne": "eq", "$nin": "in"}
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
# Texts of such characters may be numbers; so short that a float holds each.
_DIGITS = frozenset("0123456789.+-eE")
_MOST, _MOST_OF_EXPONENT = 100, 2
_ENDLESS = ("inf", "+inf", "-inf", "nan")
_MISSING = object()


def parse(conditions: Mapping[str, JSON]) -> Group:
    """The tree of valid conditions (see ``rules.py``)."""
    parts: list[Condition] = []
    for name, condition in conditions.items():
        group = _GROUPS.get(name)
        if group is None:
            parts.append(_test((name,), condition))
        else:
            several = condition if is_list(condition) else [condition]
            parts.append(Group(group, tuple(parse(cast("Mapping[str, JSON]", each)) for each in several)))
    return Group("all", tuple(parts))


def _test(path: Path, condition: JSON) -> Condition:
    if is_object(condition):
        if any(name.startswith("$") for name in condition):
            return _all([_operator(path, name, operand) for name, operand in condition.items()])
        tests = (_test((*path, name), each) for name, each in condition.items())
        return _all([Test(path, "is_object", True), *tests])
    if is_list(condition) and has_conditions(condition):
        tests = (_test((*path, place), each) for place, each in enumerate(condition))
        return _all([Test(path, "has_length", len(condition)), *tests])
    return Test(path, "eq", condition)


def _operator(path: Path, name: str, operand: JSON) -> Condition:
    if name == "$not":
        return Group("none", (_test(path, operand),))
    if name in _NEGATIONS:
        return Group("none", (Test(path, _NEGATIONS[name], operand),))
    return Test(path, cast("Name", name[1:]), operand)


def _all(parts: Sequence[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else Group("all", tuple(parts))


def value_filter(conditions: Mapping[str, JSON]) -> Predicate:
    """The function for conditions on state values.

    As in LangGraph's InMemoryStore a missing field counts as null, and true equals 1.
    """
    fits = _predicate(parse(conditions), _loosely_equal)
    return lambda value: is_object(value) and fits(value)


@functools.lru_cache(maxsize=64)
def metadata_filter(conditions: str) -> Predicate:
    """The function for the JSON text of conditions on metadata. A missing field equals nothing, not even null."""
    return _predicate(parse(json.loads(conditions)), json_equal)


def forget_filters() -> None:
    """Keep no filters in RAM, which may name something of an erased user."""
    metadata_filter.cache_clear()


def _predicate(condition: Condition, equal: Equal) -> Predicate:
    """The condition as a function of the object.

    Args:
        condition: The condition.
        equal: Compares two JSON values.
    """
    if isinstance(condition, Test):
        return _predicate_of_test(condition, equal)
    parts = [_predicate(part, equal) for part in condition.parts]
    if condition.name == "any":
        return lambda value: any(part(value) for part in parts)
    if condition.name == "none":
        return lambda value: not any(part(value) for part in parts)
    if len(parts) == 1:
        return parts[0]
    return lambda value: all(part(value) for part in parts)


def _predicate_of_test(test: Test, equal: Equal) -> Predicate:
    path, holds = test.path, _holds(test.name, test.operand, equal)
    if len(path) == 1:  # a field of the object itself, which most tests are of
        (field,) = path
        return lambda value: holds(value.get(field, _MISSING))

    def fits(value: Any) -> bool:
        for name in path:
            if isinstance(name, str):
                value = value.get(name, _MISSING) if is_object(value) else _MISSING
            else:
                value = value[name] if is_list(value) and name < len(value) else _MISSING
        return holds(value)

    return fits


def _holds(name: Name, operand: Any, equal: Equal) -> Callable[[Any], bool]:
    """The test of a value, which may be `_MISSING`."""
    if name in _COMPARISONS:
        return _comparison(_COMPARISONS[name], operand)
    lowered = operand.lower() if name == "icontains" else ""
    tests: Mapping[Name, Callable[[Any], bool]] = {
        "eq": lambda value: equal(value, operand),
        "in": lambda value: any(equal(value, each) for each in operand),
        "exists": lambda value: (value is not _MISSING) is operand,
        "contains": lambda value: (
            isinstance(operand, str) and operand in value
            if isinstance(value, str)
            else is_list(value) and any(equal(each, operand) for each in value)
        ),
        "icontains": lambda value: isinstance(value, str) and lowered in value.lower(),
        "is_object": is_object,
        "has_length": lambda value: is_list(value) and len(value) == operand,
    }
    return tests[name]


def _comparison(compare: Callable[[Any, Any], bool], operand: Any) -> Callable[[Any], bool]:
    number = number_of(operand)

    def holds(value: Any) -> bool:
        if number is not None and (other := number_of(value)) is not None:
            return compare(other, number)
        return compares_texts(operand) and isinstance(value, str) and compare(value, operand)

    return holds


def number_of(value: object) -> float | None:
    """The number that a value is, or that its text is; None for anything else. True is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, str) or len(value) > _MOST:
        return None
    exponent = value.lower().partition("e")[2].lstrip("+-")
    if value.lower() not in _ENDLESS and (len(exponent) > _MOST_OF_EXPONENT or not _DIGITS.issuperset(value)):
        return None
    with contextlib.suppress(ValueError):
        return int(value) if value.lstrip("+-").isdigit() else float(value)
    return None


def compares_texts(operand: JSON) -> bool:
    """Whether a comparison with it fits texts that are no numbers; not where it stands for infinity or NaN."""
    number = number_of(operand)
    return isinstance(operand, str) and (number is None or math.isfinite(number))


def _loosely_equal(one: Any, other: Any) -> bool:
    return bool((None if one is _MISSING else one) == other)


def json_equal(one: object, other: object) -> bool:
    """Whether two JSON values are equal. To Python True is 1; to JSON it is not."""
    if type(one) not in (dict, list):
        return isinstance(one, bool) == isinstance(other, bool) and one == other
    if is_object(one):
        return (
            is_object(other)
            and one.keys() == other.keys()
            and all(json_equal(value, other[name]) for name, value in one.items())
        )
    return is_list(one) and is_list(other) and len(one) == len(other) and all(map(json_equal, one, other))

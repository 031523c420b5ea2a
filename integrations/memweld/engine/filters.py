"""Conditions on values: equality and comparisons, nested as the values are.

The form is that of LangGraph's stores: ``{"status": "active", "score": {"$gte": 3}}``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..errors import invalid
from ..models import JSON
from ..validation import validate_json

__all__ = ["fits_conditions", "validate_conditions"]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_COMPARISONS)


def validate_conditions(value: object) -> dict[str, JSON] | None:
    """What a value's fields must be: field to value, to operators and their operands, or to conditions of its own.

    Raises:
        InvalidInputError: It is no JSON object, an operator is unknown, or a comparison is not with a number.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid("filter", value, f"it must be a JSON object, not {type(value).__name__}", "Pass a dict.")
    validate_json("filter", value)
    conditions = cast("Mapping[str, JSON]", value)
    for wanted in conditions.values():
        _check(wanted)
    return dict(conditions)


def _check(wanted: JSON) -> None:
    if isinstance(wanted, (list, tuple)):
        for each in cast("Sequence[JSON]", wanted):
            _check(each)
    elif isinstance(wanted, Mapping):
        conditions = cast("Mapping[str, JSON]", wanted)
        if not _are_operators(conditions):
            for each in conditions.values():
                _check(each)
            return
        for name, operand in conditions.items():
            if name not in _OPERATORS:
                raise invalid("filter", name, "there is no such operator", f"Use one of {', '.join(_OPERATORS)}.")
            if name in _COMPARISONS and _number(operand) is None:
                raise invalid("filter", {name: operand}, "it compares with a number", "Pass a number.")


def _are_operators(wanted: Mapping[str, JSON]) -> bool:
    return any(name.startswith("$") for name in wanted)


def fits_conditions(value: JSON, conditions: Mapping[str, JSON]) -> bool:
    """Whether the fields of an object are as wanted. A field that is missing counts as null.

    A comparison fits numbers, and texts that are numbers; it never fits what is none.
    """
    if not isinstance(value, Mapping):
        return False
    fields = cast("Mapping[str, JSON]", value)
    return all(_fits(fields.get(name), wanted) for name, wanted in conditions.items())


def _fits(held: JSON, wanted: JSON) -> bool:
    if isinstance(wanted, Mapping):
        conditions = cast("Mapping[str, JSON]", wanted)
        if _are_operators(conditions):
            return all(_holds(held, name, operand) for name, operand in conditions.items())
        return fits_conditions(held, conditions)
    if isinstance(wanted, (list, tuple)):
        several = cast("Sequence[JSON]", wanted)
        if not isinstance(held, list):
            return False
        elements = cast("list[JSON]", held)
        return len(elements) == len(several) and all(map(_fits, elements, several))
    return bool(held == wanted)


def _holds(held: JSON, name: str, operand: Any) -> bool:
    if name == "$eq":
        return bool(held == operand)
    if name == "$ne":
        return bool(held != operand)
    one, other = _number(held), _number(operand)
    return one is not None and other is not None and _COMPARISONS[name](one, other)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None

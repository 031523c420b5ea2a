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
    """Conditions on the fields of a value: field to value, to operators and their operands, or to nested conditions.

    Raises:
        InvalidInputError: It is no JSON object, an operator is unknown, or a comparison is not with a number.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid("filter", value, f"it must be a JSON object, not {type(value).__name__}", "Pass a dict.")
    validate_json("filter", value)
    conditions = cast("Mapping[str, JSON]", value)
    for condition in conditions.values():
        _check(condition)
    return dict(conditions)


def _check(condition: JSON) -> None:
    if isinstance(condition, (list, tuple)):
        for each in cast("Sequence[JSON]", condition):
            _check(each)
    elif isinstance(condition, Mapping):
        conditions = cast("Mapping[str, JSON]", condition)
        if not _are_operators(conditions):
            for each in conditions.values():
                _check(each)
            return
        for name, operand in conditions.items():
            if name not in _OPERATORS:
                raise invalid("filter", name, "there is no such operator", f"Use one of {', '.join(_OPERATORS)}.")
            if name in _COMPARISONS and _number(operand) is None:
                raise invalid("filter", {name: operand}, "it compares with a number", "Pass a number.")


def _are_operators(condition: Mapping[str, JSON]) -> bool:
    return any(name.startswith("$") for name in condition)


def fits_conditions(value: JSON, conditions: Mapping[str, JSON]) -> bool:
    """Whether the fields of an object meet the conditions. A missing field counts as null.

    A comparison fits numbers, and texts that are numbers; it never fits anything else.
    """
    if not isinstance(value, Mapping):
        return False
    fields = cast("Mapping[str, JSON]", value)
    return all(_fits(fields.get(name), condition) for name, condition in conditions.items())


def _fits(value: JSON, condition: JSON) -> bool:
    if isinstance(condition, Mapping):
        conditions = cast("Mapping[str, JSON]", condition)
        if _are_operators(conditions):
            return all(_holds(value, name, operand) for name, operand in conditions.items())
        return fits_conditions(value, conditions)
    if isinstance(condition, (list, tuple)):
        several = cast("Sequence[JSON]", condition)
        if not isinstance(value, list):
            return False
        elements = cast("list[JSON]", value)
        return len(elements) == len(several) and all(map(_fits, elements, several))
    return bool(value == condition)


def _holds(value: JSON, name: str, operand: Any) -> bool:
    if name == "$eq":
        return bool(value == operand)
    if name == "$ne":
        return bool(value != operand)
    one, other = _number(value), _number(operand)
    return one is not None and other is not None and _COMPARISONS[name](one, other)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None

"""Conditions on values: equality and comparisons, nested as the values are.

The form is that of LangGraph's stores: ``{"status": "active", "score": {"$gte": 3}}``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from ..errors import invalid
from ..models import JSON
from ..validation import MAX_DEPTH, validate_json

__all__ = ["fits_conditions", "validate_conditions"]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = ("$eq", "$ne", *_COMPARISONS)
# Stands for infinity and NaN as an operand of equality: JSON has neither, so no value equals them. Unicode keeps this
# code point out of texts.
_UNEQUAL = "\uffff"


def validate_conditions(value: object) -> dict[str, JSON] | None:
    """Conditions on the fields of a value: field to value, to operators and their operands, or to nested conditions.

    Infinity and NaN are operands as in Python: comparisons get them as texts, in which JSON can carry them.

    Raises:
        InvalidInputError: It is no JSON object, an operator is unknown, or a comparison is not with a number.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid("filter", value, f"it must be a JSON object, not {type(value).__name__}", "Pass a dict.")
    conditions = cast("dict[str, JSON]", _finite(dict(cast("Mapping[str, JSON]", value))))
    validate_json("filter", conditions)
    for condition in conditions.values():
        _check(condition)
    return conditions


def _finite(condition: JSON, name: str = "", depth: int = 0) -> JSON:
    """The condition without infinity and NaN; ``name`` is the operator or field that it belongs to."""
    if isinstance(condition, float) and not math.isfinite(condition):
        return str(float(condition)) if name in _COMPARISONS else _UNEQUAL
    if depth > MAX_DEPTH:
        return condition
    if isinstance(condition, (list, tuple)):
        return [_finite(each, "", depth + 1) for each in cast("Sequence[JSON]", condition)]
    if isinstance(condition, Mapping):
        fields = cast("Mapping[str, JSON]", condition)
        return {field: _finite(each, field, depth + 1) for field, each in fields.items()}
    return condition


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

"""The rules for filters: which operators there are, which operands they take, how long and how deep a filter may be.

``{"status": "active", "score": {"$gte": 3}}`` is the form of LangGraph's stores. Filters on metadata also take mem0's
spelling, ``{"AND": [{"score": {"gte": 3}}]}``. In values such words are fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias, TypeGuard, cast

from ...errors import invalid
from ...models import JSON
from ...validation import MAX_DEPTH, MAX_METADATA_CHARACTERS, validate_json, validate_key

__all__ = [
    "GROUPS", "MAX_LEVELS", "OPERATORS", "Conditions", "has_conditions", "is_list", "is_object", "is_plain", "refuse",
    "validate_conditions", "validate_filters",
]  # fmt: skip

MAX_TESTS = 100  # a text among them is a term of one SQL expression, of which SQLite takes 1,000
MAX_LEVELS = 20

Conditions: TypeAlias = "dict[str, JSON]"

_COMPARISONS = ("$gt", "$gte", "$lt", "$lte")
_SPELLINGS = (*_COMPARISONS, "gt", "gte", "lt", "lte")
GROUPS = ("$and", "$or", "$not")
OPERATORS = ("$eq", "$ne", *_COMPARISONS, "$in", "$nin", "$exists", "$contains", "$icontains", "$not")
# Stands for infinity and NaN as an operand of equality: JSON has neither, so no value equals them. Unicode keeps this
# code point out of texts.
_UNEQUAL = "\uffff"


def validate_conditions(value: object) -> Conditions | None:
    """Conditions on the fields of a value: field to value, to operators and their operands, or to nested conditions.

    Infinity and NaN are operands as in Python: comparisons get them as texts, in which JSON can carry them.

    Raises:
        InvalidInputError: It is no JSON object, an operator is unknown or its operand wrong, or there are too many.
    """
    if value is None:
        return None
    conditions = _object("filter", value, _COMPARISONS)
    _Rules("filter").check_object(conditions, 1)
    return conditions


def validate_filters(value: object) -> Conditions:
    """Filters on metadata: as `validate_conditions` has them, and in mem0's spelling, which is rewritten.

    Raises:
        InvalidInputError: As there; or they choose a user, or compare with a bare list.
    """
    if value is None or value == {}:
        return {}
    from .mem0_syntax import rewrite

    conditions = rewrite(_object("filters", value, _SPELLINGS))
    for name in conditions:
        validate_key("filters key", name)
    _Rules("filters").check_object(conditions, 1)
    return conditions


def is_plain(filters: Mapping[str, JSON]) -> bool:
    """Whether valid filters are nothing but fields equal to a text, a number, a boolean or null."""
    return all(operand is None or isinstance(operand, (str, int, float)) for operand in filters.values())


def is_object(value: object) -> TypeGuard[Conditions]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[JSON]]:
    """Whether it is a JSON list."""
    return isinstance(value, list)


def has_conditions(elements: Sequence[JSON]) -> bool:
    """Whether a list holds objects, which are conditions on its elements."""
    return any(is_object(each) or (is_list(each) and has_conditions(each)) for each in elements)


def refuse(name: str, value: object, rule: str, remedy: str) -> NoReturn:
    """Raise the error for an argument."""
    raise invalid(name, value, rule, remedy)


def _object(name: str, value: object, comparisons: Sequence[str]) -> Conditions:
    """A JSON object of lists and dicts, without infinity and NaN: operands of comparisons are texts then."""
    if not isinstance(value, Mapping):
        refuse(name, value, f"it must be a JSON object, not {type(value).__name__}", "Pass a dict.")
    conditions = cast("Conditions", _finite(cast("Mapping[str, JSON]", value), comparisons))
    validate_json(name, conditions, maximum=MAX_METADATA_CHARACTERS)
    return conditions


def _finite(condition: JSON, comparisons: Sequence[str], name: str = "", depth: int = 0) -> JSON:
    """The condition without infinity and NaN; ``name`` is the operator or field that it belongs to."""
    if isinstance(condition, float) and not math.isfinite(condition):
        if math.isnan(condition) and comparisons is _SPELLINGS:
            refuse("filters", {name: condition}, "nothing compares with NaN", "Pass a number.")
        return str(float(condition)) if name in comparisons else _UNEQUAL
    if depth > MAX_DEPTH:
        return condition
    if isinstance(condition, (list, tuple)):
        return [_finite(each, comparisons, "", depth + 1) for each in cast("Sequence[JSON]", condition)]
    if isinstance(condition, Mapping):
        fields = cast("Mapping[str, JSON]", condition)
        return {field: _finite(each, comparisons, field, depth + 1) for field, each in fields.items()}
    return condition


class _Rules:
    """The rules for one filter; counts its tests.

    Args:
        name: The argument, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tests = 0

    def check_object(self, conditions: Conditions, level: int) -> None:
        """Check conditions on the fields of an object, and groups of such conditions."""
        for name, condition in conditions.items():
            if name in GROUPS:
                self._check_group(name, condition, level)
            elif name.startswith("$"):
                rule = "no field begins with $, and no such operator joins conditions"
                refuse(self._name, name, rule, f"Use {', '.join(GROUPS)}.")
            else:
                self._check(condition, level)

    def _check_group(self, name: str, condition: JSON, level: int) -> None:
        several = condition if is_list(condition) else [condition] if name == "$not" else []
        for each in several or [None]:
            if not is_object(each) or not each:
                rule, remedy = f"{name} takes a list of objects with conditions", f"Write {name}: [{{…}}, …]."
                refuse(self._name, {name: condition}, rule, remedy)
            self._check_level(level)
            self.check_object(each, level + 1)

    def _count(self) -> None:
        self._tests += 1
        if self._tests > MAX_TESTS:
            rule, remedy = f"it has at most {MAX_TESTS} conditions", "Use $in for many values of one field."
            refuse(self._name, "…", rule, remedy)

    def _check_level(self, level: int) -> None:
        if level > MAX_LEVELS:
            refuse(self._name, "…", f"it nests more than {MAX_LEVELS} levels deep", "Write it flatter.")

    def _check(self, condition: JSON, level: int) -> None:
        """Check a condition on one value."""
        self._check_level(level)
        if is_object(condition):
            has_operators = any(name.startswith("$") for name in condition)
            for name, operand in condition.items():
                if has_operators:
                    self._check_operator(name, operand)
                if not has_operators or name == "$not":
                    self._check(operand, level + 1)
        elif is_list(condition) and has_conditions(condition):
            for each in condition:
                self._check(each, level + 1)
        else:
            self._count()

    def _check_operator(self, name: str, operand: JSON) -> None:
        self._count()
        if name not in OPERATORS:
            refuse(self._name, name, "there is no such operator", f"Use one of {', '.join(OPERATORS)}.")
        is_text = isinstance(operand, str)
        is_single = not is_list(operand) and not is_object(operand)
        rules: Mapping[str, tuple[bool, str]] = {
            "$in": (is_list(operand), "a list of values"),
            "$exists": (isinstance(operand, bool), "true or false"),
            "$contains": (is_single, "a part of a text, or an element of a list"),
            "$icontains": (is_text, "a part of a text"),
            "$gt": (is_text or _is_number(operand), "a number or a text"),
        }
        fits, operands = rules.get({"$nin": "$in"}.get(name, "$gt" if name in _COMPARISONS else name), (True, ""))
        if not fits:
            refuse(self._name, {name: operand}, f"{name} takes {operands}", "Pass such an operand.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)

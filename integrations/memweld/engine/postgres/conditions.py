"""Filters as SQL on jsonb, evaluated by Postgres: the same tests as in ``filters/conditions.py``.

Metadata are texts in the table. ``json_of`` of the first migration reads them, also those with a NUL. Names and
operands are variables, never parts of the SQL.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import cast

from ...models import JSON
from ...validation import dump_json
from ..filters import is_plain
from ..filters.conditions import Condition, Test, compares_texts, number_of, parse
from ..sql.selection import Fragment, Selection

__all__ = ["metadata_fit", "occurrences_fit"]

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INFINITY = "1e5000"  # above every number of a JSON text that memweld stores
_NUL = "\ue000\uf8ff\ue000"  # as json_of has it


def metadata_fit(filters: Mapping[str, JSON]) -> Fragment:
    """The condition that the metadata of a row of ``items`` meet the filters."""
    if is_plain(filters):
        return "json_of(metadata) @> json_of(?)", [dump_json(dict(filters))]
    condition, variables = _sql(parse(filters), "data.held")
    return f"EXISTS (SELECT 1 FROM (SELECT json_of(metadata) AS held OFFSET 0) AS data WHERE {condition})", variables


def occurrences_fit(selection: Selection) -> Fragment:
    """The condition that one occurrence of a row meets all that the selection says of occurrences."""
    parts = [selection.window.condition("seconds_of(each ->> 'created_at')")]
    if selection.session_id is not None:
        parts.append((" AND each ->> 'session_id' = ?", [_text(selection.session_id)]))
    if selection.filters:
        sql, variables = _sql(parse(selection.filters), "coalesce(each -> 'metadata', '{}'::jsonb)")
        parts.append((f" AND {sql}", variables))
    condition, variables = _joined("", parts)
    return (
        f"EXISTS (SELECT 1 FROM jsonb_array_elements(json_of(occurrences)) AS occurrence (each) WHERE true{condition})",
        variables,
    )


def _sql(condition: Condition, held: str) -> Fragment:
    """The condition on the jsonb object ``held``, true or false and never null."""
    if isinstance(condition, Test):
        sql, variables = _comparison(condition) if condition.name in _COMPARISONS else _test(condition)
        path = [_text(str(name)) for name in condition.path]
        return f"coalesce((SELECT {sql} FROM (SELECT {held} #> ?::text[]) AS at (v)), false)", [*variables, path]
    joint = " AND " if condition.name == "all" else " OR "
    sql, variables = _joined(joint, (_sql(part, held) for part in condition.parts))
    return f"{'NOT ' if condition.name == 'none' else ''}({sql or 'true'})", variables


def _joined(joint: str, parts: Iterable[Fragment]) -> Fragment:
    several = list(parts)
    return joint.join(sql for sql, _ in several), [variable for _, variables in several for variable in variables]


def _test(test: Test) -> Fragment:
    """A test of the value ``v``, which is SQL's NULL where it is missing."""
    operand, json = test.operand, dump_json(test.operand)
    text = _text(operand) if isinstance(operand, str) else None
    has_element = "CASE jsonb_typeof(v) WHEN 'array' THEN v @> jsonb_build_array(json_of(?)) END"
    tests: Mapping[str, Fragment] = {
        "eq": ("v = json_of(?)", [json]),
        "in": ("v = ANY (ARRAY(SELECT jsonb_array_elements(json_of(?))))", [json]),
        "exists": (f"v IS {'NOT ' if operand else ''}NULL", []),
        "contains": (
            (has_element, [json])
            if text is None
            else (f"coalesce(strpos(text_of(v), ?) > 0, {has_element})", [text, json])
        ),
        "icontains": ("strpos(lower(text_of(v)), lower(?)) > 0", [text]),
        "is_object": ("jsonb_typeof(v) = 'object'", []),
        "has_length": ("CASE jsonb_typeof(v) WHEN 'array' THEN jsonb_array_length(v) = ?::integer END", [operand]),
    }
    return tests[test.name]


def _comparison(test: Test) -> Fragment:
    sign, number = _COMPARISONS[test.name], number_of(test.operand)
    parts: list[Fragment] = []
    if number is not None and not math.isnan(number):
        text = str(number) if math.isfinite(number) else f"{'-' if number < 0 else ''}{_INFINITY}"
        parts.append(
            (f"WHEN number_of(v) IS NOT NULL THEN number_of(v) <> 'NaN' AND number_of(v) {sign} ?::numeric", [text])
        )
    if compares_texts(test.operand):
        parts.append((f'ELSE text_of(v) COLLATE "C" {sign} ?', [_text(cast("str", test.operand))]))
    sql, variables = _joined(" ", parts)
    return (f"CASE {sql} END" if number is not None and sql else sql.removeprefix("ELSE ") or "false"), variables


def _text(value: str) -> str:
    return value.replace("\x00", _NUL)

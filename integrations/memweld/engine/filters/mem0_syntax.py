"""Filters on metadata as mem0 2.2 spells them: ``gte``, ``in``, ``AND``, ``OR``, ``NOT`` and the wildcard ``*``.

In mem0 ``user_id``, ``agent_id``, ``app_id`` and ``run_id`` choose whose memories a filter finds. Here the first three
are fields of the metadata where they stand alone and equal a value, and an error anywhere else. ``run_id``, and a
comparison of ``created_at`` in mem0's spelling, are errors that name the argument; with memweld's operators both are
fields.
"""

from __future__ import annotations

from ...models import JSON
from .rules import GROUPS, MAX_LEVELS, OPERATORS, Conditions, is_list, is_object, refuse

__all__ = ["rewrite"]

_WORDS = {name[1:]: name for name in OPERATORS if name not in ("$exists", "$not")}
_LOGIC = {"AND": "$and", "OR": "$or", "NOT": "$not"}
_IDENTITIES = ("user_id", "agent_id", "app_id", "run_id")


def rewrite(conditions: Conditions, *, level: int = 1) -> Conditions:
    """The conditions in memweld's spelling.

    Args:
        conditions: JSON of lists and dicts.
        level: How deep they stand; below the first, a group joins them to others.

    Raises:
        InvalidInputError: They choose a user, compare with a bare list, or mix mem0's operators with fields.
    """
    if level > MAX_LEVELS:
        return conditions  # `rules.py` refuses them
    rewritten: Conditions = {}
    for name, condition in conditions.items():
        group = _group_of(name, condition)
        if group is not None:
            if group in rewritten:
                refuse("filters", name, f"{group}, which means the same, is given as well", "Write one of them.")
            rewritten[group] = _rewrite_group(condition, level + 1)
            continue
        if name in ("and", "or") and is_list(condition):
            refuse(
                "filters", name, "words that join conditions are in capitals", f'Write "{name.upper()}" or "${name}".'
            )
        _refuse_column(name, condition)
        if name.startswith("$"):
            rewritten[name] = condition  # `rules.py` refuses it
        elif name not in _IDENTITIES or (name == "run_id" and _has_operators(condition)):
            rewritten[name] = _rewrite_condition(name, condition, level + 1)
        elif level == 1 and not is_list(condition) and not is_object(condition):
            rewritten[name] = condition
        else:
            rule = "a filter chooses no user, agent or session"
            refuse("filters", name, rule, "Use backend.user(user_id, agent_id=…), and session_id= for mem0's run_id.")
    return rewritten


def _refuse_column(name: str, condition: JSON) -> None:
    """Refuse mem0's conditions on what is no metadata here, and would find nothing."""
    is_time = name == "created_at" and is_object(condition) and not _WORDS.keys().isdisjoint(condition)
    if is_time or (name == "run_id" and not _has_operators(condition)):
        rule = f"a memory's {'time' if is_time else 'session'} is no part of its metadata"
        remedy = "after= and before=" if is_time else "session_id="
        operator = "$gte" if is_time else "$eq"
        refuse("filters", name, rule, f'Use {remedy}, or {{"{name}": {{"{operator}": …}}}} for metadata of that name.')


def _has_operators(condition: JSON) -> bool:
    return is_object(condition) and any(name.startswith("$") for name in condition)


def _group_of(name: str, condition: JSON) -> str | None:
    """The group that joins conditions; None for a field, which may be called ``AND`` as well.

    A server reads rewritten filters again: the condition of such a field is an object of operators by then.
    """
    if name in _LOGIC:
        is_group = is_list(condition) or (is_object(condition) and not _has_operators(condition))
        return _LOGIC[name] if is_group else None
    return name if name in GROUPS and (is_list(condition) or is_object(condition)) else None


def _rewrite_group(condition: JSON, level: int) -> JSON:
    if is_list(condition):
        return [rewrite(each, level=level) if is_object(each) else each for each in condition]
    return rewrite(condition, level=level) if is_object(condition) else condition


def _rewrite_condition(field: str, condition: JSON, level: int) -> JSON:
    """A condition on one value."""
    if condition == "*":
        return {"$exists": True}
    if is_list(condition):
        rule = "a bare list may mean one of its values, or a list that is equal"
        refuse("filters", {field: condition}, rule, 'Write {"$in": […]} or {"$eq": […]}.')
    if not is_object(condition) or level > MAX_LEVELS:
        return condition
    if _has_operators(condition):
        return {
            name: _rewrite_condition(field, each, level + 1) if name == "$not" else each
            for name, each in condition.items()
        }
    words = [name for name in condition if name in _WORDS]
    if not words:
        return {name: _rewrite_condition(name, each, level + 1) for name, each in condition.items()}
    if len(words) < len(condition):
        other = next(name for name in condition if name not in _WORDS)
        rule = f"{words[0]!r} is an operator of mem0's, and {other!r} is none"
        remedy = f'Write operators as "{_WORDS[words[0]]}", and an object that is equal as {{"$eq": {{…}}}}.'
        refuse("filters", {field: condition}, rule, remedy)
    return {_WORDS[name]: operand for name, operand in condition.items()}

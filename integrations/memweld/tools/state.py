"""The toolset ``state``: key-value pairs in a namespace, exact, for what a tool or a task has to know again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from ..memory.memory import Memory
from ..models import JSON
from ..safe_text import safe_for_model
from ..validation import dump_json
from .answers import (
    ANSWER_CHARACTERS,
    INDENTED,
    cursor_key,
    key_cursor,
    named,
    next_page,
    numbered,
    shown,
    text_page,
    to_continue,
)
from .arguments import AnyValue, Arguments, Cursor
from .run import Answer, tool

__all__ = ["STATE_TOOLS", "key_page"]

_STEP: dict[str, JSON] = {"namespace": "trip", "key": "step"}


class StateKeys(Arguments):
    """Arguments of all tools of the set."""

    namespace: str = Field(description="The group of keys, such as a task or a tool: trip-to-porto.")


class ListStateKeys(StateKeys):
    """Arguments of ``list_state_keys``."""

    cursor: Cursor = None


class StateKey(StateKeys):
    """Arguments of ``delete_state``."""

    key: str = Field(description="The key within the namespace, such as step or draft.")


class GetState(StateKey):
    """Arguments of ``get_state``."""

    cursor: Cursor = None


class SetState(StateKey):
    """Arguments of ``set_state``."""

    value: AnyValue = Field(
        description="What to keep: text, number, true or false, a list of texts, or the text of a JSON object."
    )


@tool(
    "state",
    "Keep a value under a key, exactly as given, replacing what the key held: intermediate results, drafts, the "
    "step that a task has reached. It is found again by its key only; for facts about the user use add_memory.",
    {**_STEP, "value": 3},
    destructive=True,
)
def _set_state(memory: Memory, arguments: SetState) -> Answer:
    memory.state(arguments.namespace).set(arguments.key, arguments.value)
    text = f"Key {named(arguments.key)} set in namespace {named(arguments.namespace)} for {memory.scope}"
    return Answer(text, {"namespace": arguments.namespace, "key": arguments.key})


@tool(
    "state",
    "Read the value under a key as set_state kept it, also in an earlier conversation. Says so if there is none.",
    _STEP,
    read_only=True,
)
def _get_state(memory: Memory, arguments: GetState) -> Answer:
    place = f"namespace {named(arguments.namespace)} for {memory.scope}"
    data: dict[str, JSON] = {"namespace": arguments.namespace, "key": arguments.key}
    try:
        # Not `get`: a null that was stored is a value.
        value = memory.state(arguments.namespace)[arguments.key]
    except KeyError:
        return Answer(f"No key {named(arguments.key)} in {place}", {**data, "found": False, "value": None})
    part, cursor = text_page(shown(value), arguments.cursor)
    # A part of a value is no value.
    whole = cursor is None and arguments.cursor is None
    data |= {"found": True, **({"value": value} if whole else {"part": part}), **next_page(cursor)}
    value_text = safe_for_model(part, line_break=INDENTED)
    return Answer(f"Key {named(arguments.key)} in {place}: {value_text}{to_continue('get_state', cursor)}", data)


@tool(
    "state",
    "Remove one key and its value from a namespace, when it is done with. It cannot be undone.",
    _STEP,
    destructive=True,
)
def _delete_state(memory: Memory, arguments: StateKey) -> Answer:
    deleted = memory.state(arguments.namespace).delete(arguments.key)
    place = f"namespace {named(arguments.namespace)} for {memory.scope}"
    text = (
        f"Key {named(arguments.key)} deleted from {place}" if deleted else f"No key {named(arguments.key)} in {place}"
    )
    return Answer(text, {"namespace": arguments.namespace, "key": arguments.key, "deleted": deleted})


def key_page(keys: Sequence[str], cursor: str | None = None, limit: int | None = None) -> dict[str, Any]:
    """A page of sorted keys as data: ``keys``, and ``next_cursor`` unless it is the last.

    Args:
        keys: All keys.
        cursor: The ``next_cursor`` of the page before.
        limit: How many keys at most; as many as the budget of an answer takes if None.

    Raises:
        InvalidInputError: The cursor continues nothing.
    """
    after = cursor_key(cursor)
    # Keys are sorted: a cursor continues also where its key was deleted.
    rest = keys if after is None else [key for key in keys if key > after]
    room, count = ANSWER_CHARACTERS, 0
    for key in rest[:limit]:
        room -= len(dump_json(key)) + 1
        if room < 0:
            break
        count += 1
    return {"keys": rest[:count], **next_page(key_cursor(rest[count - 1]) if count < len(rest) else None)}


@tool(
    "state",
    "List the keys of a namespace, to see what is kept there before you read or continue something.",
    {"namespace": "trip"},
    read_only=True,
)
def _list_state_keys(memory: Memory, arguments: ListStateKeys) -> Answer:
    page = key_page(memory.state(arguments.namespace).list_keys(), arguments.cursor)
    listed = page["keys"]
    head = f"Found {len(listed)} keys in namespace {named(arguments.namespace)} for {memory.scope}"
    text = head + (":" if listed else "") + numbered(listed) + to_continue("list_state_keys", page.get("next_cursor"))
    return Answer(text, {"namespace": arguments.namespace, **page})


STATE_TOOLS = (_set_state, _get_state, _delete_state, _list_state_keys)

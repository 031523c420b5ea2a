"""The toolset ``preferences``: what a user likes, by key."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from ..memory.memory import Memory
from ..models import JSON
from ..safe_text import safe_for_model
from .answers import (
    PAGED_CHARACTERS,
    cursor_key,
    excerpts,
    key_cursor,
    named,
    next_page,
    shown,
    small,
    text_page,
    to_continue,
)
from .arguments import AnyValue, Arguments, Cursor
from .run import Answer, tool

__all__ = ["PREFERENCES_TOOLS"]


class GetPreferences(Arguments):
    """Arguments of ``get_preferences``."""

    key: str | None = Field(default=None, description="One preference by its key; all if left out.")
    cursor: Cursor = None


class SetPreference(Arguments):
    """Arguments of ``set_preference``."""

    key: str = Field(description="A short name, such as theme or diet.")
    value: AnyValue = Field(
        description="What is preferred: text, number, true or false, a list of texts, or the text of a JSON object."
    )


@tool("preferences", "Read the user's preferences, all of them or one by its key.", {"key": "theme"}, read_only=True)
def _get_preferences(memory: Memory, arguments: GetPreferences) -> Answer:
    return _all(memory, arguments.cursor) if arguments.key is None else _one(memory, arguments.key, arguments.cursor)


def _one(memory: Memory, key: str, cursor: str | None) -> Answer:
    unset = object()
    value = memory.preferences.get(key, unset)
    if value is unset:
        return Answer(f"No preference {named(key)} is set for {memory.scope}", {"preferences": {}})
    part, following = text_page(shown(value), cursor)
    text = _list(memory, [f"{key}: {part}"]) + to_continue("get_preferences", following)
    # A part of a value is no value.
    whole = cursor is None and following is None
    data: dict[str, JSON] = {"preferences": {key: value}} if whole else {"preferences": {}, "parts": {key: part}}
    return Answer(text, data | next_page(following))


def _all(memory: Memory, cursor: str | None) -> Answer:
    preferences = memory.preferences.all()
    # Sorted, so that a cursor continues also where its key was deleted.
    after = cursor_key(cursor)
    keys = sorted(preferences) if after is None else sorted(key for key in preferences if key > after)
    if not keys:
        return Answer(f"No preference is set for {memory.scope}", {"preferences": {}})
    cuts = excerpts((f"{key}: {shown(preferences[key])}" for key in keys), least=PAGED_CHARACTERS)
    listed = dict(zip(keys, cuts, strict=False))
    following = None if len(listed) == len(keys) else key_cursor(list(listed)[-1])
    text = _list(memory, [cut.line("get_preferences with its key shows all") for cut in cuts])
    data: dict[str, JSON] = {"preferences": {key: preferences[key] for key, cut in listed.items() if not cut.more}}
    if parts := {key: cut.text.removeprefix(f"{key}: ") for key, cut in listed.items() if cut.more}:
        data["parts"] = parts
    return Answer(text + to_continue("get_preferences", following), data | next_page(following))


def _list(memory: Memory, lines: Sequence[str]) -> str:
    return f"Preferences of {memory.scope}:" + "".join(f"\n- {safe_for_model(line)}" for line in lines)


@tool(
    "preferences",
    "Store a preference of the user under a short key, replacing what the key held.",
    {"key": "theme", "value": "dark"},
    destructive=True,
)
def _set_preference(memory: Memory, arguments: SetPreference) -> Answer:
    # The stored value, which may be a redacted one.
    value = memory.preferences.set(arguments.key, arguments.value).metadata["value"]
    text = f"Preference {named(arguments.key)} set to {named(shown(value))} for {memory.scope}"
    data: dict[str, JSON] = {arguments.key: value} if small(value) else {}
    return Answer(text, {"preferences": data})


PREFERENCES_TOOLS = (_get_preferences, _set_preference)

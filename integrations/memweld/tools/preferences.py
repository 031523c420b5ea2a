"""The toolset ``preferences``: what a user likes, by key."""

from __future__ import annotations

from pydantic import Field

from ..memory.memory import Memory
from ..memory.safe_text import safe_for_model
from .answers import shown
from .arguments import AnyValue, Arguments
from .run import Answer, tool

__all__ = ["PREFERENCES_TOOLS"]


class GetPreferences(Arguments):
    """Arguments of ``get_preferences``."""

    key: str | None = Field(default=None, description="One preference by its key; all if left out.")


class SetPreference(Arguments):
    """Arguments of ``set_preference``."""

    key: str = Field(description="A short name, such as theme or diet.")
    value: AnyValue = Field(
        description="What is preferred: text, number, true or false, a list of texts, or the text of a JSON object."
    )


@tool("preferences", "Read the user's preferences, all of them or one by its key.", {"key": "theme"}, read_only=True)
def _get_preferences(memory: Memory, arguments: GetPreferences) -> Answer:
    if arguments.key is None:
        preferences = memory.preferences.all()
    else:
        unset = object()
        value = memory.preferences.get(arguments.key, unset)
        preferences = {} if value is unset else {arguments.key: value}
    if not preferences:
        requested = "" if arguments.key is None else f" {arguments.key}"
        return Answer(f"No preference{requested} is set for {memory.scope}", {"preferences": {}})
    lines = "".join(f"\n- {safe_for_model(f'{key}: {shown(value)}')}" for key, value in preferences.items())
    return Answer(f"Preferences of {memory.scope}:{lines}", {"preferences": preferences})


@tool(
    "preferences",
    "Store a preference of the user under a short key, replacing what the key held.",
    {"key": "theme", "value": "dark"},
    destructive=True,
)
def _set_preference(memory: Memory, arguments: SetPreference) -> Answer:
    memory.preferences.set(arguments.key, arguments.value)
    text = f"Preference {arguments.key} set to {shown(arguments.value)} for {memory.scope}"
    return Answer(text, {"preferences": {arguments.key: arguments.value}})


PREFERENCES_TOOLS = (_get_preferences, _set_preference)

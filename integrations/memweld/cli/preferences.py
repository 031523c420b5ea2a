"""The commands for the preferences of a user."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .options import AsJson, Ttl, Url, User, connected, existing, show, show_json

if TYPE_CHECKING:
    from ..models import JSON

__all__ = ["delete_preference_command", "preferences_command", "set_preference_command"]

Key = Annotated[str, typer.Argument(help="The key of the preference, such as theme.")]


def preferences_command(
    user: User,
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="The key of one preference; else all.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the preferences of a user, or show one."""
    with existing(url) as backend:
        preferences = backend.user(user).preferences.all()
    if key is not None and key not in preferences:
        _refuse(key, user)
    chosen = preferences if key is None else {key: preferences[key]}
    if as_json:
        show_json({"preferences": chosen})
        return
    for each, value in sorted(chosen.items()):
        show(_line(each, value))
    if not chosen:
        show(f"User {user} has no preferences.")


def set_preference_command(
    key: Key,
    value: Annotated[str, typer.Argument(help="Text, or JSON such as 7, true and '[\"tea\"]'.")],
    user: User,
    *,
    ttl: Ttl = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Store a preference of a user; what the key held becomes an earlier version."""
    with connected(url) as backend:
        stored = backend.user(user).preferences.set(key, _read(value), ttl=ttl).metadata["value"]
    if as_json:
        show_json({"preferences": {key: stored}})
    else:
        show(_line(key, stored))


def delete_preference_command(key: Key, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Forget a preference of a user, with its earlier versions."""
    with existing(url) as backend:
        if not backend.user(user).preferences.delete(key):
            _refuse(key, user)
    if as_json:
        show_json({"deleted": key})
    else:
        show(f"Deleted preference {key}")


def _read(text: str) -> JSON:
    """The value of JSON; any other text as it is."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(constant)  # NaN and Infinity are no JSON.

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return text


def _line(key: str, value: JSON) -> str:
    from ..safe_text import safe_for_terminal
    from ..validation import dump_json

    return safe_for_terminal(f"{key}: {value if isinstance(value, str) else dump_json(value)}")


def _refuse(key: str, user: str) -> NoReturn:
    from ..errors import InvalidInputError

    raise InvalidInputError(f"User {user} has no preference {key!r}: `memweld preferences` lists those that are set.")

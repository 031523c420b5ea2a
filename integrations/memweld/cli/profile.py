"""The commands for the profile of a user and the pins in it."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson, MemoryId, Url, User, existing, fields_of, show, show_json

__all__ = ["pin_command", "profile_command", "unpin_command"]

_MOST = 10_000_000
_SECTIONS = ("pinned", "preferences", "changed", "recalled")


def profile_command(
    user: User,
    *,
    budget: Annotated[int, typer.Option(help="How many characters at most.", min=1, max=_MOST)] = 2_000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who a user is: what is pinned, preferred, new, or recalled most."""
    with existing(url) as backend:
        memory = backend.user(user)
        profile = memory.profile(budget=budget)
        is_too_small = not profile and bool(memory.profile(budget=_MOST))
    if as_json:
        lines = {section.name: section.lines for section in profile.sections}
        show_json(
            {
                name: [fields_of(line.item) | {"before": line.before} for line in lines.get(name, ())]
                for name in _SECTIONS
            }
        )
    for section in () if as_json else profile.sections:
        show(f"{section.title}:")
        for line in section.lines:
            show(line.text)
    if is_too_small:
        show(f"No line of the profile of user {user} fits into {budget} characters: raise --budget.", err=as_json)
    elif not profile and not as_json:
        show(f"Nothing of user {user} belongs in a profile yet.")


def pin_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Pin a memory of a user, so that the profile always shows it."""
    _pin(memory_id, user, url, is_pinned=True, as_json=as_json)


def unpin_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Take the pin of a memory of a user away."""
    _pin(memory_id, user, url, is_pinned=False, as_json=as_json)


def _pin(memory_id: str, user: str, url: str | None, *, is_pinned: bool, as_json: bool) -> None:
    with existing(url) as backend:
        memory = backend.user(user)
        item = memory.pin(memory_id) if is_pinned else memory.unpin(memory_id)
    if as_json:
        show_json({"memory": item})
    else:
        show(f"{'Pinned' if is_pinned else 'Unpinned'} memory {memory_id}")

"""The commands for the profile of a user and the pins in it."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import AsJson, MemoryId, Url, User, existing, show, show_json

__all__ = ["pin_command", "profile_command", "unpin_command"]


def profile_command(
    user: User,
    *,
    budget: Annotated[int, typer.Option(help="How many characters at most.", min=1, max=10_000_000)] = 2_000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who a user is: what is pinned, preferred, new, or recalled most."""
    from ..tools.answers import item_data

    with existing(url) as backend:
        profile = backend.user(user).profile(budget=budget)
    if as_json:
        show_json({section.name: [item_data(line.item) for line in section.lines] for section in profile.sections})
        return
    for section in profile.sections:
        show(f"{section.title}:")
        for line in section.lines:
            show(line.text)
    if not profile:
        show(f"Nothing of user {user} belongs in a profile yet.")


def pin_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Pin a memory of a user, so that the profile always shows it."""
    _pin(memory_id, user, url, is_pinned=True, as_json=as_json)


def unpin_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Take the pin of a memory of a user away."""
    _pin(memory_id, user, url, is_pinned=False, as_json=as_json)


def _pin(memory_id: str, user: str, url: str | None, *, is_pinned: bool, as_json: bool) -> None:
    from ..tools.answers import item_data

    with existing(url) as backend:
        memory = backend.user(user)
        item = memory.pin(memory_id) if is_pinned else memory.unpin(memory_id)
    if as_json:
        show_json({"memory": item_data(item)})
    else:
        show(f"{'Pinned' if is_pinned else 'Unpinned'} memory {memory_id}")

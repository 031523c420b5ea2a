"""What a shell completes: users and sessions of a memory in a file. A server is not asked, and no error is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..memory.backend import Backend

__all__ = ["complete_session", "complete_user"]

_MOST = 200


def _completed(url: str | None, incomplete: str, find: Callable[[Backend], Iterable[str]]) -> list[str]:
    from ..errors import MemweldError
    from ..settings import load_settings
    from .options import existing

    try:
        place = url or load_settings().url or "sqlite:///"
        if not place.lower().startswith("sqlite:///"):
            return []
        with existing(url) as backend:
            return [name for name in find(backend) if name.startswith(incomplete) and name.isprintable()][:_MOST]
    except MemweldError:
        return []


def complete_user(ctx: Any, incomplete: str) -> list[str]:
    """The users whose names begin so."""
    return _completed(ctx.params.get("url"), incomplete, lambda backend: backend.users())


def complete_session(ctx: Any, incomplete: str) -> list[str]:
    """The sessions of the user, if the line names one already."""
    user = ctx.params.get("user")
    if not user:
        return []
    return _completed(
        ctx.params.get("url"),
        incomplete,
        lambda backend: [session.session_id for session in backend.user(user).sessions()],
    )

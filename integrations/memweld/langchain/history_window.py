"""The part of a session that an agent does not hold itself, read from the end without reading the whole session."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import MemoryNotFoundError
from ..memory.facets import History
from ..models import ChatMessage

__all__ = ["past_until"]

_PAGE = 500


def past_until(history: History, until: str, *, before: str | None, limit: int) -> Sequence[ChatMessage]:
    """The last messages of the part that ends with the message ``until``; nothing if the session has it no more.

    Args:
        history: The session.
        until: The id of the last message of that part.
        before: The id of the message that stands right behind it, if one is known.
        limit: How many at most.
    """
    if before is not None:
        found = _up_to(_page(history, limit, before), until)
        if found:
            return found
    # Nothing behind it is known, or others wrote in between: look for it from the end.
    place: str | None = None
    while page := _page(history, _PAGE, place):
        if found := _up_to(page, until):
            missing = limit - len(found)
            return [*_page(history, missing, found[0].id), *found] if missing > 0 else found[-limit:]
        place = page[0].id
    return []


def _page(history: History, limit: int, before: str | None) -> list[ChatMessage]:
    try:
        return history.messages(limit, before)
    except MemoryNotFoundError:
        return []  # The session was cleared.


def _up_to(messages: Sequence[ChatMessage], until: str) -> Sequence[ChatMessage]:
    end = next((index for index, message in enumerate(messages, 1) if message.id == until), 0)
    return messages[:end]

"""The text by which a search finds an item of the store: the fields that the index names, as a model can read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from langgraph.store.base import get_text_at_path

from ..errors import invalid
from ..models import JSON
from ..validation import MAX_TEXT_CHARACTERS, dump_json

__all__ = ["check_fields", "item_text"]

WHOLE = "$"


def check_fields(name: str, fields: object) -> tuple[str, ...]:
    """Paths into an item: ``"text"``, ``"meta.title"``, ``"parts[*].text"``, or ``"$"`` for the whole of it.

    Raises:
        InvalidInputError: They are no list of strings.
    """
    if not isinstance(fields, (list, tuple)):
        raise invalid(name, fields, "it must be a list of paths", 'Pass ["text"] or ["$"].')
    paths = cast("Sequence[object]", fields)
    if not all(isinstance(path, str) for path in paths):
        raise invalid(name, fields, "a path is a string", 'Pass ["text"] or ["$"].')
    return tuple(cast("Sequence[str]", paths))


def item_text(
    value: Mapping[str, JSON], index: Literal[False] | Sequence[str] | None, default: Sequence[str]
) -> str | None:
    """The text by which a search finds an item; None if it is not indexed, or says nothing.

    Args:
        value: The item's value.
        index: The ``index`` of its put: False for not at all, fields, or None for the store's own fields.
        default: The store's own fields.
    """
    if index is False:
        return None
    fields = default if index is None else check_fields("index", index)
    texts = [text for field in fields for text in _texts(value, field)]
    # A character that no database keeps must not keep the item out.
    text = "\n".join(texts)[:MAX_TEXT_CHARACTERS].replace("\x00", " ").encode(errors="replace").decode()
    return text if text.strip() else None


def _texts(value: Mapping[str, JSON], field: str) -> list[str]:
    if field != WHOLE:
        return get_text_at_path(value, field)
    leaves = _leaves(value)
    if len(leaves) == 1 and isinstance(leaves[0], str):
        return [leaves[0]]
    return [dump_json(value)] if leaves else []


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for each in cast("Mapping[Any, Any]", value).values() for leaf in _leaves(each)]
    if isinstance(value, (list, tuple)):
        return [leaf for each in cast("Sequence[Any]", value) for leaf in _leaves(each)]
    return [value]

"""Operands that are more than one value, and their rules: drafts, places, writes, versions.

A rule takes the operand's name and value. It returns the value in the form in which it is stored, or raises
`InvalidInputError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias, cast

from ...errors import invalid
from ...models import JSON, MemoryItem, ValueWrite
from ...validation import (
    MAX_LIMIT,
    validate_json,
    validate_key,
    validate_limit,
    validate_text,
    validate_time,
    validate_ttl,
)

__all__ = [
    "ItemDraft",
    "Place",
    "Rule",
    "StoredValue",
    "validate_counts",
    "validate_drafts",
    "validate_keyed_metadata",
    "validate_keys",
    "validate_places",
    "validate_timeout",
    "validate_value",
    "validate_version",
    "validate_window",
    "validate_writes",
]

Rule: TypeAlias = Callable[[str, Any], Any]
Place: TypeAlias = "tuple[str, str]"
"""The address of a value: namespace and key."""

_MAX_VERSION = 2**63 - 1
_MAX_TIMEOUT = 60
_MAX_COUNT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """A fact to store as it stands, or one message of a turn from which an LLM extracts facts.

    Attributes:
        text: The text.
        role: ``user`` or ``assistant``.
        name: The speaker's name.
        message_id: The message of the session that says it.
        is_kept: Whether the text itself may be stored; if not, an LLM reads it, and no store keeps it.
        created_at: When it was said; None: at the time of the operation.
    """

    text: str
    role: str = "user"
    name: str | None = None
    message_id: str | None = None
    is_kept: bool = True
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A state value with the version that a conditional write must name."""

    value: JSON
    version: int


def validate_drafts(_name: str, drafts: Sequence[ItemDraft]) -> tuple[ItemDraft, ...]:
    """Texts of the user or the assistant."""
    return tuple(map(_validate_draft, drafts))


def _validate_draft(draft: ItemDraft) -> ItemDraft:
    validate_text("message", draft.text)
    if draft.role not in ("user", "assistant"):
        raise invalid("role", draft.role, "facts come from the user or the assistant", "Leave the message out.")
    for name, value in (("message name", draft.name), ("message id", draft.message_id)):
        if value is not None:
            validate_key(name, value)
    if draft.created_at is None:
        return draft
    return replace(draft, created_at=validate_time("message created_at", draft.created_at))


def validate_value(name: str, value: JSON) -> JSON:
    """Any JSON value that can be stored."""
    validate_json(name, value)
    return value


def validate_keyed_metadata(name: str, metadata: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """The metadata of a preference or task, which hold its value."""
    validate_json(name, metadata)
    return metadata


def validate_keys(name: str, keys: object) -> tuple[str, ...]:
    """Several keys or ids."""
    given: object = keys
    if isinstance(keys, (str, bytes, Mapping, MemoryItem)) or not isinstance(keys, Iterable):
        rule = f"it must be a list of ids, not {type(given).__name__}"
        raise invalid(name, given, rule, "Pass ids: item.id, or [first.id, second.id].")
    return tuple(validate_key(name, key) for key in cast("Iterable[object]", given))


def validate_places(_name: str, places: Sequence[Place]) -> tuple[Place, ...]:
    """Pairs of namespace and key."""
    return tuple((validate_key("namespace", namespace), validate_key("key", key)) for namespace, key in places)


def validate_window(after: datetime | None, before: datetime | None) -> None:
    """The ends of a span of time: it ends after it begins."""
    if after is not None and before is not None and before <= after:
        raise invalid("before", before, "it is not after the time in after", "Pass a later time.")


def validate_writes(_name: str, writes: Sequence[ValueWrite]) -> tuple[ValueWrite, ...]:
    """Writes whose every part keeps the rules for state."""
    return tuple(map(_validate_write, writes))


def _validate_write(write: ValueWrite) -> ValueWrite:
    validate_key("namespace", write.namespace)
    validate_key("key", write.key)
    validate_json("value", write.value)
    text = None if write.text is None else validate_text("text", write.text)
    return replace(write, text=text, ttl=validate_ttl(write.ttl))


def validate_version(name: str, version: int) -> int:
    """The version of a value, or the epoch of a scope: a whole number from 0 to 2^63 - 1."""
    if not 0 <= version <= _MAX_VERSION:
        raise invalid(name, version, f"it must be a number from 0 to {_MAX_VERSION}", "Pass the one that you read.")
    return version


def validate_timeout(name: str, seconds: float) -> float:
    """Seconds to wait: 0 to 60."""
    if not 0 <= seconds <= _MAX_TIMEOUT:
        raise invalid(name, seconds, f"it must be 0 to {_MAX_TIMEOUT} seconds", "Wait for less, and ask again.")
    return seconds


def validate_counts(name: str, value: Mapping[str, int]) -> Mapping[str, int]:
    """How many times, by id: at most 10,000 ids, each once at least."""
    if len(value) > MAX_LIMIT:
        raise invalid(name, len(value), f"it has at most {MAX_LIMIT:,} ids", "Send several operations.")
    return {
        validate_key(name, memory_id): validate_limit(count, name=name, maximum=_MAX_COUNT)
        for memory_id, count in value.items()
    }

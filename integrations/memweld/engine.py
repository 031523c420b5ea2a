"""The seam below: what an engine must do. Everything that users see is derived from these primitives.

An engine never sees a framework and never chooses a user: each call carries the `Scope`, always first. Arguments come
checked (see ``checks.py``); rows that come back belong to the scope, and an engine makes sure of it itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .models import JSON, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Session
from .scope import Scope

__all__ = ["Engine", "ItemDraft", "KeyedDraft", "StoredValue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """A fact to be stored as it stands, or one message of a turn from which an LLM extracts facts."""

    text: str
    role: str = "user"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedDraft:
    """A preference or task outcome: stored under its key, replacing what was there."""

    kind: Kind
    key: str
    text: str
    metadata: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A state value with the version that a conditional write must name."""

    value: JSON
    version: int


class Engine(Protocol):
    """The primitives over one store. Thread-safe; every method blocks.

    Any method raises `BackendUnavailableError` when the store cannot be reached, and `MemoryNotFoundError` for an item
    id that does not exist **in this scope**.
    """

    @property
    def has_graph(self) -> bool:
        """Whether items are projected into a graph store besides the vectors."""
        ...

    @property
    def can_extract(self) -> bool:
        """Whether an LLM is configured, so that ``infer`` has something to infer with."""
        ...

    # items

    def add_items(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        *,
        infer: bool,
        metadata: Mapping[str, JSON],
        session_id: str | None,
        created_at: datetime | None,
    ) -> list[MemoryItem]:
        """Store the drafts, or what the LLM makes of them; an equal text in the same scope is stored once.

        Returns:
            The stored items in order; for a text that was there already, the item that holds it. Empty only if the
            LLM answered, well-formed, that there is nothing to keep.
        """
        ...

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a preference or task outcome under its key in exactly this scope."""
        ...

    def get_keyed(self, scope: Scope, kind: Kind, key: str) -> MemoryItem | None:
        """The item under a key in exactly this scope, or None."""
        ...

    def search_items(
        self, scope: Scope, query: str, *, limit: int, kinds: Sequence[Kind] | None, filters: Mapping[str, JSON]
    ) -> list[Hit]:
        """The items of the scope that fit best, best first."""
        ...

    def get_item(self, scope: Scope, memory_id: str) -> MemoryItem:
        """The item with this id."""
        ...

    def list_items(
        self,
        scope: Scope,
        *,
        limit: int,
        after: str | None,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
    ) -> list[MemoryItem]:
        """Items in the order in which they were stored, oldest first, from behind the id ``after``."""
        ...

    def update_item(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text, and the metadata unless it is None."""
        ...

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item, its vector, its keywords and its past texts."""
        ...

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope, whatever their kind; how many there were."""
        ...

    # values: state, exact by namespace and key in exactly this scope

    def get_value(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value, or None where there is none (a stored null is ``StoredValue(None, …)``)."""
        ...

    def put_value(
        self, scope: Scope, namespace: str, key: str, value: JSON, *, if_version: int | None = None
    ) -> int | None:
        """Store the value; its new version.

        With ``if_version`` the write happens only if the stored version is that one (0: nothing is stored); None comes
        back where it is not.
        """
        ...

    def delete_value(self, scope: Scope, namespace: str, key: str) -> bool:
        """Delete the value; whether there was one."""
        ...

    def list_keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of the namespace, sorted."""
        ...

    # messages: history, exact by session in exactly this scope

    def append_messages(self, scope: Scope, session_id: str, messages: Sequence[ChatMessage]) -> None:
        """Append messages (each with id and time); one whose id the session has replaces that message in place."""
        ...

    def read_messages(self, scope: Scope, session_id: str, *, limit: int | None) -> list[ChatMessage]:
        """The last ``limit`` messages (None: all), oldest first."""
        ...

    def clear_messages(self, scope: Scope, session_id: str) -> int:
        """Delete the session; how many messages it had."""
        ...

    def list_sessions(self, scope: Scope) -> list[Session]:
        """The sessions of exactly this scope, the latest used first."""
        ...

    # everything

    def export(self, scope: Scope) -> dict[str, JSON]:
        """All that the scope contains, as one JSON object."""
        ...

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, texts of the past included."""
        ...

    def close(self) -> None:
        """Release files, connections and threads. Further calls raise `BackendUnavailableError`."""
        ...

"""A memory item as a row of the table, and as users see it."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ...explanation import Explanation
from ...models import JSON, Change, Extraction, Hit, Kind, MemoryItem, Source
from ...scope import Scope
from ...validation import dump_json, fold_text
from ..export_data import ExportedItem
from ..statements.relations import Relation, relations_of
from .damage import damaged
from .ttl import to_datetime

__all__ = ["FACT_KINDS", "SEVERAL", "ItemRow", "RowTemplate", "relation_key", "remedy_of_keyed", "row_of", "text_hash"]

FACT_KINDS: tuple[Kind, ...] = ("item", "preference", "task", "record")
"""All kinds but sources: the kinds that a list shows by default."""

SEVERAL = "several"
"""The column ``relation`` of a text that states several: no relation has this key."""


@dataclass(slots=True)
class ItemRow:
    """One row of ``items`` with the scope that owns it; the fields between ``scope`` and ``seq`` are its columns.

    No caller changes one: `dataclasses.replace` makes another. It is not frozen, which makes rows in half the time.
    """

    scope: Scope
    id: str
    kind: Kind
    key: str | None
    session_id: str | None
    role: str | None
    name: str | None
    text: str
    hash: str
    metadata: str
    extraction: Extraction
    extraction_error: str | None
    created_at: str
    updated_at: str
    message_id: str | None = None
    occurrences: str | None = None
    links: str | None = None
    valid_from: float | None = None
    valid_until: float | None = None
    superseded_by: str | None = None
    changed_by: Change | None = None
    source: Source = "user"
    expires_at: float | None = None
    pinned_at: float | None = None
    relation: str | None = None
    own_end: float | None = None
    own_expiry: float | None = None
    seq: int = 0

    @property
    def linked_ids(self) -> list[str]:
        """The ids in ``links``; none where they are damaged: to delete a row must always be possible."""
        try:
            return [] if self.links is None else json.loads(self.links)
        except ValueError:
            return []

    def is_from(self, sources: Sequence[Source] | Literal["trusted"]) -> bool:
        """Whether it is from one of these sources (see `Sources`)."""
        if sources == "trusted":
            return self.extraction != "extracted" or self.source not in ("assistant", "tool")
        return self.source in sources

    def is_valid(self, moment: float) -> bool:
        """Whether it is held true at a moment (seconds since 1970)."""
        return (self.valid_from or 0) <= moment and (self.valid_until is None or self.valid_until > moment)

    @property
    def begins_at(self) -> float:
        """When it became true, as far as is known (seconds since 1970)."""
        return datetime.fromisoformat(self.created_at).timestamp() if self.valid_from is None else self.valid_from

    def relations(self) -> tuple[Relation, ...]:
        """The relations that its text states."""
        return _relations(self.scope, self.kind, self.text, self.role, self.name)

    def item(self) -> MemoryItem:
        """The row as users see it.

        Raises:
            BackendUnavailableError: The row is damaged.
        """
        return MemoryItem(**self._fields())

    def exported(self) -> ExportedItem:
        """The row as an export has it. Raises as `item` does."""
        end, expiry = to_datetime(self.own_end), to_datetime(self.own_expiry)
        return ExportedItem(**self._fields(), own_valid_until=end, own_expires_at=expiry)

    def hit(self, score: float, explanation: Explanation | None = None) -> Hit:
        """The row as a hit of a search, its score between 0 and 1. Raises as `item` does."""
        score = min(max(score, 0.0), 1.0)
        return Hit(**self._fields(), score=score, explanation=explanation and explanation.with_score(score))

    def _fields(self) -> dict[str, Any]:
        """The fields of `MemoryItem`."""
        try:
            metadata: dict[str, JSON] = json.loads(self.metadata) if self.metadata != "{}" else {}
            occurrences = () if self.occurrences is None else tuple(json.loads(self.occurrences))
            links = tuple(self.linked_ids)
            created_at, updated_at = map(datetime.fromisoformat, (self.created_at, self.updated_at))
        except (TypeError, ValueError) as error:
            raise damaged(f"The memory {self.id}", f"remove it with memory.delete({self.id!r})", error) from error
        return {
            "id": self.id,
            "text": self.text,
            "user_id": self.scope.user_id,
            "agent_id": self.scope.agent_id,
            "kind": self.kind,
            "key": self.key,
            "session_id": self.session_id,
            "role": self.role,
            "name": self.name,
            "metadata": metadata,
            "created_at": created_at,
            "updated_at": updated_at,
            "extraction": self.extraction,
            "extraction_error": self.extraction_error,
            "message_id": self.message_id,
            "occurrences": occurrences,
            "links": links,
            "valid_from": to_datetime(self.valid_from),
            "valid_until": to_datetime(self.valid_until),
            "superseded_by": self.superseded_by,
            "changed_by": self.changed_by,
            "source": self.source,
            "expires_at": to_datetime(self.expires_at),
            "pinned_at": to_datetime(self.pinned_at),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTemplate:
    """The fields that all rows of one write have in common."""

    kind: Kind = "item"
    key: str | None = None
    session_id: str | None = None
    metadata: str = "{}"
    extraction: Extraction = "verbatim"
    extraction_error: str | None = None
    links: Sequence[str] = ()
    valid_from: float | None = None
    valid_until: float | None = None
    source: Source | None = None
    expires_at: float | None = None
    pinned_at: float | None = None

    def row(
        self,
        scope: Scope,
        text: str,
        created_at: str,
        *,
        role: str | None = None,
        name: str | None = None,
        memory_id: str | None = None,
        message_id: str | None = None,
        speaker: str | None = None,
    ) -> ItemRow:
        """The row for a text, created and changed at this time (ISO 8601), with a new id unless one is given.

        The speaker is its source, unless the template has one: ``role`` said it, or it was learnt from ``speaker``.
        """
        by_assistant = "assistant" in (role, speaker)
        return ItemRow(
            scope=scope,
            id=memory_id or str(uuid.uuid4()),
            kind=self.kind,
            key=self.key,
            session_id=self.session_id,
            role=role,
            name=name,
            text=text,
            hash=text_hash(text),
            metadata=self.metadata,
            extraction=self.extraction,
            extraction_error=self.extraction_error,
            created_at=created_at,
            updated_at=created_at,
            message_id=message_id,
            links=dump_json(list(self.links)) if self.links else None,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            source=self.source or ("assistant" if by_assistant else "user"),
            expires_at=self.expires_at,
            pinned_at=None if self.kind == "source" else self.pinned_at,
            relation=relation_key(scope, self.kind, text, role, name),
        )


def row_of(item: MemoryItem, scope: Scope, fingerprint: str) -> ItemRow:
    """The row of an item that an export or a receipt holds.

    Args:
        item: The item.
        scope: The scope that owns it.
        fingerprint: The `text_hash` of its text.
    """
    if isinstance(item, ExportedItem):
        own_end, own_expiry = item.own_valid_until, item.own_expires_at
    else:
        own_end, own_expiry = None, None if item.superseded_by is None else item.expires_at
    return ItemRow(
        scope=scope,
        id=item.id,
        kind=item.kind,
        key=item.key,
        session_id=item.session_id,
        role=item.role,
        name=item.name,
        text=item.text,
        hash=fingerprint,
        metadata=dump_json(item.metadata),
        extraction=item.extraction,
        extraction_error=item.extraction_error,
        created_at=item.created_at.isoformat(),
        updated_at=item.updated_at.isoformat(),
        message_id=item.message_id,
        occurrences=dump_json([dict(each) for each in item.occurrences]) if item.occurrences else None,
        links=dump_json(list(item.links)) if item.links else None,
        valid_from=_seconds(item.valid_from),
        valid_until=_seconds(item.valid_until),
        superseded_by=item.superseded_by,
        changed_by=item.changed_by,
        source=item.source,
        expires_at=_seconds(item.expires_at),
        pinned_at=_seconds(item.pinned_at),
        relation=relation_key(scope, item.kind, item.text, item.role, item.name),
        own_end=_seconds(own_end),
        own_expiry=_seconds(own_expiry),
    )


def relation_key(scope: Scope, kind: Kind, text: str, role: str | None, name: str | None) -> str | None:
    """The column ``relation``: that which a free fact states, or ends; `SEVERAL` if there are more."""
    keys = {each.key for each in _relations(scope, kind, text, role, name)}
    return SEVERAL if len(keys) > 1 else next(iter(keys), None)


def _relations(scope: Scope, kind: Kind, text: str, role: str | None, name: str | None) -> tuple[Relation, ...]:
    # An agent's own memory may be about many people.
    if kind != "item" or scope.user_id is None:
        return ()
    is_user = name is None or name.casefold() in (role, scope.user_id.casefold())
    return relations_of(text, role=role, name=None if is_user else name)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def text_hash(text: str) -> str:
    """A fingerprint of texts that are equal when folded, not a secret; of folded texts the same that mem0 2.2 makes."""
    return hashlib.md5(fold_text(text).encode(), usedforsecurity=False).hexdigest()


def remedy_of_keyed(row: ItemRow) -> str:
    """How to change an item that has a key, for errors."""
    if row.kind == "record":
        value = json.loads(row.metadata)
        return f"Change it by its key: state({value['namespace']!r}).set({value['key']!r}, …, text=…)."
    facet = "preferences.set" if row.kind == "preference" else "tasks.record"
    return f"Change it by its key: {facet}({row.key!r}, …)."

"""Between mem0's payloads and our rows: what we know travels under one key of ours, so that nothing can collide."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from ....models import JSON, Extraction, Kind
from ....scope import Scope
from ....validation import utc_now
from ...protocol import ItemDraft
from ...sql.items import ItemRow

__all__ = ["ENVELOPE", "Envelope", "encode_scope", "envelope_of", "row_of", "scope_of", "text_hash", "to_payload"]

ENVELOPE = "memweld"
"""The one payload key under which our own fields and the caller's metadata travel through mem0."""

# What mem0 2.2 writes besides; text_lemmatized repeats the text, whose terms stand in a column of their own.
_COLUMNS = frozenset(
    {ENVELOPE, "data", "hash", "created_at", "updated_at", "user_id", "agent_id", "role", "actor_id", "text_lemmatized"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Our fields of an item, as they travel through mem0."""

    kind: Kind = "item"
    key: str | None = None
    session_id: str | None = None
    metadata: str = "{}"
    extraction: Extraction = "verbatim"
    extraction_error: str | None = None

    def dump(self) -> str:
        """The envelope as text, because mem0 reads meaning into some keys and nested values of metadata."""
        return json.dumps([self.kind, self.key, self.session_id, self.metadata, self.extraction, self.extraction_error])

    def row(self, scope: Scope, draft: ItemDraft, at: str) -> ItemRow:
        """The row for a text that is stored as it stands, made and changed at this time (ISO 8601)."""
        return ItemRow(
            scope=scope,
            id=str(uuid.uuid4()),
            kind=self.kind,
            key=self.key,
            session_id=self.session_id,
            role=draft.role,
            name=draft.name,
            text=draft.text,
            hash=text_hash(draft.text),
            metadata=self.metadata,
            extraction=self.extraction,
            extraction_error=self.extraction_error,
            extra={},
            created_at=at,
            updated_at=at,
        )

    @classmethod
    def load(cls, text: str) -> Envelope:
        """The envelope from its text."""
        kind, key, session_id, metadata, extraction, error = json.loads(text)
        return cls(
            kind=kind,
            key=key,
            session_id=session_id,
            metadata=metadata,
            extraction=extraction,
            extraction_error=error,
        )


def text_hash(text: str) -> str:
    """As mem0 2.2 computes it for the payload; a fingerprint of equal texts, not a secret."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def encode_scope(scope: Scope) -> dict[str, str]:
    """The scope as mem0's entity ids: percent-encoded, because mem0 refuses blanks and some stores read ``*``."""
    ids = {"user_id": scope.user_id, "agent_id": scope.agent_id}
    return {name: quote(identity, safe="") for name, identity in ids.items() if identity is not None}


def scope_of(payload: Mapping[str, Any]) -> Scope:
    """The scope that a payload or a filter names; the guard compares it with the scope of the call."""
    user_id, agent_id = (unquote(str(payload[name])) if payload.get(name) else None for name in ("user_id", "agent_id"))
    return Scope.stored(user_id, agent_id)


def row_of(memory_id: str, payload: Mapping[str, Any]) -> ItemRow:
    """The row for what mem0 wants to store."""
    envelope = Envelope.load(payload[ENVELOPE]) if ENVELOPE in payload else Envelope()
    now = utc_now().isoformat()
    return ItemRow(
        scope=scope_of(payload),
        id=memory_id,
        kind=envelope.kind,
        key=envelope.key,
        session_id=envelope.session_id,
        role=payload.get("role"),
        name=payload.get("actor_id"),
        text=payload["data"],
        hash=payload["hash"],
        metadata=envelope.metadata,
        extraction=envelope.extraction,
        extraction_error=envelope.extraction_error,
        extra={key: value for key, value in payload.items() if key not in _COLUMNS},
        created_at=_normal(payload.get("created_at") or now),
        updated_at=_normal(payload.get("updated_at") or now),
    )


def envelope_of(row: ItemRow) -> Envelope:
    """Our own fields of a row."""
    return Envelope(
        kind=row.kind,
        key=row.key,
        session_id=row.session_id,
        metadata=row.metadata,
        extraction=row.extraction,
        extraction_error=row.extraction_error,
    )


def to_payload(row: ItemRow) -> dict[str, JSON]:
    """The payload that mem0 expects for a row."""
    payload: dict[str, JSON] = {
        **row.extra,
        **encode_scope(row.scope),
        "data": row.text,
        "hash": row.hash,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        ENVELOPE: envelope_of(row).dump(),
    }
    optional = {"role": row.role, "actor_id": row.name}
    return payload | {key: value for key, value in optional.items() if value is not None}


def _normal(moment: str) -> str:
    return datetime.fromisoformat(moment).isoformat()

"""Facts of all scopes: every call of mem0 goes through here, with its scope, in one transaction, checked on return."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...checks import dump_json
from ...engine import ItemDraft, KeyedDraft
from ...errors import BackendUnavailableError, MemoryNotFoundError, MemweldError, invalid
from ...models import JSON, Extraction, Hit, Kind, MemoryItem
from ...scope import Scope
from ..stores.items import Items
from ..stores.sqlite import SqliteDatabase
from .claim import EmbedderOfFile
from .embedders import GuardedEmbedding, load_embedder
from .extraction import ExtractionFailedError, GuardedLLM, load_llm
from .guard import Guard
from .loading import finds_entities, make_mem0
from .payloads import ENVELOPE, Envelope, encode_scope, row_of, with_metadata
from .vector_store import FILTERS, StoreConfig

__all__ = ["Facts"]


def _hash(text: str) -> str:
    # As mem0 2.2 computes it for the payload; a fingerprint of equal texts, not a secret.
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Facts:
    """Memory items by mem0 on our tables. Thread-safe; making one loads mem0 and the embedder.

    Args:
        database: The file.
        llm: What extracts facts, as `connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `connect` takes it.

    Raises:
        ConfigurationError: The LLM or embedder cannot be made.
    """

    def __init__(self, database: SqliteDatabase, *, llm: Any, llm_timeout: float, embedder: Any) -> None:
        self._database = database
        self._guard = Guard()
        self._embedding = GuardedEmbedding(load_embedder(embedder))
        self._llm = GuardedLLM(load_llm(llm), timeout=llm_timeout)
        claim = EmbedderOfFile(database, self._embedding.fingerprint)
        config = StoreConfig(collection_name="memweld", database=database, guard=self._guard, embedder=claim)
        self._mem0, self._store = make_mem0(config, self._embedding, self._llm)
        self._items = Items(database)

    def forget(self) -> None:
        """Drop the vectors in RAM."""
        self._store.forget()

    # adding

    def add(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        *,
        infer: bool,
        metadata: Mapping[str, JSON],
        session_id: str | None,
        created_at: datetime | None,
        earlier: Sequence[dict[str, str]],
    ) -> list[MemoryItem]:
        """Store the drafts, or the facts that the LLM finds in them (see ``Engine.add_items``)."""
        envelope = Envelope(session_id=session_id, metadata=dump_json(metadata))
        if not infer:
            return self._add_verbatim(scope, drafts, envelope, created_at)
        try:
            return self._add_extracted(scope, drafts, envelope, created_at, earlier)
        except ExtractionFailedError as error:
            failed = self._envelope(envelope, "failed", str(error))
            return self._add_verbatim(scope, drafts, failed, created_at)

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a fact under its key, replacing what the key held in exactly this scope."""
        envelope = Envelope(kind=draft.kind, key=draft.key, metadata=dump_json(draft.metadata))
        with self._embedding.prepared([draft.text]), self._database.writing(), self._guard.acting_for(scope):
            held = self._items.by_key(scope, draft.kind, draft.key)
            if held is None:
                self._mem0_add(scope, [ItemDraft(text=draft.text)], envelope, None, infer=False)
            else:
                self._mem0.update(held.id, text=draft.text, metadata={ENVELOPE: envelope.dump()})
            stored = self._items.by_key(scope, draft.kind, draft.key)
        if stored is None:
            raise BackendUnavailableError(f"The {draft.kind} {draft.key!r} cannot be read back.")
        return stored.item()

    def _add_verbatim(
        self, scope: Scope, drafts: Sequence[ItemDraft], envelope: Envelope, created_at: datetime | None
    ) -> list[MemoryItem]:
        stored: list[MemoryItem] = []
        with (
            self._embedding.prepared([draft.text for draft in drafts]),
            self._database.writing(),
            self._guard.acting_for(scope),
        ):
            for draft in drafts:
                if self._items.by_hash(scope, _hash(draft.text)) is None:
                    self._mem0_add(scope, [draft], envelope, created_at, infer=False)
                stored.append(self._held(scope, draft.text))
        return _once(stored)

    def _add_extracted(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        envelope: Envelope,
        created_at: datetime | None,
        earlier: Sequence[dict[str, str]],
    ) -> list[MemoryItem]:
        extracted = self._envelope(envelope, "extracted", None)
        # The unit's transaction begins with mem0's first write, which comes after the LLM's answer.
        with self._database.unit():
            try:
                with self._guard.acting_for(scope, earlier=earlier, extracting=True):
                    self._mem0_add(scope, drafts, extracted, created_at, infer=True)
            except MemweldError:
                raise
            except Exception as error:
                if isinstance(cause := _cause(error, ExtractionFailedError), ExtractionFailedError):
                    raise cause from error
                raise BackendUnavailableError(f"mem0 could not store the facts: {error}") from error
            return _once([self._held(scope, text) for text in self._llm.facts])

    def _mem0_add(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        envelope: Envelope,
        created_at: datetime | None,
        *,
        infer: bool,
    ) -> None:
        messages = [{"role": draft.role, "content": draft.text, "name": draft.name} for draft in drafts]
        payload = {ENVELOPE: envelope.dump()}
        if created_at is not None:
            payload["created_at"] = created_at.isoformat()
        self._mem0.add(messages, **encode_scope(scope), metadata=payload, infer=infer)

    def _held(self, scope: Scope, text: str) -> MemoryItem:
        row = self._items.by_hash(scope, _hash(text))
        if row is None:
            raise BackendUnavailableError("A memory that mem0 reported as stored cannot be read back.")
        return row.item()

    @staticmethod
    def _envelope(envelope: Envelope, extraction: Extraction, error: str | None) -> Envelope:
        return Envelope(
            session_id=envelope.session_id, metadata=envelope.metadata, extraction=extraction, extraction_error=error
        )

    # reading

    def search(
        self, scope: Scope, query: str, *, limit: int, kinds: Sequence[Kind] | None, filters: Mapping[str, JSON]
    ) -> list[Hit]:
        """The facts that fit best, best first."""
        conditions = json.dumps({"kinds": kinds, "metadata": dict(filters)})
        with self._guard.acting_for(scope, wanted=None if finds_entities() else limit):
            found = self._mem0.search(
                query, top_k=limit, threshold=0.0, filters={**encode_scope(scope), FILTERS: conditions}
            )
        hits: list[Hit] = []
        for result in found["results"]:
            row = row_of(result["id"], _payload(result))
            if scope.contains(row.scope):
                item = row.item()
                fields = {name: getattr(item, name) for name in MemoryItem.__dataclass_fields__}
                hits.append(Hit(**fields, score=min(max(float(result["score"]), 0.0), 1.0)))
        return hits

    # changing

    def update(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text of a free fact (see ``Engine.update_item``)."""
        with self._embedding.prepared([text]), self._database.writing(), self._guard.acting_for(scope):
            row = self._items.get(scope, memory_id)
            if row is None:
                raise MemoryNotFoundError(memory_id)
            if row.key is not None:
                facet = "preferences.set" if row.kind == "preference" else "tasks.record"
                remedy = f"Change it by its key: {facet}({row.key!r}, …)."
                raise invalid("memory_id", memory_id, f"it is a {row.kind}", remedy)
            same = self._items.by_hash(row.scope, _hash(text))
            if same is not None and same.id != memory_id:
                remedy = f"Delete this memory and keep {same.id}."
                raise invalid("text", text, "another memory of the same scope says exactly this", remedy)
            self._mem0.update(memory_id, text=text, metadata={ENVELOPE: with_metadata(row, metadata)})
            changed = self._items.get(scope, memory_id)
        if changed is None:
            raise MemoryNotFoundError(memory_id)
        return changed.item()


def _payload(result: Mapping[str, Any]) -> dict[str, Any]:
    """mem0's answer for one memory as the payload from which it was made."""
    flat: dict[str, Any] = {**result, **(result.get("metadata") or {}), "data": result["memory"]}
    return {key: value for key, value in flat.items() if key not in ("id", "memory", "score", "metadata")}


def _once(items: Sequence[MemoryItem]) -> list[MemoryItem]:
    return list({item.id: item for item in items}.values())


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error

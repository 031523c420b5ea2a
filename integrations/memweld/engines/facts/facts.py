"""Facts of all scopes: every call of mem0 goes through here, with its scope, in one transaction, checked on return."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ...checks import dump_json, utc_now
from ...engine import ItemDraft, KeyedDraft
from ...errors import BackendUnavailableError, MemoryNotFoundError, MemweldError, invalid
from ...models import JSON, Extraction, Hit, Kind, MemoryItem
from ...scope import Scope
from ..stores.database import Database
from ..stores.items import ItemRow, Items
from ..stores.restoring import Packed
from .claim import EmbedderOfFile
from .embedders import GuardedEmbedding
from .extraction import ExtractionFailedError, GuardedLLM, load_llm
from .guard import Guard
from .loading import finds_entities, make_mem0
from .packing import pack
from .payloads import ENVELOPE, Envelope, encode_scope, row_of, text_hash, with_metadata
from .providers import load_embedder
from .records import Records
from .reindexing import Progress, Reindexing
from .vector_store import FILTERS, StoreConfig

if TYPE_CHECKING:
    from ..configuration import Mem0Configuration
    from .mirror.pending import Delivery

__all__ = ["Facts"]


class Facts:
    """Memory items by mem0 on our tables. Thread-safe; making one loads mem0 and the embedder.

    Args:
        database: The file.
        llm: What extracts facts, as `connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `connect` takes it.
        mirror: Where the vectors are, if not in the file.
        cache_mb: How much RAM the indexes of the users that searched last may take, in millions of bytes.

    Raises:
        ConfigurationError: The LLM, the embedder or the place of the vectors cannot be made.
    """

    def __init__(
        self,
        database: Database,
        *,
        llm: Any,
        llm_timeout: float,
        embedder: Any,
        mirror: Mem0Configuration | None = None,
        cache_mb: int = 512,
    ) -> None:
        self._database = database
        self._guard = Guard()
        self._embedding = GuardedEmbedding(load_embedder(embedder))
        self._llm = GuardedLLM(load_llm(llm), timeout=llm_timeout)
        place = "" if mirror is None else f" in {mirror.name}"
        self._claim = claim = EmbedderOfFile(database, self._embedding.fingerprint + place)
        self.delivery: Delivery | None = None
        self.records = Records(database, self._embedding, claim)
        config = StoreConfig(
            collection_name="memweld",
            database=database,
            guard=self._guard,
            embedder=claim,
            embedding=self._embedding,
        )
        if mirror is not None:
            from .mirror.making import make_delivery

            self.delivery = make_delivery(mirror, database, self._embedding, claim)
            config.mirror = self.delivery.mirror
        self._mem0, self._store = make_mem0(config, self._embedding, self._llm)
        self._store.keep(1_000_000 * cache_mb)
        self._items = Items(database)

    def forget(self) -> None:
        """Drop the vectors and words in RAM."""
        self._store.forget()
        self._embedding.forget()

    def reindex(self, progress: Progress | None = None, *, by: type[Reindexing] = Reindexing) -> int:
        """Give all vectors to this embedder, in the way of the database (see ``Reindexing.run``)."""
        if self.delivery is not None:
            return self.delivery.rebuild(progress)
        return by(self._database, self._embedding, self._claim).run(progress)

    def pack(self, texts: Sequence[str]) -> Packed:
        """Embed texts that are to be restored."""
        return pack(texts, self._embedding, self._claim)

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
                self._store_drafts(scope, [ItemDraft(text=draft.text)], envelope, utc_now())
            else:
                self._mem0.update(held.id, text=draft.text, metadata={ENVELOPE: envelope.dump()})
            stored = self._items.by_key(scope, draft.kind, draft.key)
        if stored is None:
            raise BackendUnavailableError(f"The {draft.kind} {draft.key!r} cannot be read back.")
        return stored.item()

    def _add_verbatim(
        self, scope: Scope, drafts: Sequence[ItemDraft], envelope: Envelope, created_at: datetime | None
    ) -> list[MemoryItem]:
        with (
            self._embedding.prepared([draft.text for draft in drafts]),
            self._database.writing(),
            self._guard.acting_for(scope),
        ):
            rows = self._store_drafts(scope, drafts, envelope, created_at or utc_now())
            stored = [
                self._held(scope, draft.text) if row is None else row.item()
                for draft, row in zip(drafts, rows, strict=True)
            ]
        return _once(stored)

    def _store_drafts(
        self, scope: Scope, drafts: Sequence[ItemDraft], envelope: Envelope, moment: datetime
    ) -> list[ItemRow | None]:
        """Store texts as they stand; the row of each, None for one that is there already.

        Not through mem0, which would add nothing: what it writes without an LLM is the text, its hash and its vector.
        """
        at = moment.isoformat()
        rows = [envelope.row(scope, draft, at) for draft in drafts]
        stored = self._store.store(rows, [self._embedding.embed(draft.text) for draft in drafts])
        return [row if is_new else None for row, is_new in zip(rows, stored, strict=True)]

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
                    self._mem0_add(scope, drafts, extracted, created_at)
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
    ) -> None:
        messages = [{"role": draft.role, "content": draft.text, "name": draft.name} for draft in drafts]
        payload = {ENVELOPE: envelope.dump()}
        if created_at is not None:
            payload["created_at"] = created_at.isoformat()
        self._mem0.add(messages, **encode_scope(scope), metadata=payload, infer=True)

    def _held(self, scope: Scope, text: str) -> MemoryItem:
        row = self._items.by_hash(scope, text_hash(text))
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
        self,
        scope: Scope,
        query: str,
        *,
        limit: int,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
        half_life: float | None = None,
    ) -> list[Hit]:
        """The facts that fit best, best first (see ``Engine.search_items``)."""
        conditions = {"kinds": kinds, "metadata": dict(filters), "half_life": half_life}
        find = self._find_with_entities if finds_entities() else self._find
        return [_hit(row, score) for row, score in find(scope, query, limit, conditions) if scope.contains(row.scope)]

    def _find(self, scope: Scope, query: str, limit: int, conditions: Mapping[str, Any]) -> list[tuple[ItemRow, float]]:
        """What our store ranks best, which is all that mem0 would answer where it knows no entities."""
        with self._guard.acting_for(scope, wanted=limit):
            return self._store.best(scope, query, self._embedding.embed(query, "search"), limit, conditions)

    def _find_with_entities(
        self, scope: Scope, query: str, limit: int, conditions: Mapping[str, Any]
    ) -> list[tuple[ItemRow, float]]:
        """What mem0 makes of more rows of our store and of the entities that it has linked to them."""
        wanted = {**encode_scope(scope), FILTERS: json.dumps(conditions)}
        with self._guard.acting_for(scope):
            found = self._mem0.search(query, top_k=limit, threshold=0.0, filters=wanted)
        return [(row_of(each["id"], _payload(each)), float(each["score"])) for each in found["results"]]

    # changing

    def update(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text of a free fact (see ``Engine.update_item``)."""
        with self._embedding.prepared([text]), self._database.writing(), self._guard.acting_for(scope):
            row = self._items.get(scope, memory_id)
            if row is None:
                raise MemoryNotFoundError(memory_id)
            if row.key is not None:
                raise invalid("memory_id", memory_id, f"it is a {row.kind}", _remedy(row))
            same = self._items.by_hash(row.scope, text_hash(text))
            if same is not None and same.id != memory_id:
                remedy = f"Delete this memory and keep {same.id}."
                raise invalid("text", text, "another memory of the same scope says exactly this", remedy)
            self._mem0.update(memory_id, text=text, metadata={ENVELOPE: with_metadata(row, metadata)})
            changed = self._items.get(scope, memory_id)
        if changed is None:
            raise MemoryNotFoundError(memory_id)
        return changed.item()


def _remedy(row: ItemRow) -> str:
    if row.kind == "record":
        value = json.loads(row.metadata)
        return f"Change it by its key: state({value['namespace']!r}).set({value['key']!r}, …, text=…)."
    facet = "preferences.set" if row.kind == "preference" else "tasks.record"
    return f"Change it by its key: {facet}({row.key!r}, …)."


def _hit(row: ItemRow, score: float) -> Hit:
    item = row.item()
    fields = {name: getattr(item, name) for name in MemoryItem.__dataclass_fields__}
    return Hit(**fields, score=min(max(score, 0.0), 1.0))


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

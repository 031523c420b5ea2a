"""Memory items of all scopes: add, search and change them, each call in one transaction.

The first call that needs mem0 loads it: an extraction, or, where mem0 finds entities, a search or a change of a text.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import BackendUnavailableError, ConfigurationError, MemoryNotFoundError, MissingExtraError, invalid
from ..models import Hit, MemoryItem
from ..progress import progress_bar
from ..scope import Scope
from ..validation import QUERY_CHARACTERS, dump_json, utc_now
from .embedder_factory import load_embedder
from .extraction.attribution import learnt_from
from .extraction.compact import CompactExtractor
from .extraction.failures import ExtractionFailedError
from .extraction.llm import GuardedLLM, load_llm
from .extraction.mem0.side_effects import finds_entities
from .extraction.options import ExtractionOptions
from .fork import RenewedLock
from .mem0_import import MEM0_IMPORT
from .operations import AddItems, ItemDraft, PutKeyed, Search, UpdateItem
from .protocol import Progress
from .search.coverage import Ranked
from .search.embedder_check import EmbedderCheck
from .search.embedders import GuardedEmbedding
from .search.item_store import ItemStore, Question
from .search.reindex import Reindexing
from .search.state_texts import StateTexts
from .search.vector_store import VectorsElsewhere, VectorStoreSettings
from .sql import owners
from .sql.cursors import Cursors
from .sql.database import Database
from .sql.item_rows import ItemRow, RowTemplate, remedy_of_keyed, text_hash
from .sql.items import Items
from .sql.mem0_entities import unlink
from .sql.occurrences import with_metadata, without_messages
from .sql.outbox import Outbox
from .sql.restore import EmbeddedTexts
from .sql.supersession import rows_to_supersede, supersede

if TYPE_CHECKING:
    from .extraction.mem0.memory import Mem0Memory

__all__ = ["Facts"]

logger = logging.getLogger("memweld.extraction")


class _ErasedError(Exception):
    """The scope was erased after the call began."""


class Facts:
    """Memory items on memweld's tables. Thread-safe; the constructor loads the embedder.

    Args:
        database: The file.
        extraction: The LLM that extracts facts, and how.
        embedder: Makes vectors; the argument of `connect`.
        mem0_store: The store of mem0's that holds the vectors; None: the file holds them.
        cache_mb: How much RAM the indexes of the users that searched last may take, in millions of bytes.

    Raises:
        ConfigurationError: The embedder or the mem0 store cannot be loaded. A wrong LLM raises at its first use.
    """

    def __init__(
        self,
        database: Database,
        *,
        extraction: ExtractionOptions,
        embedder: Any,
        mem0_store: VectorStoreSettings | None = None,
        cache_mb: int = 512,
    ) -> None:
        self._database = database
        self._embedding = GuardedEmbedding(load_embedder(embedder))
        place = "" if mem0_store is None else f" in {mem0_store.name}"
        self._embedder_check = EmbedderCheck(database, self._embedding.fingerprint + place)
        self.projection: VectorsElsewhere | None = None
        self.records = StateTexts(database, self._embedding, self._embedder_check)
        self._items = Items(database)
        self._cursors = Cursors(database)
        self._store = self._make_store(mem0_store, 1_000_000 * cache_mb)
        self._extraction = extraction
        self._made: Mem0Memory | None = None
        self._extractor: CompactExtractor | None = None
        self._loading = RenewedLock()

    def _make_store(self, mem0_store: VectorStoreSettings | None, cache_bytes: int) -> ItemStore:
        if mem0_store is None:
            return ItemStore(self._database, self._embedder_check, self._embedding, cache_bytes=cache_bytes)
        self.projection = mem0_store.open(self._database, self._embedding, self._embedder_check)
        return self.projection.make_item_store(cache_bytes=cache_bytes)

    @property
    def index_bytes(self) -> int:
        """About how much RAM the indexes take."""
        return self._store.index_bytes

    @property
    def _mem0(self) -> Mem0Memory:
        """mem0, loaded when it is first needed.

        Raises:
            ConfigurationError: The LLM cannot be made.
            MissingExtraError: mem0 is not installed.
        """
        with self._loading:
            if self._made is None:
                with MEM0_IMPORT:
                    from .extraction.mem0.memory import Mem0Memory

                    options = self._extraction
                    llm = GuardedLLM(load_llm(options.llm), timeout=options.timeout)
                    parts = (self._database, self._store, self._embedding, llm)
                    self._made = Mem0Memory(*parts, instructions=options.instructions)
            return self._made

    @property
    def _compact(self) -> CompactExtractor:
        """Memweld's own extraction, made when it is first needed.

        Raises:
            ConfigurationError: The LLM cannot be made.
            MissingExtraError: A package for it is not installed.
        """
        with self._loading:
            if self._extractor is None:
                self._extractor = CompactExtractor(self._extraction)
            return self._extractor

    def forget(self, root: int | None) -> None:
        """Drop the vectors in RAM of the user with this root owner, and the words of all users."""
        self._store.forget(root)
        self._embedding.forget()

    def reindex(self, progress: Progress | None = None) -> int:
        """Give all vectors to this embedder, in the way of the database (see ``Reindexing.run``)."""
        with progress_bar("Embedding again") as bar:
            return self._reindex(progress or bar)

    def _reindex(self, progress: Progress) -> int:
        if self.projection is not None:
            return self.projection.rebuild(progress)
        self._database.validate_sees_all("a change of the embedder")
        if (left := Outbox(self._database, "mem0")).pending().count:
            left.detach()  # the vectors leave the mem0 store for the table
        return Reindexing(self._database, self._embedding, self._embedder_check).run(progress)

    def embed_texts(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Embed the texts of a restore."""
        return self._store.embed_texts(texts)

    # adding

    def add(self, scope: Scope, operation: AddItems, *, earlier: Sequence[dict[str, str]] = ()) -> list[MemoryItem]:
        """Store the drafts, or the facts that the LLM finds in them (see `AddItems`).

        Args:
            scope: Whose.
            operation: The drafts.
            earlier: The messages of the session before it, for the LLM.
        """
        metadata = dump_json(operation.metadata) if operation.metadata else "{}"
        template = RowTemplate(
            session_id=operation.session_id,
            metadata=metadata,
            valid_from=None if operation.valid_from is None else operation.valid_from.timestamp(),
            valid_until=None if operation.valid_until is None else operation.valid_until.timestamp(),
        )
        # Before the LLM is asked.
        rows_to_supersede(self._items, scope, operation)
        try:
            if not operation.infer:
                return self._add_verbatim(scope, operation, template)
            try:
                return self._add_extracted(scope, operation, template, earlier)
            except (ExtractionFailedError, ConfigurationError, MissingExtraError) as error:
                # Who asks to remember learns of a wrong LLM; at the end of a turn it must not cost what was said.
                if operation.is_explicit and not isinstance(error, ExtractionFailedError):
                    raise
                logger.warning("memweld: no facts are extracted, the text is kept as it is: %s", error)
                failed = replace(template, extraction="failed", extraction_error=" ".join(str(error).split()))
                return self._add_verbatim(scope, operation, failed)
        except _ErasedError:
            return []

    def _check_epoch(self, scope: Scope, epoch: int | None) -> None:
        """Make sure, in the writing transaction, that the scope was not erased since `GetEpoch` gave this number."""
        if epoch is None:
            return
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
        if owner is None or self._cursors.epoch(scope, owner.id) != epoch:
            raise _ErasedError

    def put_keyed(self, scope: Scope, operation: PutKeyed) -> MemoryItem:
        """Store a fact under its key, replacing what the key held in exactly this scope."""
        kind, key, text = operation.kind, operation.key, operation.text
        template = RowTemplate(kind=kind, key=key, metadata=dump_json(operation.metadata))
        self._ready_to_change()
        with self._embedding.prepared([text]), self._database.writing(scope):
            before = self._items.by_key(scope, kind, key)
            if before is None:
                self._store_drafts(scope, [ItemDraft(text=text)], template, utc_now())
            else:
                self._change(before, replace(before, text=text, metadata=template.metadata))
            stored = self._items.by_key(scope, kind, key)
        if stored is None:
            raise BackendUnavailableError(f"The {kind} {key!r} cannot be read back.")
        return stored.item()

    def _add_verbatim(self, scope: Scope, operation: AddItems, template: RowTemplate) -> list[MemoryItem]:
        drafts = [draft for draft in operation.drafts if draft.is_kept]
        if not drafts:
            return []
        with self._embedding.prepared([draft.text for draft in drafts]), self._database.writing(scope):
            self._check_epoch(scope, operation.epoch)
            rows = self._store_drafts(scope, drafts, template, operation.created_at)
            return supersede(self._items, scope, operation, _once([row.item() for row in rows]))

    def _store_drafts(
        self, scope: Scope, drafts: Sequence[ItemDraft], template: RowTemplate, created_at: datetime | None
    ) -> list[ItemRow]:
        """Store texts verbatim; the row of each, which may have been there already.

        It bypasses mem0, which without an LLM would write the same: text, hash and vector.
        """
        at = (created_at or utc_now()).isoformat()
        rows = [
            template.row(
                scope,
                draft.text,
                at,
                role=draft.role,
                name=draft.name,
                message_id=None if template.session_id is None else draft.message_id,
            )
            for draft in drafts
        ]
        vectors = [self._embedding.embed(draft.text) for draft in drafts]
        return self._store.store(rows, vectors, is_dated=created_at is not None)

    def _add_extracted(
        self, scope: Scope, operation: AddItems, template: RowTemplate, earlier: Sequence[dict[str, str]]
    ) -> list[MemoryItem]:
        # The LLM reads nothing of a scope that was erased meanwhile.
        self._check_epoch(scope, operation.epoch)
        extracted = replace(template, extraction="extracted")
        if not self._extraction.uses_mem0:
            return self._add_compact(scope, operation, extracted, earlier)
        mem0 = self._mem0
        kept = [draft.text for draft in operation.drafts if draft.is_kept]
        # The unit's transaction begins with mem0's first write, which comes after the LLM's answer.
        with self._embedding.prepared(kept), self._database.unit():
            texts, new = mem0.extract(scope, operation.drafts, extracted, operation.created_at, earlier)
            # An erasure by another process now follows this transaction, and takes along what it wrote.
            self._check_epoch(scope, operation.epoch)
            stated = [text for text in texts if not extracted.session_id or learnt_from(text, operation.drafts) is None]
            kept = self._keep_sources(scope, operation, extracted, stated, has_new=new > 0)
            items = _once([*kept, *(self._stored(scope, text).item() for text in texts if text not in stated)])
            return supersede(self._items, scope, operation, items)

    def _add_compact(
        self, scope: Scope, operation: AddItems, template: RowTemplate, earlier: Sequence[dict[str, str]]
    ) -> list[MemoryItem]:
        moment = operation.created_at or utc_now()
        known = self._related(scope, operation.drafts)
        facts = self._compact.extract(operation.drafts, earlier, moment, known)
        texts = [fact.text for fact in facts]
        kept = [draft.text for draft in operation.drafts if draft.is_kept]
        with self._embedding.prepared([*texts, *kept]), self._database.writing(scope):
            self._check_epoch(scope, operation.epoch)
            origins = {text: learnt_from(text, operation.drafts) for text in texts if template.session_id}
            rows = [
                replace(template, metadata=dump_json(fact.metadata(operation.metadata))).row(
                    scope, fact.text, moment.isoformat(), message_id=origins.get(fact.text)
                )
                for fact in facts
            ]
            vectors = [self._embedding.embed(text) for text in texts]
            stored = self._store.store(rows, vectors, is_dated=operation.created_at is not None)
            has_new = any(row.id == each.id for row, each in zip(rows, stored, strict=True))
            # What others said leads to no source of the user's.
            stated = [text for text in texts if origins.get(text) is None]
            kept = self._keep_sources(scope, operation, template, stated, has_new=has_new)
            items = _once([*kept, *(row.item() for row in stored if row.text not in stated)])
            return supersede(self._items, scope, operation, items)

    def _related(self, scope: Scope, drafts: Sequence[ItemDraft]) -> list[str]:
        """The stored facts that fit the drafts best; an LLM that does not see them says them in other words."""
        query = " ".join(draft.text for draft in drafts if draft.is_kept)[-QUERY_CHARACTERS:]
        found = self.search(scope, Search(query=query, limit=8, kinds=("item",))) if query.strip() else ()
        return [hit.text for hit in found]

    def _keep_sources(
        self, scope: Scope, operation: AddItems, template: RowTemplate, facts: Sequence[str], *, has_new: bool
    ) -> list[MemoryItem]:
        """Keep the texts behind stored facts, in the transaction that stored these; the answer of the operation.

        An LLM may list facts that are known, or invent some. So each text stays, linked to its facts: as a source, and
        as an item if the caller asked to remember it and no fact is new. A text that is an item already is no source.
        """
        moment, is_dated = operation.created_at or utc_now(), operation.created_at is not None
        drafts = [draft for draft in operation.drafts if draft.is_kept]
        items = [self._stored(scope, text) for text in facts]
        if operation.is_explicit and not has_new:
            verbatim = replace(template, extraction="verbatim")
            items += self._store_drafts(scope, drafts, verbatim, operation.created_at)
            return _once([row.item() for row in items])
        links = [row.id for row in items]
        known = {draft.text for draft in drafts if self._items.by_hash(scope, text_hash(draft.text)) is not None}
        sources = [draft for draft in drafts if draft.text not in known]
        source = replace(template, kind="source", extraction="verbatim", links=links)
        stored = self._store_drafts(scope, sources, source, operation.created_at)
        fact = replace(template, links=[row.id for row in stored])
        merged = [self._items.merge(fact.row(scope, text, moment.isoformat()), is_dated=is_dated) for text in facts]
        return _once([row.item() for row in merged if row is not None])

    def _stored(self, scope: Scope, text: str) -> ItemRow:
        row = self._items.by_hash(scope, text_hash(text))
        if row is None:
            raise BackendUnavailableError("A memory that mem0 reported as stored cannot be read back.")
        return row

    # reading

    def search(self, scope: Scope, operation: Search) -> list[Hit]:
        """The facts that fit best, best first (see `Search`)."""
        query = operation.query[-QUERY_CHARACTERS:].lstrip()
        find = self._mem0.find if finds_entities() else self._find
        found = find(scope, query, operation)
        return [each.row.hit(each.score, each.explanation) for each in found if scope.contains(each.row.scope)]

    def _find(self, scope: Scope, query: str, operation: Search) -> list[Ranked]:
        """The rows that the store ranks best; without entities mem0 would answer the same."""
        vector = self._embedding.embed(query, "search")
        return self._store.best(Question(scope, query, vector, operation.limit, operation))

    def rank(self, scope: Scope, query: str, among: Sequence[int], count: int) -> list[tuple[ItemRow, float]]:
        """The items at these places that fit best, at most ``count``, best first, each with its score."""
        query = query[-QUERY_CHARACTERS:].lstrip()
        vector = self._embedding.embed(query, "search")
        return [(each.row, each.score) for each in self._store.best(Question(scope, query, vector, count, among=among))]

    # changing

    def update(self, scope: Scope, operation: UpdateItem) -> MemoryItem:
        """Replace the text of a free fact (see `UpdateItem`)."""
        memory_id, text = operation.memory_id, operation.text
        self._ready_to_change()
        with self._embedding.prepared([text]), self._database.writing(scope):
            row = self._items.get(scope, memory_id)
            if row is None:
                raise MemoryNotFoundError(memory_id)
            if row.key is not None:
                raise invalid("memory_id", memory_id, f"it is a {row.kind}", remedy_of_keyed(row))
            same = self._items.by_hash(row.scope, text_hash(text))
            if same is not None and same.id != memory_id:
                remedy = f"Delete this memory and keep {same.id}."
                raise invalid("text", text, "another memory of the same scope says exactly this", remedy)
            changed = row if text == row.text else self._detached(row, text)
            if operation.metadata is not None:
                changed = with_metadata(changed, operation.metadata)
            self._change(row, changed)
            changed = self._items.get(scope, memory_id)
        if changed is None:
            raise MemoryNotFoundError(memory_id)
        return changed.item()

    def _detached(self, row: ItemRow, text: str) -> ItemRow:
        """The row with a text of its own: its sources, which say the old one, go, as the facts of a source do."""
        with self._database.writing(row.scope) as connection:
            for other in self._items.linked(row):
                self._items.remove(row.scope, other.id)
                unlink(connection, row.scope, other.id)
        return replace(without_messages(row), kind="item", text=text, links=None)

    def _ready_to_change(self) -> None:
        # Not while a transaction keeps other writers waiting.
        if finds_entities():
            _ = self._mem0

    def _change(self, before: ItemRow, row: ItemRow) -> None:
        """Write a row with another text or metadata.

        It uses mem0 only where that links the text to entities; else mem0 would write the same.
        """
        row = replace(
            row,
            hash=text_hash(row.text),
            extraction="verbatim",
            extraction_error=None,
            updated_at=utc_now().isoformat(),
        )
        if row.text != before.text:
            # A process with spaCy may have linked it; and mem0 2.2 unlinks nothing before it has linked something.
            with self._database.writing(row.scope) as connection:
                unlink(connection, row.scope, row.id)
        if finds_entities():
            self._mem0.change(row)
            return
        self._store.change(row, self._embedding.embed(row.text))


def _once(items: Sequence[MemoryItem]) -> list[MemoryItem]:
    return list({item.id: item for item in items}.values())

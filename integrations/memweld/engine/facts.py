"""Memory items of all scopes: add, search and change them, each call in one transaction.

The first call that needs mem0 loads it: an extraction, or, where mem0 finds entities, a search or a change of a text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ..errors import BackendUnavailableError, ConfigurationError, MemoryNotFoundError, MissingExtraError, invalid
from ..models import Hit, MemoryItem
from ..progress import progress_bar
from ..scope import Scope
from ..validation import QUERY_CHARACTERS, dump_json, utc_now
from .draft_writer import DraftWriter, ErasedError
from .embedder_factory import load_embedder
from .extraction.failures import ExtractionFailedError
from .extraction.mem0.side_effects import finds_entities
from .extraction.options import ExtractionOptions
from .fact_extraction import FactExtraction
from .operations import AddItems, ItemDraft, PutKeyed, Search, UpdateItem
from .protocol import Progress
from .search.coverage import Ranked
from .search.embedder_check import EmbedderCheck
from .search.embedders import GuardedEmbedding
from .search.item_store import ItemStore, Question
from .search.reindex import Reindexing
from .search.state_texts import StateTexts
from .search.time_boost import TimedQuery, timed_query
from .search.vector_store import VectorsElsewhere, VectorStoreSettings
from .sql.cursors import Cursors
from .sql.database import Database
from .sql.item_rows import ItemRow, RowTemplate, relation_key, remedy_of_keyed, text_hash
from .sql.items import Items
from .sql.mem0_entities import unlink
from .sql.occurrences import with_metadata, without_messages
from .sql.outbox import Outbox
from .sql.relation_rule import settle
from .sql.restore import EmbeddedTexts
from .sql.supersession import rows_to_supersede
from .sql.ttl import now, purge
from .sql.versions import end_with, keep_earlier

__all__ = ["Facts"]

logger = logging.getLogger("memweld.extraction")


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
        self._writer = DraftWriter(database, self._store, self._embedding)
        parts = (self._store, self._embedding, self._writer)
        self._extraction = FactExtraction(*parts, extraction, partial(self.search, is_question=False))

    def _make_store(self, mem0_store: VectorStoreSettings | None, cache_bytes: int) -> ItemStore:
        if mem0_store is None:
            return ItemStore(self._database, self._embedder_check, self._embedding, cache_bytes=cache_bytes)
        self.projection = mem0_store.open(self._database, self._embedding, self._embedder_check)
        return self.projection.make_item_store(cache_bytes=cache_bytes)

    @property
    def index_bytes(self) -> int:
        """About how much RAM the indexes take."""
        return self._store.index_bytes

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

    @property
    def summarize(self) -> Callable[..., str]:
        """Has the LLM summarise a conversation (see `FactExtraction.summarize`)."""
        return self._extraction.summarize

    # adding

    def add(self, scope: Scope, operation: AddItems, *, earlier: Sequence[dict[str, str]] = ()) -> list[MemoryItem]:
        """Store the drafts, or the facts that the LLM finds in them (see `AddItems`).

        Args:
            scope: Whose.
            operation: The drafts.
            earlier: The messages of the session before it, for the LLM.
        """
        said_at = [draft.created_at for draft in operation.drafts if draft.created_at is not None]
        if said_at and operation.created_at is None:
            operation = replace(operation, created_at=max(said_at))
        metadata = dump_json(operation.metadata) if operation.metadata else "{}"
        template = RowTemplate(
            session_id=operation.session_id,
            metadata=metadata,
            extraction="extracted" if operation.is_extracted else "verbatim",
            source=operation.source,
            valid_from=None if operation.valid_from is None else operation.valid_from.timestamp(),
            valid_until=None if operation.valid_until is None else operation.valid_until.timestamp(),
            pinned_at=now() if operation.pinned else None,
            expires_at=None if operation.expires_at is None else operation.expires_at.timestamp(),
        )
        # Before the LLM is asked.
        rows_to_supersede(self._items, scope, operation.supersedes or ())
        try:
            if not operation.infer:
                return self._add_verbatim(scope, operation, template)
            try:
                return self._extraction.add(scope, operation, template, earlier)
            except (ExtractionFailedError, ConfigurationError, MissingExtraError) as error:
                # Who asks to remember learns of a wrong LLM; at the end of a turn it must not cost what was said.
                if operation.is_explicit and not isinstance(error, ExtractionFailedError):
                    raise
                logger.warning("memweld: no facts are extracted, the text is kept as it is: %s", error)
                failed = replace(template, extraction="failed", extraction_error=" ".join(str(error).split()))
                return self._add_verbatim(scope, operation, failed)
        except ErasedError:
            return []

    def put_keyed(self, scope: Scope, operation: PutKeyed) -> MemoryItem:
        """Store a fact under its key, replacing what the key held in exactly this scope."""
        kind, key, text = operation.kind, operation.key, operation.text
        source = operation.source or "user"
        end = None if operation.expires_at is None else operation.expires_at.timestamp()
        metadata = dump_json(operation.metadata)
        template = RowTemplate(kind=kind, key=key, metadata=metadata, source=source, expires_at=end)
        self._ready_to_change()
        with self._embedding.prepared([text]), self._database.writing(scope):
            if end is not None:
                self._database.go_back(end)
            before = self._items.by_key(scope, kind, key)
            if before is None:
                self._writer.store(scope, [ItemDraft(text=text)], template, utc_now())
            else:
                self._set_again(before, replace(before, text=text, metadata=metadata, source=source, expires_at=end))
            stored = self._items.by_key(scope, kind, key)
        if stored is None:
            raise BackendUnavailableError(f"The {kind} {key!r} cannot be read back.")
        return stored.item()

    def _add_verbatim(self, scope: Scope, operation: AddItems, template: RowTemplate) -> list[MemoryItem]:
        drafts = [draft for draft in operation.drafts if draft.is_kept]
        if not drafts:
            return []
        with self._embedding.prepared([draft.text for draft in drafts]), self._database.writing(scope):
            self._writer.check_epoch(scope, operation)
            rows = self._writer.store(scope, drafts, template, operation.created_at)
            return settle(self._items, scope, operation, rows)

    # reading

    def search(self, scope: Scope, operation: Search, *, is_question: bool = True) -> list[Hit]:
        """The facts that fit best, best first (see `Search`).

        Args:
            scope: Whose.
            operation: The search.
            is_question: Whether a time in the query asks for memories of that time.
        """
        query = operation.query[-QUERY_CHARACTERS:].lstrip()
        timed = timed_query(operation, query) if is_question else None
        find = self._extraction.mem0.find if finds_entities() else self._find
        found = find(scope, query if timed is None else timed.text, operation, timed)
        return [each.row.hit(each.score, each.explanation) for each in found if scope.contains(each.row.scope)]

    def _find(self, scope: Scope, query: str, operation: Search, timed: TimedQuery | None) -> list[Ranked]:
        """The rows that the store ranks best; without entities mem0 would answer the same."""
        vector = self._embedding.embed(query, "search")
        return self._store.best(Question(scope, query, vector, operation.limit, operation, timed=timed))

    def rank(self, scope: Scope, query: str, among: Sequence[int], count: int) -> list[tuple[ItemRow, float]]:
        """The items at these places that fit best, at most ``count``, best first, each with its score."""
        query = query[-QUERY_CHARACTERS:].lstrip()
        vector = self._embedding.embed(query, "search")
        return [(each.row, each.score) for each in self._store.best(Question(scope, query, vector, count, among=among))]

    # changing

    def update(self, scope: Scope, operation: UpdateItem) -> MemoryItem:
        """Replace the text of a free fact (see `UpdateItem`)."""
        memory_id = operation.memory_id
        self._ready_to_change()
        text = self._row(scope, memory_id).text if operation.text is None else operation.text
        with self._embedding.prepared([text]), self._database.writing(scope):
            purge(self._database, scope)  # the text of an expired memory is free
            row = self._row(scope, memory_id)
            if row.key is not None:
                raise invalid("memory_id", memory_id, f"it is a {row.kind}", remedy_of_keyed(row))
            # Another writer may have changed it since.
            text = row.text if operation.text is None else operation.text
            if row.changed_by == "update":
                remedy = "Change that memory, or delete this text."
                raise invalid("memory_id", memory_id, f"it is an earlier text of {row.superseded_by}", remedy)
            same = self._items.by_hash(row.scope, text_hash(text))
            if same is not None and same.id != memory_id:
                remedy = f"Delete this memory and keep {same.id}."
                raise invalid("text", text, "another memory of the same scope says exactly this", remedy)
            changed = row
            if text != row.text:
                changed = self._detached(keep_earlier(self._items, row, "update", now()), text)
                changed = replace(changed, source=operation.source or "user")
            if operation.metadata is not None:
                changed = with_metadata(changed, operation.metadata)
            self._change(row, changed)
            return self._row(scope, memory_id).item()

    def _row(self, scope: Scope, memory_id: str) -> ItemRow:
        row = self._items.get(scope, memory_id)
        if row is None:
            raise MemoryNotFoundError(memory_id)
        return row

    def _set_again(self, before: ItemRow, row: ItemRow) -> None:
        """Write a keyed row: another value leaves the one before as an earlier value, an equal one leaves its time."""
        if _sorted(row.metadata) == _sorted(before.metadata):
            self._items.rewrite_details(replace(row, valid_from=before.begins_at, updated_at=utc_now().isoformat()))
        else:
            kept = keep_earlier(self._items, before, "set", now())
            self._change(before, replace(row, valid_from=kept.valid_from))
        if before.expires_at is not None or row.expires_at is not None:
            end_with(self._items, row)

    def _detached(self, row: ItemRow, text: str) -> ItemRow:
        """The row with a text of its own: its sources, which say the old one, go, as the facts of a source do."""
        with self._database.writing(row.scope) as connection:
            for other in self._items.linked(row):
                self._items.supersede_by(row.scope, other.id, row.id)
                self._items.remove(row.scope, other.id)
                unlink(connection, row.scope, other.id)
        return replace(without_messages(row), kind="item", text=text, links=None)

    def _ready_to_change(self) -> None:
        # Not while a transaction keeps other writers waiting.
        if finds_entities():
            _ = self._extraction.mem0

    def _change(self, before: ItemRow, row: ItemRow) -> None:
        """Write a row with another text or metadata.

        It uses mem0 only where that links the text to entities; else mem0 would write the same.
        """
        row = replace(
            row,
            hash=text_hash(row.text),
            relation=relation_key(row.scope, row.kind, row.text, row.role, row.name),
            extraction="verbatim",
            extraction_error=None,
            updated_at=utc_now().isoformat(),
        )
        if row.text != before.text:
            # A process with spaCy may have linked it; and mem0 2.2 unlinks nothing before it has linked something.
            with self._database.writing(row.scope) as connection:
                unlink(connection, row.scope, row.id)
        if finds_entities():
            self._extraction.mem0.change(row)
            return
        self._store.change(row, self._embedding.embed(row.text))


def _sorted(metadata: str) -> str:
    return json.dumps(json.loads(metadata), sort_keys=True)

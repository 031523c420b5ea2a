"""Extraction of facts: an LLM reads a turn, and its facts are stored with links to the texts behind them.

The LLM is loaded when it is first needed: through mem0, or by memweld's own compact extraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from ..errors import BackendUnavailableError
from ..models import Hit, MemoryItem
from ..scope import Scope, known_timezone
from ..validation import QUERY_CHARACTERS, dump_json, local_time, utc_now
from .draft_writer import DraftWriter
from .extraction.attribution import Origin, origin_of
from .extraction.compact import CompactExtractor
from .extraction.llm import GuardedLLM, load_llm
from .extraction.options import ExtractionOptions
from .fork import RenewedLock
from .mem0_import import MEM0_IMPORT
from .operations import AddItems, ItemDraft, Search
from .search.embedders import GuardedEmbedding
from .search.item_store import ItemStore
from .sql.item_rows import ItemRow, RowTemplate, text_hash
from .sql.relation_rule import settle

if TYPE_CHECKING:
    from .extraction.mem0.memory import Mem0Memory

__all__ = ["FactExtraction"]


class _FindFacts(Protocol):
    def __call__(self, scope: Scope, operation: Search) -> list[Hit]: ...


class FactExtraction:
    """Stores the facts that an LLM finds in drafts. Thread-safe.

    Args:
        store: The items with their vectors.
        embedding: Makes vectors.
        writer: Stores texts verbatim.
        options: The LLM, and how it extracts.
        find: Searches the scope; the LLM is shown the facts that fit a turn.
    """

    def __init__(
        self,
        store: ItemStore,
        embedding: GuardedEmbedding,
        writer: DraftWriter,
        options: ExtractionOptions,
        find: _FindFacts,
    ) -> None:
        self._database = store.items.database
        self._store = store
        self._items = store.items
        self._embedding = embedding
        self._writer = writer
        self._options = options
        self._find = find
        self._made: Mem0Memory | None = None
        self._extractor: CompactExtractor | None = None
        self._loading = RenewedLock()

    @property
    def mem0(self) -> Mem0Memory:
        """mem0, loaded when it is first needed.

        Raises:
            ConfigurationError: The LLM cannot be made.
            MissingExtraError: mem0 is not installed.
        """
        with self._loading:
            if self._made is None:
                with MEM0_IMPORT:
                    from .extraction.mem0.memory import Mem0Memory

                    options = self._options
                    llm = GuardedLLM(load_llm(options.llm), timeout=options.timeout, redact=options.redact)
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
                self._extractor = CompactExtractor(self._options)
            return self._extractor

    def summarize(self, messages: Sequence[Mapping[str, str]], *, earlier: str) -> str:
        """The summary of a conversation, by whatever LLM there is.

        Raises:
            ExtractionFailedError: The LLM's answer is unusable, or there is none.
            ConfigurationError: The LLM cannot be made.
            MissingExtraError: A package for it is not installed.
        """
        return self._compact.summarize(messages, earlier=earlier)

    def add(
        self, scope: Scope, operation: AddItems, template: RowTemplate, earlier: Sequence[dict[str, str]]
    ) -> list[MemoryItem]:
        """Store the facts that the LLM finds in the drafts (see `AddItems`).

        Raises:
            ErasedError: The scope was erased meanwhile.
            ExtractionFailedError: The LLM's answer is unusable.
            ConfigurationError: The LLM cannot be made.
            MissingExtraError: A package for it is not installed.
        """
        # The LLM reads nothing of a scope that was erased meanwhile.
        self._writer.check_epoch(scope, operation)
        extracted = replace(template, extraction="extracted")
        if not self._options.uses_mem0:
            return self._add_compact(scope, operation, extracted, earlier)
        mem0 = self.mem0
        kept = [draft.text for draft in operation.drafts if draft.is_kept]
        # The unit's transaction begins with mem0's first write, which comes after the LLM's answer.
        with self._embedding.prepared(kept), self._database.unit():
            texts, new = mem0.extract(scope, operation.drafts, extracted, operation.created_at, earlier)
            # An erasure by another process now follows this transaction, and takes along what it wrote.
            self._writer.check_epoch(scope, operation)
            origins = {text: origin_of(text, operation.drafts) for text in texts}
            stated = [text for text in texts if not extracted.session_id or origins[text].is_kept]
            kept = self._keep_sources(scope, operation, extracted, stated, origins, has_new=new > 0)
            rows = [*kept, *(self._stored(scope, text) for text in texts if text not in stated)]
            return settle(self._items, scope, operation, rows)

    def _add_compact(
        self, scope: Scope, operation: AddItems, template: RowTemplate, earlier: Sequence[dict[str, str]]
    ) -> list[MemoryItem]:
        moment = operation.created_at or utc_now()
        known = self._related(scope, operation.drafts)
        local = local_time(moment, known_timezone(operation.timezone))
        facts = self._compact.extract(operation.drafts, earlier, local, [each.text for each in known])
        texts = [fact.text for fact in facts]
        kept = [draft.text for draft in operation.drafts if draft.is_kept]
        with self._embedding.prepared([*texts, *kept]), self._database.writing(scope):
            self._writer.check_epoch(scope, operation)
            origins = {text: origin_of(text, operation.drafts) for text in texts}
            rows = [
                origins[fact.text].row(
                    replace(template, metadata=dump_json(fact.metadata(operation.metadata))),
                    scope,
                    fact.text,
                    moment.isoformat(),
                )
                for fact in facts
            ]
            vectors = [self._embedding.embed(text) for text in texts]
            stored = self._store.store(rows, vectors, is_dated=operation.created_at is not None)
            has_new = any(row.id == each.id for row, each in zip(rows, stored, strict=True))
            # What others said leads to no source of the user's.
            stated = [text for text in texts if not template.session_id or origins[text].is_kept]
            kept = self._keep_sources(scope, operation, template, stated, origins, has_new=has_new)
            replaced = {
                row.id: self._named(scope, known, fact.replaces) for fact, row in zip(facts, stored, strict=True)
            }
            rows = [*kept, *(row for row in stored if row.text not in stated)]
            return settle(self._items, scope, operation, rows, replaced)

    def _named(self, scope: Scope, known: Sequence[Hit], numbers: Sequence[int]) -> list[str]:
        """The known facts that the LLM names by their numbers, of those that still say what it was shown."""
        named = {known[number - 1].id: known[number - 1].text for number in numbers if number <= len(known)}
        return [row.id for row in self._items.by_ids(scope, named).values() if row.text == named[row.id]]

    def _related(self, scope: Scope, drafts: Sequence[ItemDraft]) -> list[Hit]:
        """The stored facts that fit the drafts best; an LLM that does not see them says them in other words."""
        query = " ".join(draft.text for draft in drafts if draft.is_kept)[-QUERY_CHARACTERS:]
        return self._find(scope, Search(query=query, limit=8, kinds=("item",))) if query.strip() else []

    def _keep_sources(
        self,
        scope: Scope,
        operation: AddItems,
        template: RowTemplate,
        facts: Sequence[str],
        origins: Mapping[str, Origin],
        *,
        has_new: bool,
    ) -> list[ItemRow]:
        """Keep the texts behind stored facts, in the transaction that stored these; the answer of the operation.

        An LLM may list facts that are known, or invent some. So each text stays, linked to its facts: as a source, and
        as an item if the caller asked to remember it and no fact is new. A text that is an item already is no source.
        """
        moment, is_dated = operation.created_at or utc_now(), operation.created_at is not None
        drafts = [draft for draft in operation.drafts if draft.is_kept]
        items = [self._stored(scope, text) for text in facts]
        if operation.is_explicit and not has_new:
            verbatim = replace(template, extraction="verbatim")
            return [*items, *self._writer.store(scope, drafts, verbatim, operation.created_at)]
        links = [row.id for row in items]
        known = {draft.text for draft in drafts if self._items.by_hash(scope, text_hash(draft.text)) is not None}
        sources = [draft for draft in drafts if draft.text not in known]
        source = replace(template, kind="source", extraction="verbatim", links=links)
        stored = self._writer.store(scope, sources, source, operation.created_at)
        fact = replace(template, links=[row.id for row in stored])
        rows = [origins[text].row(fact, scope, text, moment.isoformat()) for text in facts]
        merged = [self._items.merge(row, is_dated=is_dated) for row in rows]
        return [row for row in merged if row is not None]

    def _stored(self, scope: Scope, text: str) -> ItemRow:
        row = self._items.by_hash(scope, text_hash(text))
        if row is None:
            raise BackendUnavailableError("A memory that mem0 reported as stored cannot be read back.")
        return row

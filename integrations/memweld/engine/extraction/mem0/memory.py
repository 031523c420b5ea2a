"""One mem0 ``Memory`` on our stores: extraction by its prompt, and changes and searches where it finds entities."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ....errors import BackendUnavailableError, MemweldError
from ....scope import Scope
from ...operations import ItemDraft, Search
from ...search.coverage import Ranked
from ...search.embedders import GuardedEmbedding
from ...search.item_store import ItemStore
from ...search.time_boost import TimedQuery
from ...sql.database import Database
from ...sql.item_rows import ItemRow, RowTemplate
from ..failures import ExtractionFailedError
from ..llm import GuardedLLM
from .call_guard import Call, CallGuard
from .side_effects import keep_spacy_offline, load_mem0
from .stores import EntityStore, MemweldVectorStore, NullHistory, encode_scope

load_mem0()
from mem0.configs.base import MemoryConfig  # noqa: E402 - behind what its import needs
from mem0.llms.configs import LlmConfig  # noqa: E402
from mem0.memory.main import Memory  # noqa: E402
from mem0.vector_stores.configs import VectorStoreConfig  # noqa: E402

__all__ = ["Mem0Memory"]


class _Memory(Memory):
    """mem0's own class, made of our parts: its constructor would open files, ask factories and send telemetry."""

    def __init__(self, *, vector_store: Any, entity_store: Any, embedding: Any, llm: Any, history: Any) -> None:
        # mem0 asks its configuration for little, and its pydantic models would refuse our provider.
        self.config = MemoryConfig.model_construct(
            llm=LlmConfig.model_construct(provider="memweld", config={}),
            vector_store=VectorStoreConfig.model_construct(provider="memweld", config={}),
            reranker=None,
            custom_instructions=None,
        )
        self.vector_store, self._entity_store = vector_store, entity_store
        self.embedding_model, self.llm, self.db = embedding, llm, history
        self.collection_name, self.api_version = "memweld", "v1.1"
        self.custom_instructions = self.reranker = None


class Mem0Memory:
    """The calls that go through mem0. Thread-safe.

    Args:
        database: The tables.
        store: The items.
        embedding: Makes vectors.
        llm: Extracts facts.
        instructions: The caller's wishes, for mem0's prompt.

    Attributes:
        memory: mem0's own object.
        guard: Says which scope mem0 may touch.
    """

    def __init__(
        self,
        database: Database,
        store: ItemStore,
        embedding: GuardedEmbedding,
        llm: GuardedLLM,
        *,
        instructions: str | None = None,
    ) -> None:
        keep_spacy_offline()
        self.guard = CallGuard()
        self._llm = llm
        self.memory: Any = _Memory(
            vector_store=MemweldVectorStore(self.guard, store),
            entity_store=EntityStore(database, self.guard),
            embedding=embedding,
            llm=llm,
            history=NullHistory(self.guard),
        )
        self.memory.custom_instructions = self.memory.config.custom_instructions = instructions

    def extract(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        template: RowTemplate,
        created_at: datetime | None,
        earlier: Sequence[dict[str, str]],
    ) -> tuple[list[str], int]:
        """Store the facts that the LLM finds in the drafts.

        Returns:
            Their texts, also of facts that were there already, and how many are new.

        Raises:
            ExtractionFailedError: The LLM failed, or answered no list of facts.
            BackendUnavailableError: They cannot be stored.
        """
        messages = [{"role": draft.role, "content": draft.text, "name": draft.name} for draft in drafts]
        metadata = {} if created_at is None else {"created_at": created_at.isoformat()}
        try:
            with self.guard.entered(Call(scope=scope, drafts=drafts, earlier=earlier, template=template)) as call:
                self.memory.add(messages, **encode_scope(scope), metadata=metadata, infer=True)
        except MemweldError:
            raise
        except Exception as error:
            if isinstance(cause := _cause(error, ExtractionFailedError), ExtractionFailedError):
                raise cause from error
            raise BackendUnavailableError(f"mem0 could not store the facts: {error}") from error
        return self._llm.take_facts(), call.stored

    def find(self, scope: Scope, query: str, search: Search, timed: TimedQuery | None) -> list[Ranked]:
        """The best rows as mem0 orders them, by our scores and by the entities that it has linked to them."""
        with self.guard.entered(Call(scope=scope, search=search, timed=timed)) as call:
            found = self.memory.search(query, top_k=search.limit, threshold=0.0, filters=encode_scope(scope))
            return [call.found[each["id"]]._replace(score=float(each["score"])) for each in found["results"]]

    def change(self, row: ItemRow) -> None:
        """Write a row with another text or metadata, and link it to the entities of its text."""
        with self.guard.entered(Call(scope=row.scope, changed=row)):
            self.memory.update(row.id, text=row.text)


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error

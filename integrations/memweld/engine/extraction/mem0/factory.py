"""Making mem0's ``Memory`` with its traps closed: no download, no log of texts, no history file."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import importlib
import logging
from typing import Any, cast

from mem0.configs.base import MemoryConfig
from mem0.embeddings.configs import EmbedderConfig
from mem0.llms.configs import LlmConfig
from mem0.memory import main
from mem0.utils.factory import EmbedderFactory, LlmFactory, VectorStoreFactory
from mem0.vector_stores.configs import VectorStoreConfig

from ...search.embedders import GuardedEmbedding
from ...search.item_store import FactStore
from ...sql.database import Database
from ..llm import GuardedLLM
from .environment import finds_entities
from .null_history import Journal
from .scope_guard import Guard, in_a_call
from .vector_store import StoreConfig, open_collection

__all__ = ["make_mem0"]

_PROVIDER = "memweld"


def _close_spacy_trap() -> None:
    # With spaCy but without its English model, the first add downloads the model, and a refusal ends the program
    # with SystemExit; without spaCy each process warns. mem0's own flags say "already tried, not there".
    if not finds_entities():
        models = cast("Any", importlib.import_module("mem0.utils.spacy_models"))
        models._load_failed_full = models._load_failed_lemma = True  # noqa: SLF001 - there is no public switch


class _Discreet(logging.Filter):
    """mem0 2.2 logs the texts that it stores, at INFO and DEBUG; logs outlive an erasure."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let warnings through, and whatever a mem0 of the program's own logs."""
        return record.levelno >= logging.WARNING or not in_a_call()


# One for all backends: a logger keeps its filters, and with them what they know, as long as the program runs.
_DISCREET = _Discreet()


class NoLLM:
    """mem0 demands an LLM when it is made; the guarded one takes its place at once."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


class NoEmbedding:
    """The same for the embedder."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


def make_mem0(database: Database, guard: Guard, store: FactStore, embedding: GuardedEmbedding, llm: GuardedLLM) -> Any:
    """A mem0 ``Memory`` on our store, embedder and LLM.

    Unknown providers are refused by mem0's pydantic models, so its configuration is put together unvalidated.
    """
    config = StoreConfig(collection_name=_PROVIDER, database=database, guard=guard, store=store)
    _close_spacy_trap()
    logging.getLogger(main.__name__).addFilter(_DISCREET)
    VectorStoreFactory.provider_to_class[_PROVIDER] = f"{open_collection.__module__}.{open_collection.__name__}"
    EmbedderFactory.provider_to_class[_PROVIDER] = f"{__name__}.NoEmbedding"
    LlmFactory.register_provider(_PROVIDER, f"{__name__}.NoLLM")
    memory_config = MemoryConfig.model_construct(
        vector_store=VectorStoreConfig.model_construct(provider=_PROVIDER, config=cast("Any", config)),
        llm=LlmConfig.model_construct(provider=_PROVIDER, config={}),
        embedder=EmbedderConfig.model_construct(provider=_PROVIDER, config={}),
        history_db_path=":memory:",
        reranker=None,
        version="v1.1",
        custom_instructions=None,
    )
    memory = cast("Any", main.Memory(memory_config))
    memory.db.close()
    memory.db = Journal(guard)
    memory.embedding_model, memory.llm = embedding, llm
    # Without this a delete in a fresh process leaves the links of entities behind: mem0 cleans them only once the
    # entity store has been used.
    assert memory.entity_store is not None  # noqa: S101
    return memory

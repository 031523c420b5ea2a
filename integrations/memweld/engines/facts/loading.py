"""Loading mem0 with its traps closed: no telemetry, no download, no file in the user's home."""

# mem0 2.2 has no type stubs, and its base classes declare None where they mean a result.
# pyright: reportMissingTypeStubs=false, reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import functools
import importlib
import logging
from importlib.util import find_spec
from typing import Any, cast

from .embedders import GuardedEmbedding
from .environment import telemetry_wanted
from .extraction import GuardedLLM
from .guard import Guard
from .journal import Journal
from .vector_store import SqliteVectorStore, StoreConfig

__all__ = ["finds_entities", "make_mem0"]

_PROVIDER = "memweld"


@functools.cache
def finds_entities() -> bool:
    """Whether spaCy and its English model are installed, by which mem0 finds entities and ranks by them."""
    return find_spec("spacy") is not None and find_spec("en_core_web_sm") is not None


def _close_spacy_trap() -> None:
    # With spaCy but without its English model, the first add downloads the model, and a refusal ends the program
    # with SystemExit; without spaCy each process warns. mem0's own flags say "already tried, not there".
    if not finds_entities():
        models = cast("Any", importlib.import_module("mem0.utils.spacy_models"))
        models._load_failed_full = models._load_failed_lemma = True  # noqa: SLF001 - there is no public switch


class _Discreet(logging.Filter):
    """mem0 2.2 logs the texts that it stores, at INFO and DEBUG; logs outlive an erasure."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    def filter(self, record: logging.LogRecord) -> bool:
        """Let warnings through, and whatever a mem0 of the program's own logs."""
        return record.levelno >= logging.WARNING or not self._guard.is_acting


class NoLLM:
    """mem0 demands an LLM when it is made; the guarded one takes its place at once."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


class NoEmbedding:
    """The same for the embedder."""

    def __init__(self, config: Any = None) -> None:
        self.config = config


def make_mem0(config: StoreConfig, embedding: GuardedEmbedding, llm: GuardedLLM) -> tuple[Any, SqliteVectorStore]:
    """A mem0 ``Memory`` on our store, embedder and LLM, and that store.

    Unknown providers are refused by mem0's pydantic models, so its configuration is put together unvalidated.
    """
    from mem0.configs.base import MemoryConfig
    from mem0.embeddings.configs import EmbedderConfig
    from mem0.llms.configs import LlmConfig
    from mem0.memory import main, telemetry
    from mem0.utils.factory import EmbedderFactory, LlmFactory, VectorStoreFactory
    from mem0.vector_stores.configs import VectorStoreConfig

    _close_spacy_trap()
    logging.getLogger(main.__name__).addFilter(_Discreet(config.guard))
    if not telemetry_wanted():
        # The program may have imported mem0 first, when the variable was not set yet.
        main.MEM0_TELEMETRY = telemetry.MEM0_TELEMETRY = False
    VectorStoreFactory.provider_to_class[_PROVIDER] = f"{SqliteVectorStore.__module__}.open_collection"
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
    memory.db = Journal(config.guard)
    memory.embedding_model, memory.llm = embedding, llm
    # Without this a delete in a fresh process leaves the links of entities behind: mem0 cleans them only once the
    # entity store has been used.
    assert memory.entity_store is not None  # noqa: S101
    return memory, cast("SqliteVectorStore", memory.vector_store)

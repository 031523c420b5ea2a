"""Memories as LangChain's Documents: a retriever for chains, graphs and retriever tools."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, ensure_config
from pydantic import Field

from ..adapters.binding import MemorySource, validate_source
from ..engine.filters import validate_filters
from ..errors import invalid
from ..memory.asynchronous import in_thread
from ..memory.backend import Backend
from ..memory.memory import Memory
from ..memory.recall import recall_query, validity_note
from ..models import JSON, Hit, Kind, Sources
from ..safe_text import safe_for_model
from ..tools import as_utc
from ..validation import (
    validate_flag,
    validate_item_sources,
    validate_key,
    validate_kinds,
    validate_limit,
    validate_moment,
    validate_recency,
    validate_score,
)
from .binding import memory_of_run

__all__ = ["MemweldRetriever"]

_SEARCH = (
    "k", "kinds", "sources", "filters", "min_score", "recency", "session_id", "after", "before", "as_of",
    "include_inactive",
)  # fmt: skip


class MemweldRetriever(BaseRetriever):
    """Finds memories by meaning and by words, best first: ``MemweldRetriever(memory=ana).invoke("bees")``.

    A Document has the memory's text as ``page_content``, with a note such as ``(until 2025-03-01)`` if it is not valid
    now, its id as ``id``, and in ``metadata``:

    - ``score``: how well it fits, from 0 to 1;
    - ``created_at`` and ``updated_at``: UTC, as ``2025-10-15T10:30:00Z``;
    - ``valid_from`` and ``valid_until``: from when and until when it is true, as above, None if unknown;
    - ``kind``, ``key``, ``session_id`` and ``agent_id``: as in `memweld.MemoryItem`, None where there is none;
    - the memory's own metadata beside these. An own key that has one of these names, or is ``metadata``, is found in a
      dict under ``metadata``, so nothing is lost and no memory can give itself another score.

    The user's id is not in it: Documents go to models and logs. A blank query finds nothing; of a long one the end is
    searched for. Everything from ``k`` to ``include_inactive`` can also be given per call:
    ``retriever.invoke("bees", k=2)``. The asynchronous methods do not block the event loop. One object serves many
    users at once.

    Args:
        memory: A memory; or a backend, then each call is for the user that the run names: the authenticated user, the
            runtime context, ``configurable`` or `memweld.user_scope`.
        k: How many memories at most, 1 to 10,000.
        kinds: Only these kinds (see `memweld.MemoryItem`); all if None.
        sources: Only from these sources, or ``"trusted"`` (see `memweld.Memory.search`); all if None.
        filters: Conditions on the memories' own metadata, ``{"year": {"$gte": 2024}}`` (see `memweld.Memory.search`).
        min_score: Only memories with at least this score, 0 to 1.
        recency: The age at which a memory counts half; age does not count if None.
        session_id: Only what belongs to this conversation; all if None.
        after: Only what was said at this time or later (see `memweld.Memory.search`).
        before: Only what was said before this time.
        as_of: Only what was valid at this time (see `memweld.Memory.search`); what is valid now if None.
        include_inactive: Also what was superseded, has ended, or has not begun.
        **fields: What every retriever takes: ``name``, ``tags`` and ``metadata`` for tracing.

    Raises:
        InvalidInputError: An argument breaks a rule.
    """

    # Neither shown nor dumped: what LangChain writes into traces must not say where memory is kept, and whose.
    memory: Memory | Backend = Field(exclude=True, repr=False)
    k: int = 5
    kinds: Kind | Sequence[Kind] | None = None
    sources: Sources | None = None
    filters: Mapping[str, JSON] | None = None
    min_score: float | None = None
    recency: timedelta | None = None
    session_id: str | None = None
    after: datetime | date | str | None = None
    before: datetime | date | str | None = None
    as_of: datetime | date | str | None = None
    include_inactive: bool = False

    def __init__(
        self,
        memory: MemorySource,
        *,
        k: int = 5,
        kinds: Kind | Sequence[Kind] | None = None,
        sources: Sources | None = None,
        filters: Mapping[str, JSON] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
        session_id: str | None = None,
        after: datetime | date | str | None = None,
        before: datetime | date | str | None = None,
        as_of: datetime | date | str | None = None,
        include_inactive: bool = False,
        **fields: Any,
    ) -> None:
        search = {
            "k": k,
            "kinds": validate_kinds(kinds),
            "sources": validate_item_sources(sources),
            "filters": filters,
            "min_score": min_score,
            "recency": recency,
            "session_id": session_id,
            "after": after,
            "before": before,
            "as_of": as_of,
            "include_inactive": include_inactive,
        }
        # The rules here and not in pydantic's validators, whose error would be another than everywhere else.
        _validate(search | {name: value for name, value in fields.items() if name not in BaseRetriever.model_fields})
        super().__init__(memory=validate_source(memory), **search, **fields)  # pyright: ignore[reportCallIssue]

    # BaseRetriever (langchain-core 1.7) tells the methods that search nothing of the config that a caller passes, and
    # that config names the user.
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002
        """The memories that fit.

        Raises:
            ConfigurationError: A backend was given and nothing names a user.
            AccessDeniedError: The run's channels name different users.
            InvalidInputError: The query is no text, or a keyword breaks a rule.
        """
        config = ensure_config(config)
        return super().invoke(input, config, **kwargs, run_config=config)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:  # noqa: A002
        """The memories that fit, without blocking the event loop."""
        config = ensure_config(config)
        return await super().ainvoke(input, config, **kwargs, run_config=config)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - LangChain's signature
        run_config: RunnableConfig | None = None,
        **keywords: Any,
    ) -> list[Document]:
        return self._documents(query, run_config, keywords)

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,  # noqa: ARG002
        run_config: RunnableConfig | None = None,
        **keywords: Any,
    ) -> list[Document]:
        return await in_thread(functools.partial(self._documents, query, run_config, keywords), lane="search")

    def _documents(self, query: str, config: RunnableConfig | None, keywords: Mapping[str, Any]) -> list[Document]:
        memory = memory_of_run(self.memory, config=config)
        own = {name: getattr(self, name) for name in _SEARCH}
        # `verbose` is a word of LangChain's own, which it reads and passes on.
        search = own | {name: value for name, value in keywords.items() if name != "verbose"}
        _validate(search)
        text = recall_query(query)
        hits = memory.search(text, limit=search.pop("k"), **search) if text else []
        return [_document(hit, memory.timezone) for hit in hits]


def _validate(search: Mapping[str, Any]) -> None:
    if unknown := search.keys() - set(_SEARCH):
        raise invalid("keyword", min(unknown), f"a search takes {', '.join(_SEARCH)}", "Leave it out.")
    validate_limit(search["k"], name="k")
    validate_kinds(search["kinds"])
    validate_item_sources(search["sources"])
    validate_filters(search["filters"])
    validate_score("min_score", search["min_score"])
    validate_recency(search["recency"])
    validate_flag("include_inactive", search["include_inactive"])
    if search["session_id"] is not None:
        validate_key("session_id", search["session_id"])
    for name in ("after", "before", "as_of"):
        validate_moment(name, search[name], None)


def _document(hit: Hit, timezone: str | None) -> Document:
    facts: dict[str, JSON] = {
        "score": hit.score,
        "created_at": as_utc(hit.created_at),
        "updated_at": as_utc(hit.updated_at),
        "valid_from": hit.valid_from and as_utc(hit.valid_from),
        "valid_until": hit.valid_until and as_utc(hit.valid_until),
        "kind": hit.kind,
        "key": hit.key,
        "session_id": hit.session_id,
        "agent_id": hit.agent_id,
    }
    own = dict(hit.metadata)
    hidden = {key: own.pop(key) for key in (*facts, "metadata") if key in own}
    if hidden:
        facts["metadata"] = hidden
    text = safe_for_model(hit.text, line_break=None) + validity_note(hit, timezone)
    return Document(id=hit.id, page_content=text, metadata=own | facts)

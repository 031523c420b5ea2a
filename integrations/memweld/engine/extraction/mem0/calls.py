"""What goes through mem0: extraction by its prompt, and changes and searches where it finds entities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ....errors import BackendUnavailableError, MemweldError
from ....scope import Scope
from ...protocol import ItemDraft
from ...search.embedders import GuardedEmbedding
from ...search.item_store import FactStore
from ...sql.database import Database
from ...sql.items import ItemRow
from ..llm import ExtractionFailedError, GuardedLLM
from .factory import make_mem0
from .payloads import ENVELOPE, Envelope, encode_scope, envelope_of, row_of
from .scope_guard import Guard
from .vector_store import FILTERS

__all__ = ["Mem0Calls"]


class Mem0Calls:
    """The calls of one mem0 ``Memory``.

    Args:
        database: The file.
        guard: Whose call it is.
        store: The items.
        embedding: What makes vectors.
        llm: What extracts facts.

    Attributes:
        memory: mem0's own object.
    """

    def __init__(
        self, database: Database, guard: Guard, store: FactStore, embedding: GuardedEmbedding, llm: GuardedLLM
    ) -> None:
        self._guard = guard
        self._llm = llm
        self.memory = make_mem0(database, guard, store, embedding, llm)

    def extract(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        envelope: Envelope,
        created_at: datetime | None,
        earlier: Sequence[dict[str, str]],
    ) -> list[str]:
        """Store the facts that the LLM finds in the drafts; their texts.

        Raises:
            ExtractionFailedError: The LLM failed, or answered no list of facts.
            BackendUnavailableError: They cannot be stored.
        """
        messages = [{"role": draft.role, "content": draft.text, "name": draft.name} for draft in drafts]
        payload = {ENVELOPE: envelope.dump()}
        if created_at is not None:
            payload["created_at"] = created_at.isoformat()
        try:
            with self._guard.acting_for(scope, earlier=earlier, extracting=True):
                self.memory.add(messages, **encode_scope(scope), metadata=payload, infer=True)
        except MemweldError:
            raise
        except Exception as error:
            if isinstance(cause := _cause(error, ExtractionFailedError), ExtractionFailedError):
                raise cause from error
            raise BackendUnavailableError(f"mem0 could not store the facts: {error}") from error
        return self._llm.take_facts()

    def find(self, scope: Scope, query: str, limit: int, conditions: Mapping[str, Any]) -> list[tuple[ItemRow, float]]:
        """What mem0 makes of more rows of our store and of the entities that it has linked to them."""
        wanted = {**encode_scope(scope), FILTERS: json.dumps(conditions)}
        with self._guard.acting_for(scope):
            found = self.memory.search(query, top_k=limit, threshold=0.0, filters=wanted)
        return [(row_of(each["id"], _payload(each)), float(each["score"])) for each in found["results"]]

    def change(self, row: ItemRow) -> None:
        """Replace what a row says, and the entities that it is linked to."""
        self.memory.update(row.id, text=row.text, metadata={ENVELOPE: envelope_of(row).dump()})


def _payload(result: Mapping[str, Any]) -> dict[str, Any]:
    """mem0's answer for one memory as the payload from which it was made."""
    flat: dict[str, Any] = {**result, **(result.get("metadata") or {}), "data": result["memory"]}
    return {key: value for key, value in flat.items() if key not in ("id", "memory", "score", "metadata")}


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error

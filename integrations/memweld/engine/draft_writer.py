"""Drafts as rows: each text stored verbatim, or merged into the item that says it already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..scope import Scope
from ..validation import utc_now
from .operations import AddItems, ItemDraft
from .search.embedders import GuardedEmbedding
from .search.item_store import ItemStore
from .sql import owners
from .sql.cursors import Cursors
from .sql.database import Database
from .sql.item_rows import ItemRow, RowTemplate

__all__ = ["DraftWriter", "ErasedError"]


class ErasedError(Exception):
    """The scope was erased after the call began."""


class DraftWriter:
    """Stores drafts within the transaction of its caller.

    Args:
        database: The tables.
        store: The items with their vectors.
        embedding: Makes vectors; the caller has prepared those of the texts.
    """

    def __init__(self, database: Database, store: ItemStore, embedding: GuardedEmbedding) -> None:
        self._database = database
        self._store = store
        self._embedding = embedding
        self._cursors = Cursors(database)

    def check_epoch(self, scope: Scope, operation: AddItems) -> None:
        """Make sure, in the writing transaction, that the scope has not been erased.

        The epoch of the operation tells whether it was erased since `GetEpoch` gave that number. Texts that expired
        since the call began are stored all the same (see `Database.go_back`).
        """
        epoch = operation.epoch
        if operation.expires_at is not None:
            self._database.go_back(operation.expires_at.timestamp())
        if epoch is None:
            return
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
        if owner is None or self._cursors.epoch(scope, owner.id) != epoch:
            raise ErasedError

    def store(
        self, scope: Scope, drafts: Sequence[ItemDraft], template: RowTemplate, created_at: datetime | None
    ) -> list[ItemRow]:
        """Store texts verbatim; the row of each, which may have been there already.

        It bypasses mem0, which without an LLM would write the same: text, hash and vector.
        """
        at = created_at or utc_now()
        is_learnt = template.extraction == "extracted"
        rows = [
            template.row(
                scope,
                draft.text,
                (draft.created_at or at).isoformat(),
                role=None if is_learnt else draft.role,
                name=draft.name,
                speaker=draft.role,
                message_id=None if template.session_id is None else draft.message_id,
            )
            for draft in drafts
        ]
        vectors = [self._embedding.embed(draft.text) for draft in drafts]
        return self._store.store(rows, vectors, is_dated=created_at is not None)

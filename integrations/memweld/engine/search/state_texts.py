"""The texts of state values, as items of the kind ``record``: searches find the values by them.

They bypass mem0, which adds nothing to a verbatim text under a key. A call first embeds all its texts, and then writes
them with their values in one transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import replace

from ...models import ValueWrite
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import PutValue
from ..sql.database import Database
from ..sql.items import Items, RowTemplate
from ..sql.state import TextWriter
from .embedder_check import EmbedderCheck
from .embedders import GuardedEmbedding, as_bytes
from .tokenizer import pack_terms

__all__ = ["StateTexts"]


class StateTexts:
    """Stores the texts of state values, of all scopes.

    Args:
        database: The file.
        embedding: Makes vectors.
        embedder_check: Knows which embedder made the file's vectors.
    """

    def __init__(self, database: Database, embedding: GuardedEmbedding, embedder_check: EmbedderCheck) -> None:
        self._database = database
        self._embedding = embedding
        self._check = embedder_check
        self._items = Items(database)

    @contextlib.contextmanager
    def text_writer(self, scope: Scope, writes: Sequence[PutValue | ValueWrite]) -> Generator[TextWriter]:
        """Embed the texts of the writes now; yield a function that stores one of them in its value's transaction."""
        is_recorded = False

        def store(write: PutValue | ValueWrite, stored_id: str | None) -> str:
            nonlocal is_recorded
            vector = self._embedding.embed(write.text or "")
            with self._database.writing(scope) as connection:
                if not is_recorded:
                    self._check.record(connection, len(vector))
                    is_recorded = True
                return self._store(scope, write, stored_id, as_bytes(vector))

        with self._embedding.prepared([write.text for write in writes if write.text is not None]):
            yield store

    def _store(self, scope: Scope, write: PutValue | ValueWrite, stored_id: str | None, vector: bytes) -> str:
        text = write.text or ""
        before = None if stored_id is None else self._items.get(scope, stored_id)
        now = utc_now().isoformat()
        template = RowTemplate(
            kind="record",
            key=dump_json([write.namespace, write.key]),
            metadata=dump_json({"namespace": write.namespace, "key": write.key}),
        )
        row = template.row(scope, text, now, memory_id=stored_id)
        if before is not None:
            row = replace(row, created_at=before.created_at)
        if stored_id is None:
            self._items.insert(row, vector, pack_terms(text))
        else:
            self._items.rewrite(row, vector, pack_terms(text))
        return row.id

"""The texts of state values, as items of the kind ``record``: searches find the values by them.

They bypass mem0, which adds nothing to a verbatim text under a key. A call first embeds all its texts, and then writes
them with their values in one transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from itertools import compress
from operator import not_

from ...models import Source, ValueWrite
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import PutValue
from ..sql.database import Database
from ..sql.item_rows import ItemRow, RowTemplate
from ..sql.items import Items
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
    def text_writer(
        self, scope: Scope, writes: Sequence[PutValue | ValueWrite], source: Source | None
    ) -> Generator[TextWriter]:
        """Embed the texts of the writes now; yield a function that stores them in the transaction of their values."""
        terms = {write.text: pack_terms(write.text) for write in writes if write.text is not None}

        def store(texts: Sequence[tuple[PutValue | ValueWrite, str | None]]) -> list[str]:
            now, vectors = utc_now().isoformat(), [self._embedding.embed(write.text or "") for write, _ in texts]
            rows = [_row(scope, write, now, stored_id, source) for write, stored_id in texts]
            columns = [(row, as_bytes(vector), terms[row.text]) for row, vector in zip(rows, vectors, strict=True)]
            is_new = [stored_id is None for _, stored_id in texts]
            with self._database.writing(scope) as connection:
                self._check.record(connection, len(vectors[0]))
                self._items.insert_all(scope, list(compress(columns, is_new)))
                self._items.rewrite_records(scope, list(compress(columns, map(not_, is_new))))
            return [row.id for row in rows]

        with self._embedding.prepared(list(terms)):
            yield store


def _row(scope: Scope, write: PutValue | ValueWrite, now: str, stored_id: str | None, source: Source | None) -> ItemRow:
    template = RowTemplate(
        kind="record",
        key=dump_json([write.namespace, write.key]),
        metadata=dump_json({"namespace": write.namespace, "key": write.key}),
        source=source,
    )
    return template.row(scope, write.text or "", now, memory_id=stored_id)

"""Records: the texts of state values as items, by which the values are found.

They do not go through mem0, which adds nothing to a text that is kept as it stands under a key: all texts of a call are
embedded first, and then written with their values in one transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import replace

from ...models import ValueWrite
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..sql.database import Database
from ..sql.items import Items, RowTemplate
from ..sql.state import Keep
from .embedder_check import EmbedderOfFile
from .embedders import GuardedEmbedding
from .snapshot import as_bytes
from .tokenizer import pack_terms

__all__ = ["Records"]


class Records:
    """The records of all scopes.

    Args:
        database: The file.
        embedding: What makes vectors.
        claim: Says which embedder the file's vectors are of.
    """

    def __init__(self, database: Database, embedding: GuardedEmbedding, claim: EmbedderOfFile) -> None:
        self._database = database
        self._embedding = embedding
        self._claim = claim
        self._items = Items(database)

    @contextlib.contextmanager
    def keeping(self, scope: Scope, writes: Sequence[ValueWrite]) -> Generator[Keep]:
        """Embed the texts of the writes now, and give what stores each of them in the transaction of its value."""
        claimed = False

        def keep(write: ValueWrite, held: str | None) -> str:
            nonlocal claimed
            vector = self._embedding.embed(write.text or "")
            with self._database.writing() as connection:
                if not claimed:
                    self._claim.claim(connection, len(vector))
                    claimed = True
                return self._keep(scope, write, held, as_bytes(vector))

        with self._embedding.prepared([write.text for write in writes if write.text is not None]):
            yield keep

    def _keep(self, scope: Scope, write: ValueWrite, held: str | None, vector: bytes) -> str:
        text = write.text or ""
        before = None if held is None else self._items.get(scope, held)
        now = utc_now().isoformat()
        template = RowTemplate(
            kind="record",
            key=dump_json([write.namespace, write.key]),
            metadata=dump_json({"namespace": write.namespace, "key": write.key}),
        )
        row = template.row(scope, text, now, memory_id=held)
        if before is not None:
            row = replace(row, created_at=before.created_at)
        if held is None:
            self._items.insert(row, vector, pack_terms(text))
        else:
            self._items.rewrite(row, vector, pack_terms(text))
        return row.id

"""A search for a user with too many memories to be read: candidates from the database, ranked as everybody's are.

How common a word is, is counted over all memories of the scope, so that a score says the same as it does elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sql.candidates import Archive, Wanted
from .embedders import GuardedEmbedding, Vector
from .inverted_index import Lexicon, postings_of
from .ranking import weight_of, weights_in
from .snapshot import KINDS, Snapshot, as_bytes
from .tokenizer import pack_terms, query_words

__all__ = ["excerpt"]


class _CountedLexicon(Lexicon):
    """Knows how many memories say a term in all, and which of the candidates do."""

    def __init__(self, counts: Mapping[str, int], packed: Sequence[bytes]) -> None:
        super().__init__(postings_of(range(len(packed)), packed), len(packed))
        self._counts = counts

    def frequency(self, term: str) -> int:
        """How many of the scope's memories say the term."""
        # The database's dictionary may not know it: then the candidates are what there is to be counted.
        return self._counts.get(term) or super().frequency(term)


def excerpt(
    archive: Archive, embedding: GuardedEmbedding, query: str, vector: Vector, wanted: Wanted
) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
    """The candidates and their neighbours, the query's vector, and which rows may be found; None if there are none."""
    terms = sorted({term for word in query_words(query) for term in word.terms})
    counts, total = archive.counts(terms, wanted.owner), archive.total(wanted.owner)
    nothing = _snapshot([], counts, total, len(vector))
    weighted = embedding.for_query(query, vector, weights_in(nothing))
    says = {term for word in query_words(query) if not word.asks for term in word.terms}
    rows = archive.candidates({term: weight_of(nothing, term) for term in says}, as_bytes(weighted), wanted)
    if not rows:
        return None
    allowed = np.array([row[8] for row in rows], dtype=np.bool_)
    return _snapshot(rows, counts, total, len(vector)), weighted, allowed


def _snapshot(rows: Sequence[Any], counts: Mapping[str, int], total: int, dimensions: int) -> Snapshot:
    packed = [pack_terms(row[5]) for row in rows]
    at = {row[0]: position for position, row in enumerate(rows)}
    return Snapshot(
        places=np.array([row[0] for row in rows], dtype=np.int64),
        owners=np.array([row[1] for row in rows], dtype=np.int64),
        kinds=np.array([KINDS[row[2]] for row in rows], dtype=np.int8),
        previous=np.array([at.get(row[7], -1) for row in rows], dtype=np.int64),
        moments=np.array([datetime.fromisoformat(row[4]).timestamp() for row in rows], dtype=np.float64),
        lengths=np.array([len(each) // 4 for each in packed], dtype=np.float32),
        vectors=np.frombuffer(b"".join(row[6] for row in rows), dtype=np.float32).reshape(len(rows), dimensions),
        lexicon=_CountedLexicon(counts, packed),
        total=total,
    )

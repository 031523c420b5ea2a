"""The search for users with too many memories for RAM: candidates from the database, ranked like all others.

The database counts a word's frequency over all memories of the scope, so a score means the same as elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sql.candidates import CandidateSearch, RowFilter
from .embedders import GuardedEmbedding, Vector, as_bytes
from .inverted_index import InvertedIndex, postings_of
from .ranking import term_weight, word_weights
from .snapshot import KINDS, Snapshot
from .tokenizer import pack_terms, query_words

__all__ = ["find_candidates"]


class _CountedInvertedIndex(InvertedIndex):
    """Knows how many memories of the scope contain a term, and which of the candidates do."""

    def __init__(self, counts: Mapping[str, int], packed: Sequence[bytes]) -> None:
        super().__init__(postings_of(range(len(packed)), packed), len(packed))
        self._counts = counts

    def frequency(self, term: str) -> int:
        """The number of the scope's memories that contain the term."""
        # If the database's dictionary does not know the term, only the candidates can be counted.
        return self._counts.get(term) or super().frequency(term)


def find_candidates(
    search: CandidateSearch, embedding: GuardedEmbedding, query: str, vector: Vector, rows: RowFilter
) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
    """The candidates and their neighbours, the query's vector, and which rows may match; None if there are none."""
    terms = sorted({term for word in query_words(query) for term in word.terms})
    counts, total = search.counts(terms, rows.owner), search.total(rows.owner)
    counted = _snapshot([], counts, total, len(vector))
    weighted = embedding.for_query(query, vector, word_weights(counted))
    telling = {term for word in query_words(query) if not word.asks for term in word.terms}
    found = search.find({term: term_weight(counted, term) for term in telling}, as_bytes(weighted), rows)
    if not found:
        return None
    allowed = np.array([row[8] for row in found], dtype=np.bool_)
    return _snapshot(found, counts, total, len(vector)), weighted, allowed


def _snapshot(rows: Sequence[Any], counts: Mapping[str, int], total: int, dimensions: int) -> Snapshot:
    packed = [pack_terms(row[5]) for row in rows]
    positions = {row[0]: position for position, row in enumerate(rows)}
    return Snapshot(
        seqs=np.array([row[0] for row in rows], dtype=np.int64),
        owners=np.array([row[1] for row in rows], dtype=np.int64),
        kinds=np.array([KINDS[row[2]] for row in rows], dtype=np.int8),
        previous=np.array([positions.get(row[7], -1) for row in rows], dtype=np.int64),
        timestamps=np.array([datetime.fromisoformat(row[4]).timestamp() for row in rows], dtype=np.float64),
        lengths=np.array([len(each) // 4 for each in packed], dtype=np.float32),
        vectors=np.frombuffer(b"".join(row[6] for row in rows), dtype=np.float32).reshape(len(rows), dimensions),
        terms=_CountedInvertedIndex(counts, packed),
        total=total,
    )

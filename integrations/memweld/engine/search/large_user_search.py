"""The search for users with too many memories for RAM: candidates from the database, ranked like all others.

The database counts a word's frequency over all memories of the scope, so a score means the same as elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..question_time import QuestionTime
from ..sql.candidates import CandidateSearch, RowFilter
from ..sql.validity import DATED, LEARNT
from .embedders import GuardedEmbedding, Vector, as_bytes
from .inverted_index import InvertedIndex, postings_of
from .ranking import term_weight, word_weights
from .snapshot import KINDS, Snapshot
from .time_boost import name_terms
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
    search: CandidateSearch,
    embedding: GuardedEmbedding,
    query: str,
    vector: Vector,
    rows: RowFilter,
    *,
    window: QuestionTime | None = None,
) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
    """The candidates and their neighbours, the query's vector, and which rows may match; None if there are none.

    With a window, the memories that were said or held in it are candidates of their own.
    """
    terms = sorted({term for word in query_words(query) for term in word.terms})
    counts, total = search.counts(terms, rows.owner), search.total(rows.owner)
    counted = _snapshot([], counts, total, len(vector))
    weighted = embedding.for_query(query, vector, word_weights(counted))
    telling = {term for word in query_words(query) if not word.asks for term in word.terms}
    if window is not None:
        telling.update(name_terms(window))
    weights = {term: term_weight(counted, term) for term in telling}
    found = search.find(weights, as_bytes(weighted), rows)
    if window is not None:
        found = _united(found, search.find(weights, as_bytes(weighted), _within(rows, window)))
    if not found:
        return None
    allowed = np.array([row[8] for row in found], dtype=np.bool_)
    return _snapshot(found, counts, total, len(vector)), weighted, allowed


def _within(rows: RowFilter, window: QuestionTime) -> RowFilter:
    """The filter for those of the rows that were learnt within the window, or that have times of their own."""
    start = window.end if window.is_former else window.start
    learnt = f"{LEARNT} >= ? AND {LEARNT} < ?"
    condition = f"{rows.condition} AND ({DATED} OR items.occurrences IS NOT NULL OR ({learnt}))"
    return replace(rows, condition=condition, variables=[*rows.variables, start, window.end])


def _united(some: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Both, in order. A row may be found if one of them says so."""
    by_place = {row[0]: row for row in some}
    for row in others:
        known = by_place.get(row[0])
        by_place[row[0]] = row if known is None or row[8] else known
    return [by_place[place] for place in sorted(by_place)]


def _snapshot(rows: Sequence[Any], counts: Mapping[str, int], total: int, dimensions: int) -> Snapshot:
    packed = [pack_terms(row[5]) for row in rows]
    positions = {row[0]: position for position, row in enumerate(rows)}
    return Snapshot(
        seqs=np.array([row[0] for row in rows], dtype=np.int64),
        owners=np.array([row[1] for row in rows], dtype=np.int64),
        kinds=np.array([KINDS[row[2]] for row in rows], dtype=np.int8),
        previous=np.array([positions.get(row[7], -1) for row in rows], dtype=np.int64),
        timestamps=np.array([datetime.fromisoformat(row[4]).timestamp() for row in rows], dtype=np.float64),
        # The database has looked at it.
        validity=np.full((len(rows), 2), np.nan),
        lengths=np.array([len(each) // 4 for each in packed], dtype=np.float32),
        vectors=np.frombuffer(b"".join(row[6] for row in rows), dtype=np.float32).reshape(len(rows), dimensions),
        terms=_CountedInvertedIndex(counts, packed),
        total=total,
    )

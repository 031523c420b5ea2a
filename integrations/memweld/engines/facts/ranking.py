"""Ranking: keywords and vectors fused, with neighbours in a conversation lending each other weight."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from .index import Snapshot

__all__ = ["fuse", "keyword_query", "smooth"]

# Words that ask rather than say: they match half of all memories and drown the word that matters.
_STOP_WORDS = frozenset(
    """
    a about am an and are as at be been but by can could did do does for from had has have he her his
    how i if in is it its me my of on or our she should so that the their them they this to was we were
    what when where which who whom whose why will with would you your
    """.split()
)
_WORD = re.compile(r"\w+")
_MOST_WORDS = 64

# How a neighbour in the same session lends its keyword score: the turn before more than the turn after. Weights as
# found best on LoCoMo conversations for max-normalised BM25.
_PREVIOUS, _NEXT = 0.5, 0.3
_KEYWORDS, _VECTORS = 0.5, 0.5


def keyword_query(query: str, scope_word: str) -> str | None:
    """The FTS5 query: any of the telling words, and always the word of the scope; None if the query has no word."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(query)))
    telling = [word for word in words if word not in _STOP_WORDS] or words
    if not telling:
        return None
    alternatives = " OR ".join(f'"{word}"' for word in telling[:_MOST_WORDS])
    return f"scope:{scope_word} AND text:({alternatives})"


def smooth(scores: NDArray[np.float32], sessions: NDArray[np.int32]) -> NDArray[np.float32]:
    """Add to each row half of the row before and three tenths of the row after it in the same session."""
    if not len(scores) or not (sessions >= 0).any():
        return scores
    order = np.argsort(sessions, kind="stable")
    ordered, codes = scores[order], sessions[order]
    together = (codes[1:] == codes[:-1]) & (codes[1:] >= 0)
    lent = ordered.copy()
    lent[1:] += _PREVIOUS * ordered[:-1] * together
    lent[:-1] += _NEXT * ordered[1:] * together
    smoothed = np.empty_like(scores)
    smoothed[order] = lent
    return smoothed


def fuse(
    snapshot: Snapshot, query: NDArray[np.float32], places: NDArray[np.int64], keyword_scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A score from 0 to 1 for each row of the snapshot.

    Args:
        snapshot: The rows.
        query: The unit vector of the query, shape (dimensions,).
        places: The places of the rows that keywords found.
        keyword_scores: How well they fit (BM25, larger is better), same shape as ``places``.
    """
    cosines = np.clip(snapshot.vectors @ query, 0.0, 1.0).astype(np.float32)
    keywords = np.zeros(len(cosines), dtype=np.float32)
    at, known = snapshot.positions(places)
    keywords[at[known]] = keyword_scores[known]
    keywords = smooth(keywords, snapshot.sessions)
    best = float(keywords.max(initial=0.0))
    if best <= 0:
        return (cosines * np.float32(_VECTORS)).astype(np.float32)
    return (keywords * np.float32(_KEYWORDS / best) + cosines * np.float32(_VECTORS)).astype(np.float32)

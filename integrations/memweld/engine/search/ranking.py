"""Ranking: how much of a query each memory and its neighbours in the conversation cover, in words and in meaning.

The score of a memory, before it is mapped to the range from 0 to 1, is the sum of two parts of equal weight:

- *words*: BM25 over the memory, divided by what a memory of average length scores that says every telling word of the
  query once. Words are weighted by how rare they are among the memories of the scope that searches, and among no
  other's: a score that followed what another agent holds would tell its words to whoever tries some.
- *meaning*: the cosine of the vectors, where it is positive; less where the model hardly knows the query's script.

Each part also takes a share of what the neighbours in the same session score, because an answer often does not repeat
the words of its question. Nothing is normalised by the best hit, so a score says the same in every search.
"""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from .embedders import Weigh
from .snapshot import Snapshot
from .tokenizer import QueryWord, query_words

__all__ = ["as_score", "fits", "freshness", "weight_of", "weights_in"]

Scores = NDArray[np.float64]

# BM25's constants as Anserini has them for short passages; nothing is gained by changing them a little.
_SATURATION, _LENGTH = 0.9, 0.4
# What the turns before and after lend, the nearest first: half as much with each turn of distance, and the turn before,
# which often is the question, more than the one after.
_WORDS_BEFORE, _WORDS_AFTER = (0.5, 0.25, 0.125), (0.3, 0.15, 0.075)
_MEANING_BEFORE, _MEANING_AFTER = (0.3,), (0.2,)
# A memory that covers so many words of a long query covers it; and no more than so many are looked up.
_ENOUGH_WORDS, _MOST_TERMS = 12, 64
_TAKEN_FOR_GRANTED = 30


def weights_in(snapshot: Snapshot) -> Weigh:
    """What the words of a query weigh among the rows of a snapshot.

    A few memories do not show that a word is common: of words that ask it is taken for granted, as if some more
    memories had been seen of which every second says them.
    """
    size = snapshot.size

    def weigh(word: QueryWord) -> float:
        seen = _TAKEN_FOR_GRANTED if word.asks else 0
        # The rarest of its terms weighs most.
        said = min((snapshot.frequency(term) for term in word.terms), default=None)
        return 0.0 if said is None else _rarity(size + seen, said + seen / 2)

    return weigh


def fits(snapshot: Snapshot, query: str, vector: NDArray[np.float32]) -> Scores:
    """How well each row fits, 0 or more without an upper bound; see the module for what it is made of.

    Args:
        snapshot: The rows.
        query: The text of the query.
        vector: Its vector, as long as the model knows it, at most 1, shape (dimensions,).

    Returns:
        One number a row, shape (n,).
    """
    cosines = np.maximum(snapshot.cosines(vector), 0.0).astype(np.float64)
    meaning = _lend(cosines, snapshot.previous, _MEANING_BEFORE, _MEANING_AFTER)
    words = _lend(_coverage(snapshot, query), snapshot.previous, _WORDS_BEFORE, _WORDS_AFTER)
    return np.asarray(words + meaning)


def as_score(fit: Scores) -> Scores:
    """A fit as a number from 0 to 1, in the same order: 0.63 for a fit of 1, 0.86 for 2 (the query's own text)."""
    return np.asarray(-np.expm1(-fit))


def freshness(moments: NDArray[np.float64], half_life: float) -> Scores:
    """What age leaves of a score: half after each half-life, all of it for what is new or lies in the future.

    Args:
        moments: When each row was made, in seconds since 1970, shape (n,).
        half_life: Seconds.
    """
    ages = np.maximum(time.time() - moments, 0.0)
    return np.asarray(np.exp2(-ages / half_life))


def weight_of(snapshot: Snapshot, term: str) -> float:
    """What a term of the query weighs among the words: how rare it is."""
    return _rarity(snapshot.size, snapshot.frequency(term))


def _rarity(rows: int, holding: float) -> float:
    """BM25's inverse document frequency, as Lucene has it: never negative."""
    return math.log(1 + (rows - holding + 0.5) / (holding + 0.5))


def _coverage(snapshot: Snapshot, query: str) -> Scores:
    covered = np.zeros(len(snapshot.places))
    wanted = {term for word in query_words(query) if not word.asks for term in word.terms}
    size = snapshot.size
    weights = {term: _rarity(size, snapshot.frequency(term)) for term in wanted}
    if not weights:
        return covered
    dampening = _SATURATION * (1 - _LENGTH + _LENGTH * snapshot.lengths / max(snapshot.mean_length, 1.0))
    rarest = sorted(weights, key=lambda term: (-weights[term], term))
    for term in [each for each in rarest if snapshot.frequency(each)][:_MOST_TERMS]:
        at, times = snapshot.find(term)
        covered[at] += weights[term] * times * (_SATURATION + 1) / (times + dampening[at])
    return covered / (sum(weights.values()) * min(1.0, _ENOUGH_WORDS / len(weights)))


def _lend(scores: Scores, previous: NDArray[np.int64], before: tuple[float, ...], after: tuple[float, ...]) -> Scores:
    """Add to each row shares of the rows before and after it in its session.

    Args:
        scores: One number a row, shape (n,).
        previous: The position of the row before in the same session, -1 without one, shape (n,).
        before: The share of the row before, of the one before that, and so on.
        after: The same for the rows after it.
    """
    lent = scores.copy()
    at = np.flatnonzero(previous >= 0)
    source = previous[at]
    for share_before, share_after in zip(before, after, strict=True):
        if not len(at):
            break
        lent[at] += share_before * scores[source]
        # No two rows have the same row before them, so that nothing is lost in adding.
        lent[source] += share_after * scores[at]
        source = previous[source]
        at, source = at[source >= 0], source[source >= 0]
    return lent

"""Ranking: how much of a query each memory and its neighbours in the conversation cover, in words and in meaning.

The score of a memory, before it is mapped to the range from 0 to 1, is the sum of two parts of equal weight:

- *words*: the memory's BM25, divided by the BM25 of a memory of average length that contains every telling word of the
  query once. A word weighs by its rarity among the memories of the searching scope, and of no other. Otherwise an
  agent could guess the words of another agent's memories by trying them.
- *meaning*: the cosine of the vectors, where it is positive; less if the model hardly knows the query's script.

Each part also takes a share of the neighbours' scores in the same session, because an answer often does not repeat the
words of its question. Nothing is normalised by the best hit, so a score means the same in every search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...explanation import Explanation, WordScore
from .embedders import Weigh
from .snapshot import Snapshot
from .tokenizer import QueryWord, query_words

__all__ = ["age_factors", "as_score", "explain", "fits", "term_weight", "word_weights"]

Scores = NDArray[np.float64]

# BM25's constants as Anserini has them for short passages; small changes gain nothing.
_SATURATION, _LENGTH = 0.9, 0.4
# The shares that neighbouring turns lend, the nearest first: half as much with each turn of distance. The turn before,
# which often is the question, lends more than the one after.
_WORDS_BEFORE, _WORDS_AFTER = (0.5, 0.25, 0.125), (0.3, 0.15, 0.075)
_MEANING_BEFORE, _MEANING_AFTER = (0.3,), (0.2,)
# A memory that contains this many words of a long query covers it, and a search looks up at most this many terms.
_ENOUGH_WORDS, _MOST_TERMS = 12, 64
# Imagined memories, half of which contain each question word.
_PRIOR_MEMORIES = 30
# Imagined memories that contain no word of a query.
_MORE_MEMORIES = 5


def word_weights(snapshot: Snapshot) -> Weigh:
    """The weights of a query's words among the rows of a snapshot.

    Numbers have no weight: they mean something to words alone. In vectors all of them are alike, so that "2+2" would
    find "20 mg daily".

    A few memories do not show that a word is common. For question words the weight assumes it, as if there were some
    more memories and every second one contained them.
    """
    size = snapshot.size

    def weigh(word: QueryWord) -> float:
        if all(map(str.isdigit, word.terms)):
            return 0.0
        prior = _PRIOR_MEMORIES if word.asks else 0
        # The rarest of its terms weighs most.
        frequency = min((snapshot.frequency(term) for term in word.terms), default=None)
        return 0.0 if frequency is None else _rarity(size + prior, frequency + prior / 2)

    return weigh


def term_weight(snapshot: Snapshot, term: str) -> float:
    """The weight of a query's term: its rarity."""
    return _rarity(snapshot.size, snapshot.frequency(term))


def fits(snapshot: Snapshot, query: str, vector: NDArray[np.float32]) -> Scores:
    """How well each row fits, 0 or more without an upper bound; the module's docstring has the formula.

    Args:
        snapshot: The rows.
        query: The text of the query.
        vector: Its vector, as long as the share of the query that the model knows, shape (dimensions,).

    Returns:
        One number a row, shape (n,).
    """
    cosines = np.maximum(snapshot.cosines(vector), 0.0).astype(np.float64)
    meaning = _with_neighbours(cosines, snapshot.previous, _MEANING_BEFORE, _MEANING_AFTER)
    words = _with_neighbours(_coverage(snapshot, query), snapshot.previous, _WORDS_BEFORE, _WORDS_AFTER)
    return np.asarray(words + meaning)


def explain(
    snapshot: Snapshot,
    query: str,
    vector: NDArray[np.float32],
    rows: Sequence[int],
    *,
    age: Scores | None = None,
    time: Scores | None = None,
) -> list[Explanation]:
    """The parts of the scores of some rows; the arguments are those of `fits`.

    Args:
        snapshot: The rows.
        query: The text of the query.
        vector: Its vector.
        rows: The positions of the rows to explain.
        age: The factors of `age_factors`, shape (n,); None: age does not count.
        time: The parts of ``time_scores``, shape (n,); None: the query names no time.
    """
    known = float(np.linalg.norm(vector))
    products = snapshot.cosines(vector).astype(np.float64)
    cosines = np.maximum(products, 0.0)
    covered = _coverage(snapshot, query)
    lent_meaning = _with_neighbours(cosines, snapshot.previous, _MEANING_BEFORE, _MEANING_AFTER) - cosines
    lent_words = _with_neighbours(covered, snapshot.previous, _WORDS_BEFORE, _WORDS_AFTER) - covered
    weights = _term_weights(snapshot, query)
    written = {term: _written(query, term) for term in weights}
    by_term = {term: np.zeros(len(rows)) for term in weights}
    for term, found, scores in _term_scores(snapshot, weights):
        of_all = np.zeros(len(snapshot.seqs))
        of_all[found] = scores
        by_term[term] = of_all[np.asarray(rows, dtype=np.int64)]
    explanations: list[Explanation] = []
    for place, row in enumerate(rows):
        explanation = Explanation(
            score=0.0,
            words=tuple(
                WordScore(word=written[term], weight=weight, score=float(by_term[term][place]))
                for term, weight in weights.items()
            ),
            cosine=float(products[row]) / known if known else 0.0,
            known=known,
            session_words=float(lent_words[row]),
            session_meaning=float(lent_meaning[row]),
            time=0.0 if time is None else float(time[row]),
            recency=1.0 if age is None else float(age[row]),
        )
        explanations.append(replace(explanation, score=explanation.recency * -math.expm1(-explanation.fit)))
    return explanations


def as_score(fit: Scores) -> Scores:
    """A fit as a number from 0 to 1, in the same order: 0.63 for a fit of 1, 0.86 for 2 (the query's own text)."""
    return np.asarray(-np.expm1(-fit))


def age_factors(timestamps: NDArray[np.float64], half_life: float) -> Scores:
    """The factor by which age reduces a score: one half for each half-life; 1 for the new and for the future.

    Args:
        timestamps: When each row was made, in seconds since 1970, shape (n,).
        half_life: Seconds.
    """
    ages = np.maximum(time.time() - timestamps, 0.0)
    return np.asarray(np.exp2(-ages / half_life))


def _rarity(rows: int, frequency: float) -> float:
    """BM25's inverse document frequency, as Lucene has it: never negative."""
    return math.log(1 + (rows - frequency + 0.5) / (frequency + 0.5))


def _coverage(snapshot: Snapshot, query: str) -> Scores:
    """The share of the query's words that each row covers, shape (n,)."""
    covered = np.zeros(len(snapshot.seqs))
    for _, rows, scores in _term_scores(snapshot, _term_weights(snapshot, query)):
        covered[rows] += scores
    return covered


def _term_weights(snapshot: Snapshot, query: str) -> dict[str, float]:
    """The weight of each telling term of the query, the rarest first. Those of a short query add up to 1."""
    terms = {term for word in query_words(query) if not word.asks for term in word.terms}
    # As if there were some more memories: where there is but one, all of its words would count as common.
    size = snapshot.size + _MORE_MEMORIES
    weights = {term: _rarity(size, snapshot.frequency(term)) for term in terms}
    whole = sum(weights.values()) * min(1.0, _ENOUGH_WORDS / max(len(weights), 1))
    return {term: weights[term] / whole for term in sorted(weights, key=lambda term: (-weights[term], term))}


def _term_scores(snapshot: Snapshot, weights: Mapping[str, float]) -> Iterator[tuple[str, NDArray[np.int64], Scores]]:
    """For each term that is looked up: the rows that contain it, and what it adds to each."""
    dampening = _SATURATION * (1 - _LENGTH + _LENGTH * snapshot.lengths / max(snapshot.mean_length, 1.0))
    for term in [each for each in weights if snapshot.frequency(each)][:_MOST_TERMS]:
        rows, counts = snapshot.find(term)
        yield term, rows, weights[term] * counts * (_SATURATION + 1) / (counts + dampening[rows])


def _written(query: str, term: str) -> str:
    """The word of the query with a term; the term itself where the word has several."""
    word = next(each for each in query_words(query) if term in each.terms)
    return query[word.start : word.end] if len(word.terms) == 1 else term


def _with_neighbours(
    scores: Scores, previous: NDArray[np.int64], before: tuple[float, ...], after: tuple[float, ...]
) -> Scores:
    """Add to each row shares of the scores before and after it in its session.

    Args:
        scores: One number a row, shape (n,).
        previous: The position of the preceding row in the same session, else -1, shape (n,).
        before: The share of the preceding row, of the one before that, and so on.
        after: The same for the rows after it.
    """
    summed = scores.copy()
    rows = np.flatnonzero(previous >= 0)
    sources = previous[rows]
    for share_before, share_after in zip(before, after, strict=True):
        if not len(rows):
            break
        summed[rows] += share_before * scores[sources]
        # No two rows have the same predecessor, so the addition loses nothing.
        summed[sources] += share_after * scores[rows]
        sources = previous[sources]
        rows, sources = rows[sources >= 0], sources[sources >= 0]
    return summed

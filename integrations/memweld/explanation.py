"""The parts of a search's score: an `Explanation` for each hit of ``search(…, explain=True)``."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from .display import Displayed, Readable, html_bar, html_text

__all__ = ["Explanation", "WordScore"]

_NOTHING = 1e-6
_AS_NEW = 0.995
_MOST_SHOWN = 6
_COLORS = {"words": "#5b8def", "meaning": "#e6a23c", "session": "#67b279", "time": "#d9668a", "entities": "#b07cc6"}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WordScore(Readable):
    """A word of the query, and its part in the fit of one memory.

    Attributes:
        word: The word as the query has it; of a script without spaces between words a pair of characters.
        weight: Its share of the query, higher for rare words: the score of a memory of average length with it once.
        score: Its part in this memory's fit; 0 for a memory without it.
    """

    word: str
    weight: float
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Displayed):
    """The parts of a score.

    ``fit`` is the sum of words, meaning, session and time. The score is ``(1 - exp(-fit) + entities) * recency``.

    Attributes:
        score: The score of the hit, from 0 to 1.
        words: The telling words of the query, the heaviest first. Question words and other stop words do not count.
        cosine: The cosine between the vectors of query and memory, from -1 to 1.
        known: The share of the query that the embedder knows: the weight of the cosine.
        session_words: The share of the words of neighbours in the same session.
        session_meaning: The share of the meaning of neighbours in the same session.
        time: The part of the time that the query names: more for what was said or held then, less for what came later
            or was over before; 0 where it names none.
        recency: The factor that age leaves, from 0 to 1; 1 without ``recency=``.
        entities: What the links of a graph, or mem0's entities, add at the end; 0 without them.
    """

    score: float
    words: tuple[WordScore, ...] = ()
    cosine: float = 0.0
    known: float = 1.0
    session_words: float = 0.0
    session_meaning: float = 0.0
    time: float = 0.0
    recency: float = 1.0
    entities: float = 0.0

    @property
    def meaning(self) -> float:
        """The part of the memory's own meaning: the cosine, where it is positive, times its weight."""
        return max(self.cosine, 0.0) * self.known

    @property
    def session(self) -> float:
        """The part that neighbours in the same session lend, in words and in meaning."""
        return self.session_words + self.session_meaning

    @property
    def fit(self) -> float:
        """The sum of words, meaning, session and time, 0 or more without an upper bound."""
        return math.fsum(each.score for each in self.words) + self.meaning + self.session + self.time

    @property
    def _scale(self) -> float:
        """What a part of the fit becomes in the score."""
        fit = self.fit
        return self.recency * -math.expm1(-fit) / fit if fit else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """The parts that add up to the score: ``words``, ``meaning``, ``session``, ``time`` and ``entities``."""
        scale = self._scale
        return {
            "words": scale * math.fsum(each.score for each in self.words),
            "meaning": scale * self.meaning,
            "session": scale * self.session,
            "time": scale * self.time,
            "entities": self.recency * self.entities,
        }

    def with_score(self, score: float) -> Explanation:
        """The explanation of a score that entities raised or lowered afterwards."""
        if score == self.score:
            return self
        added = score / self.recency + math.expm1(-self.fit) if self.recency else 0.0
        # Less is a moment between two looks at the clock.
        return replace(self, score=score, entities=added if abs(added) > _NOTHING else 0.0)

    @property
    def matches(self) -> list[WordScore]:
        """The words that the memory contains, those that add most first."""
        return sorted((each for each in self.words if each.score), key=lambda each: -each.score)

    def as_json(self) -> dict[str, Any]:
        """The parts as a small JSON object: rounded, with the matches that add most, without the score."""
        words = [
            {"word": each.word, "weight": round(each.weight, 4), "score": round(each.score, 4)}
            for each in self.matches[:_MOST_SHOWN]
        ]
        numbers = {
            "cosine": self.cosine,
            "known": self.known,
            "session_words": self.session_words,
            "session_meaning": self.session_meaning,
            **({"time": self.time} if self.time else {}),
            "recency": self.recency,
            "entities": self.entities,
        }
        return {"words": words} | {name: round(number, 4) for name, number in numbers.items()}

    def __str__(self) -> str:
        shares, scale = self.shares, self._scale
        named = ", ".join(f"{each.word} {scale * each.score:.2f}" for each in self.matches[:_MOST_SHOWN])
        notes = {"words": f" ({named})"}
        parts = [f"{name} {share:.2f}{notes.get(name, '')}" for name, share in shares.items() if share]
        age = f"; age left {self.recency:.0%} of it" if self.recency < _AS_NEW else ""
        return f"{self.score:.2f} = {' + '.join(parts) or '0'}{age}"

    def __repr__(self) -> str:
        return f"<Explanation {self}>"

    def _html(self) -> str:
        shares = ((part, share) for part, share in self.shares.items() if share > 0)
        bars = "".join(html_bar(share, _COLORS[part], f"{part} {share:.2f}") for part, share in shares)
        missing = [each.word for each in self.words if not each.score][:_MOST_SHOWN]
        return f"{bars}<br>{html_text(str(self))}" + (
            f"<br><i>without {html_text(', '.join(missing))}</i>" if missing else ""
        )

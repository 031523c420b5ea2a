"""Sources among the hits of a search: shown where the facts that an LLM extracted from them say less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from ...explanation import Explanation
from ..sql.item_rows import ItemRow
from .tokenizer import query_words, split, terms

__all__ = ["Ranked", "covers", "without_covered"]

# The share of a source's telling words that its facts must have. An invented fact, or one with another name, has fewer.
_LEAST = 3 / 4
# One of the facts must have this share of the source's score: else the query asks for words that they lack.
_AS_GOOD = 0.6
_CHARACTERS = 4_000


class Ranked(NamedTuple):
    """A row that a search found: its score, from 0 to 1, and the parts of it if the search asked for them."""

    row: ItemRow
    score: float
    explanation: Explanation | None = None


def without_covered(hits: Sequence[Ranked], by_ids: Callable[[Iterable[str]], Mapping[str, ItemRow]]) -> list[Ranked]:
    """The hits without those sources whose text is found anyway.

    A source is left out if an equal text ranks above it, or if one of its facts fits about as well and all of its facts
    together have most of its words.

    Args:
        hits: Best first.
        by_ids: Reads rows.
    """
    scores = {hit.row.id: hit.score for hit in hits}
    shown: list[Ranked] = []
    hashes: set[str] = set()
    for hit in hits:
        row = hit.row
        if row.kind == "source":
            links = row.linked_ids
            if row.hash in hashes:
                continue
            best = max((scores.get(link, 0.0) for link in links), default=0.0)
            if best > _AS_GOOD * hit.score and covers(row.text, [fact.text for fact in by_ids(links).values()]):
                continue
        shown.append(hit)
        hashes.add(row.hash)
    return shown


def covers(text: str, facts: Sequence[str]) -> bool:
    """Whether the facts have most of the telling words of a text. The end of a long text counts as not covered."""
    if len(text) > _CHARACTERS:
        return False
    telling = {term for word in query_words(text) if not word.asks for term in word.terms}
    told = {term for fact in facts for word in split(fact) for term in terms(word)}
    return len(telling & told) >= _LEAST * len(telling)

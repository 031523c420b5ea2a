"""Passages of texts that are too long for their reader: a share for each, and the part that fits a query."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = ["LOOKED_AT", "fair_share", "passage", "query_pattern"]

LOOKED_AT = 400_000
"""So many characters of all texts together are looked at."""

# A passage begins so many characters before the words that were searched for.
_LEAD = 40
_MOST_WORDS = 24
# So much of a word is compared: a text may repeat its beginning at each character.
_LONGEST_STEM = 16


def fair_share(lengths: Sequence[int], budget: int) -> int:
    """How many characters each line may take with its line break, so that all together fit."""
    room = budget
    for place, length in enumerate(sorted(lengths)):
        left = len(lengths) - place
        if length * left > room:
            return room // left
        room -= length
    return max(lengths, default=0)


def query_pattern(query: str) -> re.Pattern[str] | None:
    """Finds the words of a query in a text, in other forms too: a group for each. None if it has no telling words."""
    from ..engine.search.tokenizer import query_words  # a stemmer loads here

    stems = dict[str, None]()
    for word in query_words(query):
        spelled = query[word.start : word.end].casefold()
        for term in () if word.asks else word.terms:
            # "city" has the stem "citi".
            stem = next((each for each in (term, term[:-1]) if each and spelled.startswith(each)), spelled)
            stem = term if len(word.terms) > 1 else stem
            stem = stem[:_LONGEST_STEM]
            # Words of other scripts may carry prefixes, or stand without spaces.
            stems[rf"(\b{re.escape(stem)})" if stem.isascii() else f"({re.escape(stem)})"] = None
    telling = sorted(stems, key=len, reverse=True)[:_MOST_WORDS]
    return re.compile("|".join(telling), re.IGNORECASE) if telling else None


def passage(text: str, characters: int, words: re.Pattern[str] | None) -> str:
    """The passage of the text that has most of the words, the rare ones above all; else its beginning."""
    if len(text) <= characters:
        return text
    width = max(characters - 2, 0)
    found = [] if words is None else [(each.start(), each.lastindex or 0) for each in words.finditer(text)]
    start = max(min(_densest(found, max(width - _LEAD, 0)) - _LEAD, len(text) - width), 0)
    if start:
        start = text.find(" ", start, start + _LEAD) + 1 or start
    cut = text[start : start + width]
    return f"{'…' if start else ''}{cut}{'…' if start + width < len(text) else ''}"[:characters]


def _densest(found: Sequence[tuple[int, int]], width: int) -> int:
    """The beginning of the first stretch, at most so wide, that has most of the words. A word weighs by its rarity.

    Args:
        found: Place and number of each word, in order.
        width: Characters.
    """
    counts, inside = Counter(word for _, word in found), Counter[int]()
    first, best, most = 0, 0, 0.0
    for place, word in found:
        inside[word] += 1
        while place - found[first][0] > width or inside[found[first][1]] > 1:
            inside[found[first][1]] -= 1
            first += 1
        weight = sum(1 / counts[each] for each, count in inside.items() if count)
        if weight > most:
            best, most = found[first][0], weight
    return best

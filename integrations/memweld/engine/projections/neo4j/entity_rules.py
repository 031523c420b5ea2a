"""The rule that finds entities where no model does; docs/explanation/projections.md states it in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .entity_names import key_of

__all__ = ["MOST_ENTITIES", "by_rule"]

MOST_ENTITIES = 20
"""How many entities one memory has at most."""

_READ = 20_000
_LONGEST = 100
_ADDRESS = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}|https?://[^\s<>\"'“”»）)]{1,300}")
_TAG = re.compile(r"(?<![\w/&])[@#]\w[\w.-]{0,60}")
_QUOTED = re.compile(
    r"“([^“”\n]{2,80})”|„([^„“”\n]{2,80})[“”]|«([^«»\n]{2,80})»|\"([^\"\n]{2,80})\"|「([^「」\n]{1,80})」"
)
# A word with what follows it up to the next: the gap tells whether a phrase or a sentence goes on.
_TOKEN = re.compile(r"([^\W_](?:[\w'’&+#/-]|\.(?=\w))*)([^\w]*)")
_ENDS_SENTENCE = re.compile(r"[.!?…:;\n。！？]")
_JOINS = frozenset("of de da do dos das di del della der den des du la le les van von zu".split())
_COMMON = frozenset(
    """
    i i'm i've i'll i'd you he she it we they me my your his her its our their mine this that these those the a an
    and or but so if then when while where what which who whom whose why how there here yes no not never always
    usually often sometimes once also too very just only still already again please thanks thank ok okay hi hello hey
    is are was were be been am do does did has have had can could will would should may might must let let's
    in on at by for from to of with without about after before since until during near over under as because although
    everyone everybody someone somebody nobody nothing something everything anyone each every all some any most many
    one two three half part none few several both either neither another
    today yesterday tomorrow tonight now later recently currently last next
    monday tuesday wednesday thursday friday saturday sunday january february march april may june july august
    september october november december mr mrs ms dr user assistant
    """.split()
)
_OWNS = ("'s", "’s", "'", "’")
_VERBS = frozenset("is was has had will would can could does did and or".split())


def _capital(word: str) -> bool:
    return word[0].isupper() or word[0].istitle() or any(letter.isupper() for letter in word[1:])


def _mixed(word: str) -> bool:
    """``GitHub``, ``NASA``, ``A380``, ``ship-42``: a name wherever it stands."""
    letters = [letter for letter in word if letter.isalpha()]
    inner = sum(letter.isupper() for letter in letters)
    digits = any(letter.isdigit() for letter in word)
    return (inner > 1 and len(letters) > 1) or (digits and bool(letters)) or (inner == 1 and not word[0].isupper())


def _is_subject(gap: str, after: str | None, word: str) -> bool:
    """Whether the first word of a sentence reads as the name of who does what follows: ``Tofu likes``, ``Bob's``."""
    if word.endswith(_OWNS):
        return True
    if after is None or gap.strip():
        return False
    return after in _VERBS or (after.islower() and len(after) > 3 and after.endswith(("s", "ed")))


def _phrases(text: str) -> list[str]:
    """Words that begin with capitals, in a row, joined by small words between them."""
    tokens = [(match.group(1), match.group(2)) for match in _TOKEN.finditer(text)]
    if not any(letter.islower() for letter in text):
        # In capitals throughout, or in a script without them: capitals mean nothing.
        return [word for word, _ in tokens if _mixed(word) and any(letter.isdigit() for letter in word)]
    mid_sentence = {
        word for place, (word, _) in enumerate(tokens) if place and not _ENDS_SENTENCE.search(tokens[place - 1][1])
    }
    found: list[str] = []
    phrase: list[str] = []
    starts, lower, doubted = True, False, False
    for place, (word, gap) in enumerate(tokens):
        after = tokens[place + 1][0] if place + 1 < len(tokens) else None
        if starts:
            lower = word.islower()
        if word.casefold() in _COMMON:
            named = False
        elif not starts or phrase or _mixed(word):
            named = _capital(word) or _mixed(word)
        else:
            leads = after is not None and not gap.strip() and _capital(after) and after.casefold() not in _COMMON
            named = _capital(word) and (leads or word in mid_sentence or _is_subject(gap, after, word))
            if not named and _capital(word):
                named = doubted = _is_joined(tokens[place : place + 5])
        if named or (phrase and word in _JOINS and after is not None and _capital(after)):
            phrase.append(word)
        elif phrase:
            found += _closed(phrase, doubted=doubted)
            phrase, doubted = [], False
        if phrase and (gap.strip(" ") or word.endswith(_OWNS)):
            found += _closed(phrase, doubted=doubted)
            phrase, doubted = [], False
        # `city: Porto`: after a beginning without a capital, a capital behind the colon marks a name.
        starts = bool(_ENDS_SENTENCE.search(gap)) and not (lower and gap.strip() == ":")
    return [*found, *_closed(phrase, doubted=doubted)]


def _is_joined(tokens: Sequence[tuple[str, str]]) -> bool:
    """Whether small words join the first word to another with a capital: ``University of Porto``."""
    for place, (word, gap) in enumerate(tokens):
        if place and word not in _JOINS:
            return place > 1 and _capital(word) and word.casefold() not in _COMMON
        if gap.strip():
            return False
    return False


def _closed(phrase: list[str], *, doubted: bool) -> list[str]:
    """A phrase; and the rest of it, if its first word may be no name (``Photos of Clara``)."""
    while phrase and phrase[-1].casefold() in _JOINS:
        phrase = phrase[:-1]
    names = [phrase]
    if doubted:
        tail = phrase[1:]
        while tail and tail[0] in _JOINS:
            tail = tail[1:]
        names.append(tail)
    return [" ".join(name) for name in names]


def by_rule(text: str) -> list[str]:
    """The names of the entities in a text, in the order in which they stand there, each once."""
    rest = text[:_READ]
    found: list[tuple[int, str]] = []
    for pattern in (_ADDRESS, _TAG, _QUOTED):
        for match in pattern.finditer(rest):
            name = next((group for group in match.groups() if group), match.group())
            found.append((match.start(), name.rstrip(".,;:!?") if pattern is _ADDRESS else name))
        # A match is taken out, so that no part of it is found again.
        rest = pattern.sub(lambda match: "\n" * len(match.group()), rest)
    place = 0
    for phrase in _phrases(rest):
        if phrase:
            place = max(rest.find(phrase, place), place)
            found.append((place, phrase))
    names: dict[str, str] = {}
    for _, name in sorted(found, key=lambda each: each[0]):
        key = key_of(name)
        if key and len(name) <= _LONGEST and (len(key) > 1 or not key.isascii()):
            names.setdefault(key, re.sub(r"['’]s?$", "", name))
    return list(names.values())[:MOST_ENTITIES]

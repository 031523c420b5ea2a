"""The forms of statements with a relation, made of ``relation_tables.py`` and found by their first word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from . import relation_tables as tables
from .canonical import SPELLINGS
from .phrases import Phrases, Word, fold, words_of

__all__ = [
    "JOINING",
    "SELVES",
    "SUBJECTS",
    "TELLING",
    "USERS",
    "Form",
    "Match",
    "find_attribute",
    "find_form",
    "has_beginning",
    "left_out_subject",
    "with_genitive",
]

_GAP = 4  # words that ``*`` stands for, at most
_VALUE = 8  # words of a value in the middle, at most
_ATTRIBUTE = 5
# Without its accent it is another word, or a name.
_EXACT = frozenset("é è né née mudé trasladé marié".split())
_PRONOUNS = frozenset("i ich je yo eu io ik".split())
_ARTICLES = frozenset("the der die das el la le o a il het de".split())
_FREQUENT = frozenset(
    """i i'm my is in at to by am ich bin seit mein meine mi me desde je mon ma eu meu minha io mio mia ik mijn
    sinds depuis nouveau nouvel""".split()
)
# "Ich wohne seit einem Jahr nicht mehr in Köln": behind it stands another statement.
_LIMITS = frozenset("nicht kein nie auch nur no también non anche não também pas plus aussi niet ook until bis".split())
_USER, _USERS_OWN, _ANY, _HERE = "@", "@'s", "*", "#"
_MY = frozenset(word for table in tables.LANGUAGES.values() for word in table.possessives.split())

Kind = Literal["state", "event", "end"]


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a statement.

    Attributes:
        relation: Its name: ``home``.
        words: For each place the words that may stand there.
        kind: Whether it states the relation, tells of an event that led to it, or ends it.
        is_clear: Whether it states nothing else.
        status: The value, if the form itself says it.
    """

    relation: str
    words: tuple[frozenset[str], ...]
    kind: Kind
    is_clear: bool
    status: str | None = None


class Match(NamedTuple):
    """A form at a place, and where its value stands."""

    form: Form
    start: int
    end: int
    is_whole: bool
    """Whether nothing follows a value that stands within the form."""


def plain(word: str) -> str:
    """A folded word without accents."""
    return words_of(word)[0][-1] if not word.isascii() and words_of(word) else word


def _alternatives(part: str) -> tuple[frozenset[str], bool]:
    """The words of one place, and whether it may be empty."""
    options = part.split("/")
    words = {fold(each.rstrip("?")) for each in options}
    if not words.isdisjoint(_MY):
        words.add(_USERS_OWN)
    return frozenset(words | {plain(word) for word in words if word not in _EXACT}), any(
        "?" in each for each in options
    )


def _forms(table: str, relation: str, kind: Kind) -> Iterator[Form]:
    for entry in table.split():
        parts = [_alternatives(part) for part in entry.lstrip("~").split("_")]
        choices = [((words,), ()) if is_optional else ((words,),) for words, is_optional in parts]
        for chosen in product(*choices):
            yield Form(relation, tuple(words for each in chosen for words in each), kind, not entry.startswith("~"))


def _statuses(table: tables.RelationTable) -> Iterator[Form]:
    for beginning in _forms(table.statuses[""], "marital status", "state"):
        for status, words in table.statuses.items():
            if status:
                spelled = frozenset(word for each in words.split() for word in _alternatives(each)[0])
                yield Form("marital status", (*beginning.words, spelled), "state", is_clear=True, status=status)


def _all_forms() -> Iterator[Form]:
    for table in tables.LANGUAGES.values():
        kinds: tuple[tuple[Kind, dict[str, str]], ...] = (
            ("state", table.forms), ("event", table.events), ("end", table.ends),
        )  # fmt: skip
        for kind, forms in kinds:
            for relation, entries in forms.items():
                yield from _forms(entries, relation, kind)
        yield from _statuses(table)


def _by_first() -> dict[str, list[Form]]:
    found: dict[str, list[Form]] = {}
    for form in _all_forms():
        for word in form.words[0]:
            found.setdefault(word, []).append(form)
    return found


def _telling(form: Form) -> frozenset[str]:
    """The words of the place of a form that is rarest, as far as lengths tell."""
    literal = [words for words in form.words if not words & {_ANY, _HERE, _USER, _USERS_OWN}]
    if not literal:
        return frozenset()
    return max(literal, key=lambda words: (words.isdisjoint(_FREQUENT), min(map(len, words))))


_FORMS = _by_first()
_BEGINNINGS = tuple(
    dict.fromkeys(
        word[:-1] for table in tables.LANGUAGES.values() for word in table.attributes.split() if word[-1] == "-"
    )
)


class _Attributes(NamedTuple):
    possessives: Phrases
    copulas: Phrases
    naming: Phrases
    words: frozenset[str]


def _attributes(table: tables.RelationTable) -> _Attributes:
    copulas = table.copulas.split()
    words = (word for each in table.attributes.split() for word in _alternatives(each)[0])
    return _Attributes(
        possessives=Phrases(f"{table.possessives} {_USERS_OWN}"),
        copulas=Phrases(" ".join(each.lstrip("=") for each in copulas)),
        naming=Phrases(" ".join(each[1:] for each in copulas if each[0] == "=")),
        words=frozenset(words),
    )


_ATTRIBUTES = tuple(map(_attributes, tables.LANGUAGES.values()))
_GENITIVES = Phrases(" ".join(table.genitives for table in tables.LANGUAGES.values()))
_NAMING = frozenset(
    word
    for table in tables.LANGUAGES.values()
    for each in table.copulas.split()
    if each[0] == "="
    for word in _alternatives(each[1:].split("_")[-1])[0]
)
USERS = Phrases(" ".join(table.users for table in tables.LANGUAGES.values()))
"""The user in the third person."""

SELVES = tuple(Phrases(table.selves) for table in tables.LANGUAGES.values())
"""Words with which a clause about the speaker begins, by language."""

SUBJECTS = Phrases(" ".join(table.subjects for table in tables.LANGUAGES.values()))
"""Those among them that are the subject: "my friend said" tells of another."""

JOINING = tuple(Phrases(table.joining) for table in tables.LANGUAGES.values())
"""Words before a further clause, by language."""

TELLING = frozenset[str]().union(
    *(_telling(form) for forms in _FORMS.values() for form in forms),
    *(each.words for each in _ATTRIBUTES),
    _NAMING,
)
"""A text has a relation only if it has one of these words, or one with a beginning of `has_beginning`."""


def has_beginning(text: str) -> bool:
    """Whether a folded text has a compound that makes an attribute: *Lieblingsfarbe*."""
    return any(each in text for each in _BEGINNINGS)


def with_genitive(words: Sequence[Word]) -> list[Word] | None:
    """The words of *the user's new address is*, with ``@'s`` in front, for *the new address of the user is*."""
    for place in range(1, min(_ATTRIBUTE + 1, len(words))):
        if length := _GENITIVES.match(words, place):
            article = int(words[0][0] in _ARTICLES)
            own = [tuple(form.removeprefix("l'") for form in word) for word in words[article:place]]
            return [(_USERS_OWN,), *own, *words[place + length :]]
    return None


def left_out_subject(words: Sequence[Word], place: int) -> int:
    """How many words at the beginning are the subject of the words at a place, too: "I live in Porto and work at …".

    A form stands at both places: "I want to leave Porto and work at …" states no employer.
    """
    length = USERS.match(words) or int(words[0][0] in _PRONOUNS)
    own: list[Word] = [words[0] if words[0][0] in _PRONOUNS else (_USER,)]
    is_stated = length > 0 and find_form([*own, *words[length:place]]) is not None
    return length if is_stated and find_form([*own, *words[place : place + _VALUE]]) is not None else 0


def find_form(words: Sequence[Word]) -> Match | None:
    """The longest form with which a clause begins."""
    found: Match | None = None
    for word in words[0] if words else ():
        for form in _FORMS.get(word, ()):
            if found is not None and len(form.words) <= len(found.form.words):
                continue
            if (span := _match(form.words, words)) is not None:
                found = Match(form, *span)
    return found


def _match(parts: Sequence[frozenset[str]], words: Sequence[Word]) -> tuple[int, int, bool] | None:
    """The span of a form's value in a clause; None if the clause has another form."""
    place = 0
    value: tuple[int, int] | None = None
    for number, part in enumerate(parts):
        if _ANY in part and number + 1 == len(parts):
            place, start = min(place + _GAP, len(words)), place
            if place == start or not _LIMITS.isdisjoint(word[0] for word in words[start:place]):
                return None
        elif _ANY in part or _HERE in part:
            # The words that follow are literal: the first place where they stand ends the gap.
            following = parts[number + 1] if number + 1 < len(parts) else frozenset[str]()
            limit = min(place + (_GAP if _ANY in part else _VALUE), len(words) - 1)
            end = next((at for at in range(place + 1, limit + 1) if not following.isdisjoint(words[at])), None)
            if end is None or (_ANY in part and not _LIMITS.isdisjoint(word[0] for word in words[place:end])):
                return None
            if _HERE in part:
                value = place, end
            place = end
        elif place < len(words) and not part.isdisjoint(words[place]):
            place += 1
        else:
            return None
    if value is None:
        return place, len(words), True
    return *value, place == len(words)


def find_attribute(words: Sequence[Word]) -> tuple[str, int, int] | None:
    """What a clause says of something that the speaker has: its name, and where the value stands.

    ``my favourite player is Messi``, and the other way round: ``Messi is my favourite player``.
    """
    for language in _ATTRIBUTES:
        if start := language.possessives.match(words):
            for place in range(start + 1, min(start + _ATTRIBUTE, len(words) - 1) + 1):
                if length := language.copulas.match(words, place):
                    name = _attribute(words[start:place], language, is_name=language.naming.match(words, place) > 0)
                    return None if name is None else (name, place + length, len(words))
        else:
            for place in range(1, min(_GAP + 1, len(words))):
                if length := language.copulas.match(words, place):
                    start = place + length + language.possessives.match(words, place + length)
                    name = None if start == place + length else _attribute(words[start:], language)
                    if name is not None:
                        return name, 0, place
    return None


def _attribute(words: Sequence[Word], language: _Attributes, *, is_name: bool = False) -> str | None:
    if not 1 <= len(words) <= _ATTRIBUTE:
        return None
    has_word = any(not language.words.isdisjoint(word) or word[0].startswith(_BEGINNINGS) for word in words)
    if not (has_word or is_name):
        return None
    name = " ".join(SPELLINGS.get(word[0]) or (word[-1] if "'" not in word[0] else word[0]) for word in words)
    return f"{name} name" if is_name else name

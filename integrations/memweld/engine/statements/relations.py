"""Relations: which statement of a text can take the place of another, because a person has one value of it at a time.

"I live in Lisbon" states that the speaker's home is Lisbon. The known forms are narrow and stand in
``relation_tables.py``; any other text states no relation. All of it takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from . import relation_words as tables
from .canonical import SPELLINGS
from .phrases import WORD, Phrases, Word, fold, words_of
from .relation_forms import (
    JOINING,
    SELVES,
    SUBJECTS,
    TELLING,
    USERS,
    find_attribute,
    find_form,
    has_beginning,
    left_out_subject,
    with_genitive,
)
from .relation_values import PARTICLES, Rest, extent, read_value
from .rule import CLAUSE, SENTENCE_END, worth_keeping

__all__ = ["MAX_CHARACTERS", "Relation", "contradict", "may_conflict", "relations_of", "same_value"]

MAX_CHARACTERS = 500
"""A longer text states no relation."""

_FENCE = "```"
_MARKS = str.maketrans({chr(code): " " for code in range(128) if not chr(code).isalnum()})
_MAX_LEADS = 4
_QUALIFIER_WORDS = 5
_QUESTION_WORDS = 3  # "Right?" doubts what was said
_SELF = "i"
# "Call me tomorrow" and "I'm 3 years into my degree" are not even doubtful.
_STRICT = ("form of address", "age")
_LEADS, _ADVERBS, _HEDGES = Phrases(tables.LEADS), Phrases(tables.ADVERBS), Phrases(tables.HEDGES)
_DOUBTS, _BUTS, _REMARKS = Phrases(tables.DOUBTS), Phrases(tables.BUTS), Phrases(tables.REMARKS)
_FRAMES, _ASKING, _JOKES = Phrases(tables.FRAMES), Phrases(tables.ASKING), tables.JOKES.split()
_TODAY = frozenset(tables.TODAY.split())
_NO, _BEHIND_NO = ("no", "não", "non"), ("i", "i'm", "i've", "my", "je", "j'habite", "j'ai")
# Who has no spouse any more may say "single", too, and who is separated is married: neither contradicts the other.
_IMPLIED = {"divorced": "single", "widowed": "single", "separated": "married"}
_MONTH = "|".join(sorted({fold(month) for month in tables.MONTHS.split()}))
# "(351) 912": brackets around digits, and the point of a German ordinal, end no clause.
_BRACKETS = re.compile(r"\((\+?\d{1,5})\)")
_ORDINAL = re.compile(rf"(\d{{1,2}})\.(?= (?:{_MONTH})\b)", re.IGNORECASE)
_COLON = re.compile(r":(?=\s|$)")
_QUOTES = re.compile(r"[\"“”«»„]|^\s{0,9}>")


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that a text states.

    Attributes:
        key: Whose, and which: ``i|home``, ``i|favourite player``.
        value: The words of the value, folded.
        is_single: Whether a person has one value of it at a time, and the text leaves no doubt about it.
        is_whole: Whether the text states nothing else.
        is_end: Whether the text says that the value is no longer true.
        details: The further parts of an address: "Ontario" of "London, Ontario".
    """

    key: str
    value: tuple[str, ...]
    is_single: bool = True
    is_whole: bool = True
    is_end: bool = False
    details: tuple[str, ...] = ()


class _Clause(NamedTuple):
    raw: list[str]
    words: list[Word]
    text: str


def relations_of(text: str, *, role: str | None = "user", name: str | None = None) -> tuple[Relation, ...]:
    """The relations that a text states, each once.

    Args:
        text: The text, in any language; English, German, Spanish, French, Portuguese, Italian and Dutch are known.
        role: The speaker: an assistant's words state none.
        name: The speaker's name, if the memory has several speakers; relations of one speaker are none of another's.
    """
    if role not in ("user", None) or len(text) > MAX_CHARACTERS or _FENCE in text:
        return ()
    folded = fold(text)
    tells = (
        not TELLING.isdisjoint(_plain_words(folded))
        or has_beginning(folded)
        or (not folded.isascii() and not TELLING.isdisjoint(form for word in words_of(folded) for form in word))
    )
    return _Text(text, name).relations() if tells else ()


def _plain_words(folded: str) -> Sequence[str]:
    """The words of a text, as `WORD` reads them; several times as fast where none has an apostrophe or hyphen."""
    if "'" in folded or "-" in folded or not folded.isascii():
        return WORD.findall(folded)
    return folded.translate(_MARKS).split()


class _Text:
    """A text that may state a relation."""

    def __init__(self, text: str, name: str | None) -> None:
        self._name = None if name is None else fold(name)
        self._names = Phrases("_".join(word[0] for word in words_of(self._name or "")))
        cased = unicodedata.normalize("NFKC", text).replace("’", "'").replace("‘", "'")
        self._text = _ORDINAL.sub(r"\1", _BRACKETS.sub(r" \1 ", cased))
        self._found: list[Relation] = []
        self._others: list[str] = []
        self._is_doubtful = any(mark in text for mark in _JOKES)

    def relations(self) -> tuple[Relation, ...]:
        """What it states."""
        parts = SENTENCE_END.split(self._text)
        opens, is_quoted = True, False
        for body, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
            is_quoted = is_quoted or _introduces(body)
            if is_quoted or _QUOTES.search(body):
                self._others.append(body)
                self._doubt()
            else:
                opens = self._read_sentence(body, end, opens=opens)
            # "Summarize this" stands above the words of another. A sentence that has ended does not.
            opens = opens or end not in ("\n", "")
        return tuple(self._judged())

    def _judged(self) -> Iterator[Relation]:
        keys = {each.key for each in self._found}
        is_whole = len(keys) == 1 and not (self._others and worth_keeping(" ".join(self._others)))
        for each in dict.fromkeys(self._found):
            rivals = [other for other in self._found if other.key == each.key]
            is_alone = all(same_value(each, other) == (each.is_end == other.is_end) for other in rivals)
            is_single = each.is_single and is_alone and not self._is_doubtful
            yield replace(each, is_whole=is_whole, is_single=is_single)

    def _read_sentence(self, body: str, end: str, *, opens: bool) -> bool:
        """Read a sentence, whose beginning may state something; whether the line below it may."""
        clauses = [clause for part in CLAUSE.split(body) if part and (clause := _clause(part)) is not None]
        is_question = end in ("?", "؟")
        clauses = [part for clause in clauses for part in _joined(clause, is_question=is_question)]
        is_doubtful = any(_HEDGES.find(clause.words) for clause in clauses)
        before: Relation | None = None
        for place, clause in enumerate(clauses):
            is_asked = is_question and place == len(clauses) - 1
            relation = self._relation(clause) if opens and not is_asked else None
            is_part = before is not None and not is_asked and _qualifies(clause)
            if relation is not None:
                self._found.append(replace(relation, is_single=relation.is_single and not is_doubtful))
            elif is_part and before is not None and before.key.endswith(("|home", "|birthday")):
                self._qualify(clause)
                if any(mark in body for mark in "([{"):
                    self._doubt()  # "(Minecraft)" is no part of an address
            else:
                self._is_doubtful = self._is_doubtful or _FRAMES.find(clause.words)
                if not is_part:
                    self._others.append(clause.text + (end if place == len(clauses) - 1 else ","))
                if not self._is_harmless(clause, is_asked=is_question and place == len(clauses) - 1):
                    self._doubt()
            opens = relation is not None or _opens(clause)
            before = relation or (before if _qualifies(clause) else None)
        return opens

    def _doubt(self) -> None:
        """Leave in doubt what the text stated so far: what follows may take it back."""
        self._found = [replace(each, is_single=False) for each in self._found]

    def _qualify(self, clause: _Clause) -> None:
        """Add a further part of an address: London, Ontario, may be another than London."""
        last = self._found[-1]
        if last.key.endswith("|home"):
            words = (word[-1] for word in clause.words if word[0] not in PARTICLES)
            self._found[-1] = replace(last, details=(*last.details, *words))

    def _is_harmless(self, clause: _Clause, *, is_asked: bool) -> bool:
        """Whether a clause leaves in force what stands before it: a question, thanks, a remark, more of the speaker."""
        words = clause.words
        asking = _ASKING.match(words) if is_asked else 0
        if _DOUBTS.find(words, asking) or _HEDGES.find(words) or (not asking and _BUTS.match(words)):
            return False
        place = _without_leads(clause)
        is_own = SUBJECTS.match(words, place) or USERS.match(words, place)
        if is_asked:
            return asking > 0 or len(words) >= _QUESTION_WORDS
        return bool(is_own) or all(_REMARKS.match(words, each) for each in range(place, len(words)))

    def _relation(self, clause: _Clause) -> Relation | None:
        for _ in range(_MAX_LEADS):
            found = self._read(clause)
            lead = _LEADS.match(clause.words)
            if found is not None or not lead or _is_negated(clause.words):
                return found
            clause = _cut(clause, lead)
        return None

    def _read(self, clause: _Clause) -> Relation | None:
        is_today = any(not _TODAY.isdisjoint(word) for word in clause.words)
        clause, subject = self._with_user(_without_adverbs(clause))
        raw, words, text = clause
        if (match := find_form(words)) is not None:
            form = match.form
            key = f"{subject}|{form.relation}"
            if form.status is not None:
                implied = _IMPLIED.get(form.status)
                value = (form.status,) if implied is None else (implied, form.status)
                return Relation(key, value) if match.start == len(words) else None
            span = slice(match.start, match.end)
            rest = Rest(
                form.relation, raw[span], words[span], _text_behind(text, raw, match.start), form.kind == "event"
            )
            value = read_value(rest)
            if value is None:
                return None
            is_clear = value.is_clear and form.is_clear and match.is_whole and not text.isupper()
            is_clear = is_clear and not (is_today and form.relation == "employer")
            if form.relation in _STRICT and not is_clear:
                return None
            return Relation(key, value.words, is_single=is_clear, is_end=form.kind == "end")
        return _read_attribute(clause, subject)

    def _with_user(self, clause: _Clause) -> tuple[_Clause, str]:
        """The clause with ``@`` in the place of the user's name, and ``@'s`` of its genitive; and its subject."""
        raw, words, text = clause
        bare = [tuple(form.removesuffix("'s") for form in word) for word in words]
        subject = self._name or _SELF
        length = self._names.match(bare)
        if not length and (length := USERS.match(bare)):
            subject = _SELF
        if not length:
            own = with_genitive(words)
            return (clause, subject) if own is None else (_Clause(raw[-len(own) :], own, text), _SELF)
        mark = "@" if bare[length - 1] == words[length - 1] else "@'s"
        return _Clause([mark, *raw[length:]], [(mark,), *words[length:]], text), subject


def _is_negated(words: Sequence[Word]) -> bool:
    """Whether *no* stands before a verb, as in Spanish, Portuguese and Italian: "No me mudé a Sevilla"."""
    return words[0][0] in _NO and len(words) > 1 and words[1][0] not in _BEHIND_NO


def _read_attribute(clause: _Clause, subject: str) -> Relation | None:
    found = find_attribute(clause.words)
    if found is None:
        return None
    name, start, end = found
    value = tuple(SPELLINGS.get(word[-1], word[-1]) for word in clause.words[start:end] if word[0] not in PARTICLES)
    return Relation(f"{subject}|my {name}", value, is_single=False) if value else None


def _introduces(body: str) -> bool:
    """Whether what follows may be another's words: "He wrote: …"."""
    found = _COLON.search(body)
    head = None if found is None else _clause(body[: found.start()])
    return head is not None and _without_leads(head) < len(head.words)


def _clause(text: str) -> _Clause | None:
    raw = WORD.findall(text)
    # "I'd" is not "I": the whole word alone counts.
    words = [word[:1] if word[0].isascii() else word[:2] for word in words_of(fold(text))]
    # Where folding joins or parts words, nothing can be said about capitals.
    return _Clause(raw, words, text) if raw and len(raw) == len(words) else None


def _cut(clause: _Clause, count: int) -> _Clause:
    return _Clause(clause.raw[count:], clause.words[count:], clause.text)


def _text_behind(text: str, raw: Sequence[str], count: int) -> str:
    """The clause behind so many of its words, as written."""
    if count >= len(raw):
        return ""
    words = list(WORD.finditer(text))
    left = len(raw) - count
    start = words[-left].start()
    return text[start - 1 if start and text[start - 1] == "+" else start :]


def _joined(clause: _Clause, *, is_question: bool) -> Iterator[_Clause]:
    """The clauses that *and* or *but* joins, if a word about the speaker follows, or a form that lacks its subject."""
    raw, words, text = clause
    start, subject = 0, 0
    passed = set[int]()
    spans = [match.span() for match in WORD.finditer(text)]

    def part(end: int) -> _Clause:
        first, last = spans[start][0] if start else 0, len(text) if end == len(spans) else spans[end][0]
        return _Clause([*raw[:subject], *raw[start:end]], [*words[:subject], *words[start:end]], text[first:last])

    for place in range(1, len(words) - 1):
        joined = {language for language, joining in enumerate(JOINING) if joining.match([words[place][:1]])}
        is_but = _BUTS.match(words[place : place + 1]) > 0
        is_own = any(SELVES[language].match(words, place + 1) for language in joined)
        may_lack = bool(joined - passed) and not (is_but or is_own or is_question or _DOUBTS.find(words[:place]))
        lacking = left_out_subject(words, place + 1) if may_lack else 0
        if is_own or lacking:
            yield part(place)
            start, subject = place if is_but else place + 1, lacking
        passed |= joined  # "… and want to leave and work at …"
    yield part(len(words))


def _without_adverbs(clause: _Clause) -> _Clause:
    raw, words = list[str](), list[Word]()
    place = 0
    while place < len(clause.words):
        if length := _ADVERBS.match(clause.words, place):
            place += length
            continue
        raw.append(clause.raw[place])
        words.append(clause.words[place])
        place += 1
    return _Clause(raw, words, clause.text)


def _without_leads(clause: _Clause) -> int:
    """The place behind the words that change nothing about what follows."""
    place = 0
    while length := _LEADS.match(clause.words, place) or _ADVERBS.match(clause.words, place):
        place += length
    return place


def _opens(clause: _Clause) -> bool:
    """Whether a statement of the speaker's may follow behind a comma: "Yes, I live in Porto", "I'm Ana, I live …"."""
    place = _without_leads(clause)
    return place >= len(clause.words) or SUBJECTS.match(clause.words, place) > 0


def _qualifies(clause: _Clause) -> bool:
    """Whether a clause is a part of the address before it: "…, 1100 Lisbon", "…, Portugal"."""
    return (
        len(clause.raw) <= _QUALIFIER_WORDS
        and all(word[0].isupper() or word[0].isdigit() for word in clause.raw)
        and not any(table.find(clause.words) for table in (_DOUBTS, _HEDGES, _LEADS, *SELVES))
    )


def same_value(one: Relation, other: Relation) -> bool:
    """Whether two values have the same words."""
    return _words(one) == _words(other)


def _words(relation: Relation) -> frozenset[str]:
    return frozenset(relation.value + relation.details)


def _is_within(one: Relation, other: Relation) -> bool:
    """Whether one of two values has all words of the other, but for the further parts of an address."""
    if one.key.endswith("phone"):
        short, long = sorted((one.value[0], other.value[0]), key=len)
        return long.endswith(short.lstrip("0"))  # the code of the country is left out
    return _words(one).issuperset(other.value) or _words(other).issuperset(one.value)


def contradict(old: Relation, new: Relation) -> bool:
    """Whether a new statement takes the place of an old one.

    Both are clear, and neither value has all words of the other: "New York" says no less than "York". Portugal and a
    street in Porto are no other home than Porto. The end of a relation takes the place of its value, and the other way
    round.
    """
    if old.key != new.key or not old.is_whole or (old.is_end and new.is_end):
        return False
    if old.is_end or new.is_end:
        return new.is_single and same_value(old, new)
    if old.key.endswith("|home") and extent(old.value) != extent(new.value):
        return False
    return old.is_single and new.is_single and not _is_within(old, new)


def may_conflict(one: Relation, other: Relation) -> bool:
    """Whether perhaps one of two statements is no longer true.

    They give one relation different values; or one of them ends it, and a value has all words of the other.
    """
    if one.key != other.key or (one.is_end and other.is_end):
        return False
    return _is_within(one, other) if one.is_end or other.is_end else not same_value(one, other)

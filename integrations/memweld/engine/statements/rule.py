"""The rule by which captures choose statements: what of a user's words is kept as a memory without an LLM.

A text is kept if one of its sentences states something. Questions, requests, greetings, thanks and assent are no
statements. Requests for the future are: "Remember …", "Call me Ana", "Always answer in French". In a question the
clauses around it may state something: "I'm vegetarian - what should I eat?". All of it takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .phrases import Language, Phrases, Word, fold, words_of
from .scripts import SCRIPTS, script_of
from .tables import ARABIC, GREEK, LATIN, RUSSIAN

__all__ = ["worth_keeping"]

_MAX_CHARACTERS = 4_000
"""A longer text states something."""

_MIN_WORDS = 2
_SPEAKER_WORDS = 4  # the first words of a clause, among which its subject stands
_NAME_WORDS = 2  # behind a greeting
_MAX_COMMAND = 80

# Each is one class of characters, or disjoint from what follows it: none can backtrack.
SENTENCE_END = re.compile(r"([!?\n。؟।]|[.](?=\s|$))")
CLAUSE = re.compile(r"[,;:()\[\]{}¿¡،、—–\"“”«»„|]|\s-{1,99}\s|[.]{2,}")
_QUOTED = re.compile(r"(?<![^\s(])\"[^\"\n]{0,500}\"(?!\w)|“[^“”\n]{0,500}”|«[^«»\n]{0,500}»|„[^„“\n]{0,500}“")
_PROFILE = re.compile(
    r"\b(?:(?:my|your) (?:profile|notes?|memory)|(?:mein|dein)(?:em?|en?)? (?:profil|notizen|gedächtnis)"
    r"|(?:mi|tu) (?:perfil|memoria)|mis notas|(?:mon|ton) profil|mes notes|(?:ma|ta) mémoire"
    r"|meu perfil|minhas notas|(?:mio|tuo) profilo)\b"
)
_ADDRESS = re.compile(r"https?://\S+")
_FENCE = "```"
_QUESTION_MARKS = "?؟"

_TABLES = {"arabic": ARABIC, "russian": RUSSIAN, "greek": GREEK}


def worth_keeping(text: str, *, role: str | None = "user") -> bool:
    """Whether a message is kept as a memory where no LLM extracts its facts.

    Args:
        text: What was said, in any language. English, German, Spanish, French, Portuguese, Italian, Chinese and
            Japanese have full rules; Arabic, Greek, Hindi, Korean and Russian have question words and small talk.
        role: The speaker; only the user's words are kept. None counts as the user.
    """
    if role not in ("user", None):
        return False
    if len(text) > _MAX_CHARACTERS:
        return True
    parts = text.split(_FENCE)
    folded = fold(_ADDRESS.sub(" ", " ".join(parts[::2] if len(parts) % 2 else parts)))
    script = script_of(folded)
    if script == "greek":
        folded = folded.replace(";", "?")
    if states := SCRIPTS.get(script):
        return any(states(clauses, is_question) for clauses, is_question in _sentences(folded))
    language = _TABLES.get(script) or _language_of(words_of(folded))
    sentences = _sentences(folded, language.commands)
    return any(_Sentence(clauses, language).states(is_question=is_question) for clauses, is_question in sentences)


def _sentences(text: str, commands: Phrases | None = None) -> Iterator[tuple[list[str], bool]]:
    """The sentences of a folded text, each as its clauses, and whether a question mark ends it.

    A request quotes others' words: "Translate 'I am hungry' into French". It does not if the quote goes into a profile.
    """
    parts = SENTENCE_END.split(text)
    for body, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if commands is not None and commands.match(words_of(body[:_MAX_COMMAND])) and not _PROFILE.search(body):
            body = _QUOTED.sub(" ", body)  # noqa: PLW2901
        clauses = [clause for clause in CLAUSE.split(body) if clause and not clause.isspace()]
        if clauses:
            yield clauses, end in _QUESTION_MARKS and end != ""


def _language_of(words: Sequence[Word]) -> Language:
    """The language of most words; English where no word tells."""
    counts = [sum(language.vocabulary.match(words, place) for place in range(len(words))) for language in LATIN]
    return LATIN[counts.index(max(counts))]


class _Sentence:
    """One sentence: its clauses as words, in a language."""

    def __init__(self, clauses: Sequence[str], language: Language) -> None:
        self._language = language
        self._clauses = [words for clause in clauses if (words := words_of(clause))]

    def states(self, *, is_question: bool) -> bool:
        """Whether one of its clauses states something."""
        language, clauses = self._language, self._clauses
        if is_question and len(clauses) > 1 and language.tags.match(clauses[-1]) == len(clauses[-1]):
            clauses, is_question = clauses[:-1], False
        clauses = [rest for words in clauses if (rest := self._without_small_talk(words))]
        asked = is_rule = False
        for place, words in enumerate(clauses):
            is_last = place == len(clauses) - 1
            is_rule = is_rule or language.always.match(words) == len(words)
            if self._is_rule(words) or (is_rule and language.commands.match(words)):
                if not is_question or not is_last or language.polite.match(words):
                    return True
            elif (
                self._asks(words)
                or (asked and language.asking.match(words))
                or language.wishes.match(words)
                or language.commands.match(words)
            ):
                asked = True
            elif len(words) >= _MIN_WORDS and not language.conditions.match(words):
                speaks = self._speaks(words)
                if not is_question and (not asked or speaks):
                    return True
                if speaks and (not is_last or asked or self._asks_later(words)):
                    return True
        return False

    def _without_small_talk(self, words: Sequence[Word]) -> Sequence[Word]:
        language = self._language
        place, is_greeting = 0, False
        while place < len(words):
            greeting, talk = language.greetings.match(words, place), language.small_talk.match(words, place)
            if not greeting and not talk:
                break
            is_greeting = greeting >= talk
            place += max(greeting, talk)
        rest = words[place:]
        # Behind a greeting a name may stand.
        if is_greeting and len(rest) <= _NAME_WORDS and not self._speaks(rest):
            return ()
        return rest

    def _is_rule(self, words: Sequence[Word]) -> bool:
        language = self._language
        start = language.polite.match(words)
        length = language.rules.match(words, start)
        if length:
            rest = words[start + length :]
            return bool(rest or length >= _MIN_WORDS or "-" in words[start][0]) and not self._asks(rest)
        return bool((start or language.commands.match(words)) and language.always.find(words, start))

    def _asks(self, words: Sequence[Word], place: int = 0) -> bool:
        language = self._language
        if language.questions.match(words, place):
            return True
        if length := language.asking.match(words, place):
            return not language.subjects.match(words, place + length) or place + length >= len(words)
        if language.inverted is None:
            # German: a subject behind the first word makes a question, unless that word is a conjunction or subject.
            is_verb = not language.conjunctions.match(words, place) and not language.subjects.match(words, place)
            return is_verb and language.subjects.match(words, place + 1) > 0
        length = language.inverted.match(words, place)
        return length > 0 and language.subjects.match(words, place + length) > 0

    def _asks_later(self, words: Sequence[Word]) -> bool:
        """Whether a question follows in the same breath: "I live in Porto can you recommend a restaurant"."""
        return any(self._asks(words, place) for place in range(3, len(words) - 1))

    def _speaks(self, words: Sequence[Word]) -> bool:
        """Whether the user speaks of themselves, or of people around them."""
        language = self._language
        if any(language.own.match(words, place) for place in range(min(_SPEAKER_WORDS, len(words)))):
            return True
        first = language.conjunctions.match(words)
        return bool(language.own_endings) and len(words) > first and words[first][0].endswith(language.own_endings)

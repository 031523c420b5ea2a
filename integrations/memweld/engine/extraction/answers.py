"""Answers of LLMs, read tolerantly: JSON in prose, in fences and behind thoughts, facts as texts or as objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from ...errors import InvalidInputError
from ...models import JSON
from ...validation import fold_text, validate_text
from .failures import ExtractionFailedError

__all__ = ["Fact", "answer_text", "parse_json", "read_facts"]

_LISTS = ("facts", "memory", "memories")
_TEXTS = ("text", "fact", "memory", "content")
_decoder = json.JSONDecoder(strict=False)
# A model that never ends its answer repeats itself: what it says later is not read.
_MOST_CHARACTERS = 400_000
_MOST_ATTEMPTS = 200
_MOST_REPLACED = 3


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that an LLM extracted.

    Attributes:
        text: The fact.
        category: Its category, if the LLM was asked for one.
        replaces: The numbers of known facts that it makes untrue, as the LLM says.
    """

    text: str
    category: str | None = None
    replaces: tuple[int, ...] = ()

    def metadata(self, given: Mapping[str, JSON]) -> dict[str, JSON]:
        """The caller's metadata, with the category unless the caller has one."""
        return {**given} if self.category is None else {"category": self.category, **given}


def answer_text(answer: object) -> str:
    """The text of a model's answer: a string, a message, or content blocks.

    Raises:
        ExtractionFailedError: It has none.
    """
    content = getattr(answer, "content", answer)
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [_block_text(block) for block in cast("list[object]", content)]
        return "".join(text for text in texts if isinstance(text, str))
    raise ExtractionFailedError(f"the LLM answered a {type(answer).__name__} instead of text")


def _block_text(block: object) -> object:
    if isinstance(block, Mapping):
        return cast("Mapping[str, object]", block).get("text")
    return block if isinstance(block, str) else getattr(block, "text", None)


def read_facts(answer: str) -> list[Fact]:
    """The facts of an answer; an empty list is a good answer.

    Of several lists of facts the last one counts, because models think before they answer. An answer that breaks off
    gives its whole facts. An entry without a text is left out.

    Raises:
        ExtractionFailedError: There is no list of facts.
    """
    lists: list[list[object]] = []
    single: list[object] = []
    values = list(_values(answer))
    for value in values:
        entries = _entries(value)
        if entries is not None:
            lists.append(entries)
        elif _entry_text(value) is not None and set(cast("Mapping[str, object]", value)).isdisjoint(_LISTS):
            single.append(value)
    if not lists and not single:
        raise ExtractionFailedError('the LLM\'s answer has no list under "facts"' if values else _no_json(answer))
    entries = lists[-1] if lists else single
    facts = [fact for fact in map(_fact, entries) if fact is not None]
    if entries and not facts:
        raise ExtractionFailedError("the LLM listed a fact without a usable text")
    return list({fact.text: fact for fact in facts}.values())


def parse_json(answer: str) -> object:
    """The last JSON object or list in an answer.

    Raises:
        ExtractionFailedError: There is none.
    """
    values = list(_values(answer))
    if not values:
        raise ExtractionFailedError(_no_json(answer))
    return values[-1]


def _no_json(answer: str) -> str:
    return "the LLM's answer is not JSON" if answer.strip() else "the LLM answered nothing"


def _values(answer: str) -> Iterator[object]:
    """The JSON objects and lists in a text, not those inside others. Trailing commas are forgiven."""
    text = answer[:_MOST_CHARACTERS]
    found = False
    for value in _decoded(text):
        found = True
        yield value
    if not found:
        yield from _decoded(_without_trailing_commas(text))


def _decoded(text: str) -> Iterator[object]:
    place = attempts = 0
    while attempts < _MOST_ATTEMPTS:
        starts = [start for start in (text.find("{", place), text.find("[", place)) if start >= 0]
        if not starts:
            return
        attempts += 1
        try:
            value, place = _decoder.raw_decode(text, min(starts))
        except (ValueError, RecursionError):
            place = min(starts) + 1
        else:
            yield value


def _without_trailing_commas(text: str) -> str:
    """The text without commas that stand before a closing bracket, outside of strings."""
    kept: list[str] = []
    comma: int | None = None
    in_string = is_escaped = False
    for character in text:
        if in_string:
            in_string = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character in "]}" and comma is not None:
            del kept[comma]
            comma = None
        elif character == ",":
            comma = len(kept)
        elif not character.isspace():
            comma = None
            in_string = character == '"'
        kept.append(character)
    return "".join(kept)


def _entries(value: object) -> list[object] | None:
    """The entries of a list of facts; None if the value is none."""
    if isinstance(value, list):
        # A bare empty list may be anything.
        entries = cast("list[object]", value)
        return entries if entries and all(_entry_text(each) is not None for each in entries) else None
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        for name in _LISTS:
            listed = fields.get(name)
            if isinstance(listed, list):
                return cast("list[object]", listed)
            if isinstance(listed, Mapping):
                return [cast("object", listed)]
    return None


def _entry_text(entry: object) -> str | None:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, Mapping):
        fields = cast("Mapping[str, object]", entry)
        return next((text for name in _TEXTS if isinstance(text := fields.get(name), str)), None)
    return None


def _fact(entry: object) -> Fact | None:
    try:
        text = fold_text(validate_text("fact", _entry_text(entry)))
    except InvalidInputError:
        return None
    fields = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else dict[str, object]()
    category = fields.get("category")
    return Fact(text, category if isinstance(category, str) else None, _numbers(fields.get("replaces")))


def _numbers(value: object) -> tuple[int, ...]:
    """The numbers of a list, or a number alone. A list of many is no answer but an echo, and says nothing."""
    listed = cast("list[object]", value) if isinstance(value, list) else [value]
    numbers = [each for each in listed if isinstance(each, int) and not isinstance(each, bool) and each > 0]
    return tuple(dict.fromkeys(numbers)) if len(listed) <= _MOST_REPLACED else ()

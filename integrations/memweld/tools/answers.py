"""How answers are written: times, items and values as text for a model and as data, within a budget."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from ..errors import InvalidInputError, MemoryNotFoundError, invalid
from ..memory.memory import Memory
from ..memory.passages import LOOKED_AT, fair_share, passage, query_pattern
from ..models import JSON, Hit, MemoryItem
from ..safe_text import safe_for_model
from ..validation import dump_json

__all__ = [
    "ANSWER_CHARACTERS",
    "INDENTED",
    "LEAST",
    "PAGED_CHARACTERS",
    "Excerpt",
    "as_utc",
    "bad_cursor",
    "conflicts_of",
    "continuing",
    "cursor_key",
    "entry_page",
    "excerpts",
    "in_pages",
    "item_data",
    "key_cursor",
    "listed_item",
    "named",
    "next_page",
    "numbered",
    "replaced_by",
    "shown",
    "small",
    "text_cursor",
    "text_page",
    "text_place",
    "to_continue",
]

ANSWER_CHARACTERS = 16_000
"""Characters of stored text in one answer: about 4,000 tokens of English. Clients cut or refuse much longer ones."""

PAGED_CHARACTERS = 2_000
"""An entry of a list with pages has at least so many characters, or the next page begins with it."""

INDENTED = "\n  "
"""The line break in a text of several lines, so that none looks like a line of the answer."""

LEAST = 200
"""The same for an answer without pages."""

# The rest of an entry: number, id, score, date.
_AROUND = 80
_SMALL_CHARACTERS = 1_000
_REPLACED = frozenset({"supersedes", "rule", "llm"})
_UNSHOWN = ("message_id", "occurrences", "links")


def as_utc(moment: datetime) -> str:
    """A time as the answers write it: ``2025-10-15T10:30:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text, or the part of it that an answer has room for.

    Attributes:
        text: The text or the part.
        more: How many characters are left out.
    """

    text: str
    more: int = 0

    def line(self, remedy: str = "") -> str:
        """The text for a model, which says what is left out, and how to read it."""
        if not self.more:
            return self.text
        return f"{self.text.rstrip('…')}… ({self.more:,} more characters{remedy and f'; {remedy}'})"


def excerpts(texts: Iterable[str], *, query: str = "", least: int = LEAST) -> list[Excerpt]:
    """As many texts as an answer has room for: short ones whole, long ones cut to equal shares.

    Args:
        texts: The texts, the most important first.
        query: The words that were searched for: of a long text the passage with most of them is shown.
        least: The shortest share of a text that is cut. Texts that would get less are left out.
    """
    chosen, room = list[str](), ANSWER_CHARACTERS
    for text in texts:
        room -= min(len(text), least) + _AROUND
        if room < 0 and chosen:
            break
        chosen.append(text)
    share = fair_share([len(text) + _AROUND for text in chosen], ANSWER_CHARACTERS) - _AROUND
    words = query_pattern(query) if any(len(text) > share for text in chosen) else None
    return [_excerpt(text, share, words, LOOKED_AT // max(len(chosen), 2)) for text in chosen]


def _excerpt(text: str, characters: int, words: re.Pattern[str] | None, looked_at: int = LOOKED_AT) -> Excerpt:
    if len(text) <= characters:
        return Excerpt(text)
    cut = passage(text[: max(looked_at, characters)], characters, words)
    return Excerpt(cut, len(text) - len(cut.strip("…")))


def named(text: str) -> str:
    """A key, id or text that an answer repeats, in one line, cut if it is long."""
    return safe_for_model(_excerpt(text, _SMALL_CHARACTERS, None).line())


def text_page(text: str, cursor: str | None) -> tuple[str, str | None]:
    """The part of a long text behind a cursor, and the cursor of the next part; None behind the last.

    Raises:
        InvalidInputError: The cursor is none of this text.
    """
    start = 0
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdecimal() and 0 < int(cursor[:9]) < len(text)):
            raise bad_cursor(cursor)
        start = int(cursor)
    end = start + ANSWER_CHARACTERS
    return text[start:end], None if end >= len(text) else str(end)


def text_cursor(name: str, offset: str | None = None) -> str:
    """A cursor for the text of an entry of a list, by the entry's key or id: its beginning, or where it goes on."""
    return key_cursor(f"{name}\0{offset or ''}")


def entry_page(tool: str, cursor: str, text: str, offset: str | None) -> tuple[str, str, str | None]:
    """A page of an entry's text.

    Args:
        tool: The tool that answers.
        cursor: The cursor of the call, made by `text_cursor`.
        text: The whole text.
        offset: Where it goes on.

    Returns:
        The page for a model, as stored, and the cursor of the next page; None behind the last.
    """
    part, after = text_page(text, offset)
    name, _, _ = (cursor_key(cursor) or "").partition("\0")
    following = None if after is None else text_cursor(name, after)
    return safe_for_model(part, line_break=INDENTED) + to_continue(tool, following), part, following


def text_place(cursor: str | None) -> tuple[str, str | None] | None:
    """The entry whose text a cursor continues, and where; None for a cursor of a list."""
    name, mark, offset = (cursor_key(cursor) or "").partition("\0")
    return (name, offset or None) if mark else None


def in_pages(tool: str, cursor: str) -> str:
    """How a model reads a text that a list shows a part of."""
    return f'{tool} with cursor "{cursor}" shows all, in pages'


def to_continue(tool: str, cursor: str | None) -> str:
    """The last line of an answer that has another page; an empty text where it has none."""
    return "" if cursor is None else f'\nThis is not all: call {tool} again with cursor "{cursor}".'


def next_page(cursor: str | None) -> dict[str, JSON]:
    """The same as data."""
    return {} if cursor is None else {"next_cursor": cursor}


@contextlib.contextmanager
def continuing(cursor: str | None) -> Generator[None]:
    """Explain a cursor that continues nothing."""
    try:
        yield
    except MemoryNotFoundError as error:
        if cursor is None:
            raise
        raise bad_cursor(cursor) from error


def key_cursor(key: str) -> str:
    """A cursor that names a key or an id, which may hold any text, in plain letters."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def cursor_key(cursor: str | None) -> str | None:
    """The key that a cursor names.

    Raises:
        InvalidInputError: It names none.
    """
    if cursor is None:
        return None
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise bad_cursor(cursor) from error


def bad_cursor(cursor: str) -> InvalidInputError:
    """The error for a cursor that continues nothing."""
    return invalid("cursor", cursor, "it continues no answer", "Pass that of the answer before, or leave it out.")


def replaced_by(memory: Memory, items: Iterable[MemoryItem]) -> list[MemoryItem]:
    """The memories in whose place the items stand; earlier texts of the items themselves are none.

    What was added stays added: of an item that is gone meanwhile, there are none.
    """
    found: list[MemoryItem] = []
    for item in items:
        with contextlib.suppress(MemoryNotFoundError):
            versions = memory.versions(item.id)
            found += [each for each in versions if each.superseded_by == item.id and each.changed_by in _REPLACED]
    return found


def conflicts_of(memory: Memory, items: Iterable[MemoryItem], *, limit: int | None = None) -> list[MemoryItem]:
    """The memories of which added items say something else, without those that are gone meanwhile."""
    found: list[MemoryItem] = []
    for memory_id in list(dict.fromkeys(each for item in items for each in item.conflicts))[:limit]:
        with contextlib.suppress(MemoryNotFoundError):
            found.append(memory.get(memory_id))
    return found


def item_data(item: MemoryItem) -> dict[str, JSON]:
    """A memory item (or hit) as JSON, fields that say nothing left out.

    The reason of a failed extraction is left out as well: it may quote a foreign exception, and clients show data to
    models.
    """
    names = (field.name for field in dataclasses.fields(item) if field.name not in _UNSHOWN)
    data = {name: getattr(item, name) for name in names}
    data["created_at"], data["updated_at"] = as_utc(item.created_at), as_utc(item.updated_at)
    for name in ("valid_from", "valid_until", "expires_at", "pinned_at"):
        data[name] = None if data[name] is None else as_utc(data[name])
    data["conflicts"] = list(item.conflicts) or None
    data["metadata"], data["extraction_error"] = dict(item.metadata), None
    if isinstance(item, Hit):
        data["score"] = round(item.score, 4)
        data["explanation"] = item.explanation and item.explanation.as_json()
    if item.source == "user":
        del data["source"]
    return {key: value for key, value in data.items() if value is not None and value != {}}


def listed_item(item: MemoryItem, excerpt: Excerpt) -> dict[str, JSON]:
    """A memory item as JSON in a list: with a part of a long text, and without large metadata."""
    data = item_data(item) | {"text": excerpt.text}
    if excerpt.more:
        data["more_characters"] = excerpt.more
    if not small(item.metadata):
        del data["metadata"]
        data["metadata_left_out"] = True
    return data


def small(value: JSON) -> bool:
    """Whether a value beside the text has room in a list."""
    return len(dump_json(value)) <= _SMALL_CHARACTERS


def numbered(lines: Iterable[str]) -> str:
    """The lines of a list, each behind its number; an empty text for none. No line can forge another."""
    return "".join(f"\n{number}. {safe_for_model(line)}" for number, line in enumerate(lines, 1))


def shown(value: JSON) -> str:
    """A value as a model reads it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else dump_json(value)

"""The profile of a user: a block that is ready without a search, in sections whose lines have ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from typing_extensions import Self

from ..display import Readable
from ..engine.operations import ProfileItems, ReadProfile
from ..models import MemoryItem
from ..safe_text import safe_for_model
from ..validation import fold_text, local_time, utc_now
from .passages import fair_share, passage
from .recall import speaker_note, write_block

__all__ = [
    "DEFAULT_PROFILE_BUDGET",
    "NO_PROFILE",
    "Profile",
    "ProfileLine",
    "ProfileSection",
    "profile_request",
    "write_profile",
]

DEFAULT_PROFILE_BUDGET = 2_000
"""Characters that a profile may put before a model; about five hundred tokens of English."""

_LATELY = timedelta(days=30)
# A text that must be cut gets at least so many characters, or its line is left out.
_LEAST = 60
_MOST_BEFORE = 200
_TITLES = {
    "pinned": "Pinned",
    "preferences": "Preferences",
    "changed": "Changed lately",
    "recalled": "Recalled most",
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProfileLine(Readable):
    """One memory of a profile.

    Attributes:
        item: The memory.
        text: The line that a model reads, with id and date.
        before: The text in whose place the memory stands since some days; None where there is none.
        is_whole: Whether the line has all of the memory's text.
    """

    item: MemoryItem
    text: str
    before: str | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProfileSection(Readable):
    """A part of a profile.

    Attributes:
        name: ``pinned``, ``preferences``, ``changed`` or ``recalled``.
        title: Its heading.
        lines: Its memories; no other section has them.
    """

    name: str
    title: str
    lines: tuple[ProfileLine, ...]


class Profile(str):
    """A profile as the text that goes before a model, marked as data; empty where nothing is remembered.

    Attributes:
        sections: What it consists of; a section without lines is left out.
        pinned_ids: The ids of all pinned memories, also of those that had no room.
    """

    sections: tuple[ProfileSection, ...]
    pinned_ids: frozenset[str]

    def __new__(
        cls, text: str = "", sections: Iterable[ProfileSection] = (), pinned_ids: frozenset[str] = frozenset()
    ) -> Self:
        """Make the text with its sections."""
        made = super().__new__(cls, text)
        made.sections, made.pinned_ids = tuple(sections), pinned_ids
        return made

    @classmethod
    def of(cls, sections: Sequence[ProfileSection], pinned_ids: frozenset[str]) -> Self:
        """The block of some sections."""
        rows = [row for each in sections for row in (f"{each.title}:", *(line.text for line in each.lines))]
        return cls(write_block(rows), sections, pinned_ids)

    def without(self, is_hidden: Callable[[MemoryItem], bool]) -> Self:
        """The profile without the memories for which ``is_hidden`` is true."""
        kept = [
            (section, tuple(line for line in section.lines if not is_hidden(line.item))) for section in self.sections
        ]
        return self.of([replace(section, lines=lines) for section, lines in kept if lines], self.pinned_ids)

    def holds(self, found: ProfileItems) -> bool:
        """Whether all that it shows is still said, and nothing else is pinned."""
        texts = {item.id: item.text for name in _TITLES for item in _items_of(found, name)}
        lines = (line for section in self.sections for line in section.lines)
        is_said = all(texts.get(line.item.id) == line.item.text for line in lines)
        return is_said and _ids(found.pinned) <= self.pinned_ids

    @property
    def whole_ids(self) -> frozenset[str]:
        """The ids of the memories whose whole text it has."""
        return frozenset(line.item.id for section in self.sections for line in section.lines if line.is_whole)


NO_PROFILE = Profile()


def profile_request() -> ReadProfile:
    """The operation that reads what a profile consists of now."""
    return ReadProfile(changed_since=utc_now() - _LATELY)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A memory that a profile may show."""

    section: str
    item: MemoryItem
    head: str
    body: str
    before: str | None

    @property
    def least(self) -> int:
        """How many characters it needs with its line break."""
        return len(self.head) + min(len(self.body), _LEAST) + 1


def write_profile(
    found: ProfileItems, *, budget: int, timezone: str | None = None, shown: Iterable[str] = ()
) -> Profile:
    """Write a profile: each memory once, in the first section whose turn it is.

    Pinned memories may take half of the budget. The sections take turns with the rest. Then short texts stay whole, and
    long ones are cut to equal shares. No text can end the block or imitate another line (see `safe_for_model`).

    Args:
        found: The memories.
        budget: How many characters the lines may take with headings and line breaks.
        timezone: The zone of the dates; that in which each memory was said, if None.
        shown: Texts that the model is shown anyway.
    """
    entries = _entries(found, budget, timezone)
    chosen: dict[str, list[_Entry]] = {name: [] for name in entries}
    seen = {f"text {fold_text(text)}" for text in shown}
    room = budget - _choose(chosen, seen, entries["pinned"], budget // 2)
    _choose(chosen, seen, _in_turns(list(entries.values())), room)
    bodies = [entry.body for section in chosen.values() for entry in section]
    heads = sum(len(entry.head) + 1 for section in chosen.values() for entry in section)
    titles = sum(len(_TITLES[name]) + 2 for name, section in chosen.items() if section)
    share = fair_share([len(body) for body in bodies], budget - heads - titles)
    sections = [
        ProfileSection(name=name, title=_TITLES[name], lines=tuple(_line(entry, share) for entry in section))
        for name, section in chosen.items()
        if section
    ]
    return Profile.of(sections, _ids(found.pinned))


def _line(entry: _Entry, share: int) -> ProfileLine:
    return ProfileLine(
        item=entry.item,
        text=entry.head + passage(entry.body, share, None),
        before=entry.before,
        is_whole=len(entry.body) <= share,
    )


def _entries(found: ProfileItems, budget: int, timezone: str | None) -> dict[str, list[_Entry]]:
    return {
        name: [_entry(name, item, found.before, budget, timezone) for item in _items_of(found, name)]
        for name in _TITLES
    }


def _items_of(found: ProfileItems, section: str) -> Sequence[MemoryItem]:
    return getattr(found, section)


def _ids(items: Iterable[MemoryItem]) -> frozenset[str]:
    return frozenset(item.id for item in items)


def _entry(name: str, item: MemoryItem, replaced: Mapping[str, str], budget: int, timezone: str | None) -> _Entry:
    day = local_time(item.updated_at, timezone).date().isoformat()
    before = replaced.get(item.id)
    if before is not None and fold_text(before) == fold_text(item.text):
        before = None
    # What is beyond the budget is never shown.
    body = safe_for_model(item.text[: budget + 1])
    if before is not None:
        body += f" (before: {passage(safe_for_model(before[: 4 * _MOST_BEFORE]), _MOST_BEFORE, None)})"
    return _Entry(name, item, f"- [id: {safe_for_model(item.id)}] [{day}] {speaker_note(item)}", body, before)


def _in_turns(sections: Sequence[Sequence[_Entry]]) -> Iterator[_Entry]:
    """The first of each section, then the second of each, and so on."""
    for place in range(max(map(len, sections))):
        yield from (section[place] for section in sections if place < len(section))


def _choose(chosen: Mapping[str, list[_Entry]], seen: set[str], candidates: Iterable[_Entry], room: int) -> int:
    """Put in ``chosen`` what fits, in this order; the characters that it needs.

    No memory is chosen twice, neither by its id nor by its text and the one before: ``seen`` has these.
    """
    used = 0
    for entry in candidates:
        mark, *told = (
            f"id {entry.item.id}",
            *(f"text {fold_text(each)}" for each in (entry.item.text, entry.before) if each),
        )
        section = chosen[entry.section]
        needed = entry.least + (0 if section else len(_TITLES[entry.section]) + 2)
        # A model that was told the new text may not know the one before.
        if used + needed <= room and mark not in seen and not seen.issuperset(told):
            section.append(entry)
            seen |= {mark, told[0]}
            used += needed
    return used

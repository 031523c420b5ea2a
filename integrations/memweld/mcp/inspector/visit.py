"""A visit: one request of a page, with the memory that it is about and the fields that it sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, get_args

from ...errors import invalid
from ...memory.memory import Memory
from ...models import JSON, Kind, Source
from ..principal import Principal

__all__ = ["Done", "Filters", "Visit", "day_after", "day_in", "number_in", "value_in"]

KINDS: tuple[str, ...] = get_args(Kind)
SOURCES: tuple[str, ...] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Done:
    """A change that is made: the browser goes on to a page, which says so.

    Attributes:
        page: The page.
        note: The key of what it says, in ``routes.NOTES``.
        query: Its further query.
    """

    page: str
    note: str
    query: Mapping[str, str | None] = field(default_factory=dict[str, "str | None"])


@dataclass(slots=True)
class Visit:
    """A request of a page.

    Attributes:
        memory: The memory that it is about.
        principal: Who makes it.
        query: The query of the address.
        form: The fields of a POST.
        has: Whether this server serves a tool.
        list_scopes: As `EngineAdmin.list_scopes`; None where the principal may not list users.
        count: How many things the answer is about, for the audit log.
    """

    memory: Memory
    principal: Principal
    query: Mapping[str, str]
    form: Mapping[str, str]
    has: Callable[[str], bool]
    count: int = 1

    def given(self, name: str) -> str | None:
        """A field of the query; None where it is missing or blank."""
        return self.query.get(name, "").strip() or None

    def required(self, name: str) -> str:
        """A field of the query.

        Raises:
            InvalidInputError: It is missing.
        """
        if name not in self.query:
            raise invalid(name, None, "the address must name it", "Follow a link of the page before.")
        return self.query[name]

    def text(self, name: str) -> str:
        """A field of the form, with the line breaks that were stored, not those that browsers send."""
        return self.form.get(name, "").replace("\r\n", "\n")

    def has_any(self, tools: Collection[str]) -> bool:
        """Whether this server serves one of these tools."""
        return not tools or any(map(self.has, tools))


def number_in(fields: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    """A whole number from 0 to ``maximum``.

    Raises:
        InvalidInputError: The text is none.
    """
    text = fields.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and int(text[:9]) <= maximum):
        raise invalid(name, text, f"it is a whole number up to {maximum:,}", "Leave it blank for the default.")
    return int(text)


def day_in(fields: Mapping[str, str], name: str) -> str | None:
    """A day, such as ``2026-01-31``; None where it is missing or blank.

    Raises:
        InvalidInputError: The text is none.
    """
    day = fields.get(name, "").strip() or None
    try:
        return None if day is None else date.fromisoformat(day).isoformat()
    except ValueError:
        raise invalid(name, day, "it is a day, such as 2026-01-31", "Leave it blank for any.") from None


def day_after(day: str) -> date:
    """The day behind a day; the last one of the calendar has none."""
    return min(date.fromisoformat(day), date.max - timedelta(days=1)) + timedelta(days=1)


def value_in(text: str, *, as_json: bool, name: str = "value") -> JSON:
    """The value that a form holds: JSON, or the text itself.

    Raises:
        InvalidInputError: It is no JSON.
    """
    if not as_json:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(name, text, "it is no JSON", "Put a text in double quotes, or store it as text.") from None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of memories is narrowed to.

    Attributes:
        query: Words or a question; None lists all.
        kind: Only this kind.
        source: Only from there.
        session: Only this session.
        since: The first day, ``2026-01-31``.
        until: The last day.
        metadata: ``key=value``, with commas between several; or conditions as JSON.
        past: ``on`` for those that are superseded or not valid now, too.
    """

    query: str | None = None
    kind: str | None = None
    source: str | None = None
    session: str | None = None
    since: str | None = None
    until: str | None = None
    metadata: str | None = None
    past: str | None = None

    @classmethod
    def of(cls, visit: Visit) -> Filters:
        """Those of the query.

        Raises:
            InvalidInputError: One breaks a rule.
        """
        names = {"query": "q", "metadata": "meta"}
        filters = cls(**{name: visit.given(names.get(name, name)) for name in cls.__slots__})
        for name, value, known in (("kind", filters.kind, KINDS), ("source", filters.source, SOURCES)):
            if value is not None and value not in known:
                raise invalid(name, value, f"it is one of {', '.join(known)}", "Choose one.")
        for name in ("since", "until"):
            day_in(visit.query, name)
        if filters.since is not None and filters.until is not None and filters.since > filters.until:
            raise invalid("to day", filters.until, f"it is before {filters.since}", "Choose a later day, or swap them.")
        return filters

    @property
    def as_query(self) -> dict[str, str | None]:
        """The same as the query of an address."""
        return {
            "q": self.query,
            "kind": self.kind,
            "source": self.source,
            "session": self.session,
            "since": self.since,
            "until": self.until,
            "meta": self.metadata,
            "past": self.past,
        }

    @property
    def are_set(self) -> bool:
        """Whether one other than the query is set."""
        return any((self.kind, self.source, self.session, self.since, self.until, self.metadata, self.past))

    @property
    def search(self) -> dict[str, Any]:
        """The keywords of `Memory.search` and `Memory.all`."""
        return {
            "kinds": self.kind,
            "sources": self.source,
            "filters": self._conditions,
            "session_id": self.session,
            "after": self.since,
            "before": None if self.until is None else day_after(self.until),
            "include_inactive": self.past is not None,
        }

    @property
    def _conditions(self) -> JSON:
        text = (self.metadata or "").strip()
        if text.startswith("{"):
            return value_in(text, as_json=True, name="metadata")
        pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise invalid("metadata", self.metadata, "it is key=value, with commas between", "Write city=Porto.")
        return {key.strip(): _plain(value.strip()) for key, _, value in pairs}


def _plain(text: str) -> JSON:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text

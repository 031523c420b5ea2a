"""The overview of one scope: how much it holds, what was learnt last, preferences and sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..display import Displayed, html_table, html_text, written
from ..engine.operations import CountStored, ListItems, ListSessions
from ..engine.protocol import Engine
from ..models import JSON, MemoryItem, Session
from ..safe_text import safe_for_terminal
from ..scope import Scope
from ..validation import local_time

__all__ = ["Overview", "read_overview"]

_LATEST, _PREFERENCES, _SESSIONS = 5, 10, 5
_MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Displayed):
    """What a scope holds, at a glance.

    Attributes:
        scope: The scope.
        counts: How much it holds, as `Memory.counts` says; without what it lacks.
        latest: The memories stored last, the newest first.
        preferences: The preferences set last, by key.
        sessions: The sessions used last.
        timezone: The zone of the dates.
    """

    scope: Scope
    counts: Mapping[str, int]
    latest: Sequence[MemoryItem]
    preferences: Mapping[str, JSON]
    sessions: Sequence[Session]
    timezone: str | None = None

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        counts = ", ".join(f"{count:,} {_one(name) if count == 1 else name}" for name, count in self.counts.items())
        yield f"Memory of {_short(str(self.scope))}: {counts or 'empty'}"
        yield from _section("latest", ((_date(self, item), item.text) for item in self.latest))
        yield from _section("preferences", ((key, written(value)) for key, value in self.preferences.items()))
        yield from _section(
            "sessions",
            ((_date(self, each), f"{each.session_id} (messages: {each.messages:,})") for each in self.sessions),
        )

    def _html(self) -> str:
        parts = [f"<b>Memory of {html_text(str(self.scope))}</b>", html_table([self.counts] if self.counts else [])]
        if self.latest:
            rows = [{"latest": item.text, "kind": item.kind, "date": _date(self, item)} for item in self.latest]
            parts.append(html_table(rows))
        if self.preferences:
            parts.append(html_table([{"preference": key, "value": value} for key, value in self.preferences.items()]))
        if self.sessions:
            rows = [
                {"session": each.session_id, "messages": each.messages, "date": _date(self, each)}
                for each in self.sessions
            ]
            parts.append(html_table(rows))
        return "".join(parts)


def read_overview(engine: Engine, scope: Scope, timezone: str | None) -> Overview:
    """Read the overview of a scope."""
    counts = engine.run(scope, CountStored())
    latest = engine.run(scope, ListItems(limit=_LATEST, kinds=["item"], newest_first=True)).items
    preferences = engine.run(scope, ListItems(limit=_PREFERENCES, kinds=["preference"], newest_first=True)).items
    return Overview(
        scope=scope,
        counts={name: count for name, count in counts.items() if count},
        latest=latest,
        preferences={
            item.key or item.id: item.metadata.get("value") for item in preferences if item.agent_id == scope.agent_id
        },
        sessions=engine.run(scope, ListSessions())[:_SESSIONS],
        timezone=timezone,
    )


def _one(name: str) -> str:
    """The singular of the name of a count."""
    return "entity" if name == "entities" else name.removesuffix("s")


def _section(title: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [f"  {_short(name)}  {_short(text)}" for name, text in entries]
    return iter(["", title, *lines] if lines else [])


def _date(overview: Overview, dated: MemoryItem | Session) -> str:
    return f"{local_time(dated.updated_at, overview.timezone):%Y-%m-%d %H:%M}"


def _short(text: str) -> str:
    line = safe_for_terminal(text[: 2 * _MOST_CHARACTERS])
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"

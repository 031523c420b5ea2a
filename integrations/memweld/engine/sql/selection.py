"""The rows of ``items`` that an operation asks for, by all but their text: kinds, metadata, session, time, validity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...models import JSON, Kind, Source
from ...validation import dump_json
from .validity import SAID_AT, Validity

if TYPE_CHECKING:
    from ..operations import ListItems, Search
    from .dialect import Dialect

__all__ = ["ALL_ROWS", "TRUSTED", "Fragment", "Selection", "Window"]

Fragment: TypeAlias = "tuple[str, list[Any]]"
"""SQL, and its variables."""

TRUSTED = "NOT (items.extraction = 'extracted' AND items.source IN ('assistant', 'tool'))"
"""The rows that no LLM has extracted from the words of the assistant or of a tool."""

_DAY = timedelta(days=1)
_FIRST_YEAR, _LAST_YEAR = 1, 9999


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in which something was said, in seconds since 1970; None: without a beginning or an end.

    Attributes:
        after: The first moment in it.
        before: The first moment behind it.
    """

    after: float | None = None
    before: float | None = None

    @staticmethod
    def of(after: datetime | None, before: datetime | None) -> Window:
        """The window between two times."""
        return Window(after and after.timestamp(), before and before.timestamp())

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return self.after is not None or self.before is not None

    def condition(self, seconds: str) -> Fragment:
        """The condition on an expression for seconds since 1970, beginning with AND; empty for all times."""
        ends = [(sign, end) for sign, end in ((">=", self.after), ("<", self.before)) if end is not None]
        return "".join(f" AND {seconds} {sign} ?" for sign, _ in ends), [end for _, end in ends]

    def days(self, text: str) -> Fragment:
        """A quick condition on an expression for an ISO time, which holds wherever `condition` does."""
        parts: list[tuple[str, str]] = []
        for sign, end, days in ((">=", self.after, -1), ("<", self.before, 2)):
            # The text has the date of its own zone, a day at most before or after that in UTC.
            if end is not None and _FIRST_YEAR < (day := datetime.fromtimestamp(end, timezone.utc)).year < _LAST_YEAR:
                parts.append((sign, (day + days * _DAY).date().isoformat()))
        return "".join(f" AND {text} {sign} ?" for sign, _ in parts), [day for _, day in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rows that an operation may find.

    A text that was added several times occurs several times. One occurrence, or all together, must be of the session,
    in the window, and have metadata that meet the filters.

    Attributes:
        kinds: Only these kinds; None: all.
        sources: Only from these sources, or from trusted ones; None: all.
        filters: Conditions on metadata.
        session_id: Only this session's; None: all.
        window: When it was said.
        pinned: Only pinned items.
        validity: What must be held true; None: anything.
    """

    kinds: Sequence[Kind] | None = None
    sources: Sequence[Source] | Literal["trusted"] | None = None
    filters: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    session_id: str | None = None
    window: Window = Window()
    pinned: bool = False
    validity: Validity | None = None

    @staticmethod
    def of(operation: Search | ListItems, kinds: Sequence[Kind] | None) -> Selection:
        """The rows that a search or a list asks for, of these kinds."""
        return Selection(
            kinds=kinds,
            sources=operation.sources,
            filters=operation.filters,
            session_id=operation.session_id,
            window=Window.of(operation.after, operation.before),
            validity=Validity.of(operation.as_of, include_inactive=operation.include_inactive),
        )

    def asking_for(self, window: tuple[float, float] | None) -> Selection:
        """The selection with what was held true within a time, too (see `Validity`)."""
        if window is None or self.validity is None:
            return self
        return replace(self, validity=replace(self.validity, window=window))

    def condition(self, dialect: Dialect) -> Fragment:
        """The condition on rows of ``items``, beginning with AND; empty where all fit."""
        sql, variables = ("", list[Any]()) if self.validity is None else self.validity.condition()
        if self.kinds is not None:
            sql += f" AND kind IN ({', '.join('?' * len(self.kinds))})"
            variables = [*variables, *self.kinds]
        if self.sources == "trusted":
            sql += f" AND {TRUSTED}"
        elif self.sources is not None:
            sql += f" AND items.source IN ({', '.join('?' * len(self.sources))})"
            variables = [*variables, *self.sources]
        if self.pinned:
            sql += " AND pinned_at IS NOT NULL"
        own, own_variables = self._own(dialect)
        if not own:
            return sql, variables
        occurring, others = self.occurring(dialect)
        return f"{sql} AND ((true{own}) OR {occurring})", [*variables, *own_variables, *others]

    def _own(self, dialect: Dialect) -> Fragment:
        """The condition on the row's own columns."""
        parts: list[Fragment] = []
        if self.session_id is not None:
            parts.append((" AND session_id = ?", [self.session_id]))
        if self.window:
            parts += [self.window.days(SAID_AT), self.window.condition(f"seconds_of({SAID_AT})")]
        for key, value in self.filters.items():
            # JSON holds a text letter by letter: this rules most rows out without parsing them.
            if isinstance(value, str):
                parts.append((" AND instr(metadata, ?)", [dump_json({key: value})[1:-1]]))
        if self.filters:
            sql, variables = dialect.metadata_fit(self.filters)
            parts.append((f" AND {sql}", variables))
        return "".join(sql for sql, _ in parts), [variable for _, variables in parts for variable in variables]

    def occurring(self, dialect: Dialect) -> Fragment:
        """The condition that one of several occurrences of a row fits."""
        sql, variables = dialect.occurrences_fit(self)
        return f"(occurrences IS NOT NULL AND {sql})", variables


ALL_ROWS = Selection()

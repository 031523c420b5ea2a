"""The plan of an import: all rows, validated before the first is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..engine.export_data import ExportData, ExportedItem, ExportedSession, ExportedValue, validate_export_data
from ..engine.operations import GetItem, ReadMessages, ReadValues, Restore
from ..engine.protocol import Engine
from ..errors import BackendUnavailableError, InvalidInputError, MemoryNotFoundError
from ..memory.backend import Backend
from ..progress import progress_bar
from ..scope import Scope
from .copier import engine_of

__all__ = ["Part", "Plan", "validated"]

T = TypeVar("T")
Part = ExportedItem | ExportedValue | ExportedSession

_BATCH = 200


def validated(place: str, part: Callable[[], T]) -> T:
    """Make a part of a plan.

    Raises:
        InvalidInputError: It breaks a rule; the message begins with the place.
    """
    try:
        row = part()
        if isinstance(row, ExportedItem):
            validate_export_data("data", ExportData(items=(row,)))
        elif isinstance(row, ExportedValue):
            validate_export_data("data", ExportData(values=(row,)))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error
    return row


@dataclass(slots=True)
class Plan:
    """The rows of an import, by scope. `store` writes them.

    Attributes:
        parts: The memories, values and sessions of each scope.
        undated: The ids of memories without a time; an existing memory with such an id stays.
        skipped: How many rows the import leaves out, by reason.
        stored: How many items, values and messages the last `store` found new or changed.
        merged: How many memories gave their session, metadata and time to an existing one with an equal text.
        unchanged: How many memories, values and messages were there already.
        left: How many existing values it left alone although they differ.
    """

    parts: dict[Scope, list[Part]] = field(default_factory=dict[Scope, "list[Part]"])
    undated: set[str] = field(default_factory=set[str])
    skipped: Counter[str] = field(default_factory=Counter[str])
    stored: Counter[str] = field(default_factory=Counter[str])
    merged: int = 0
    unchanged: int = 0
    left: int = 0

    def add(self, scope: Scope, part: Part) -> None:
        """Add a row; its agent becomes the scope's."""
        self.parts.setdefault(scope, []).append(replace(part, agent_id=scope.agent_id))

    @property
    def counts(self) -> Counter[str]:
        """How many items, values, sessions and messages the plan has."""
        return self.counts_of([part for parts in self.parts.values() for part in parts])

    @staticmethod
    def counts_of(parts: Sequence[Part]) -> Counter[str]:
        """How many items, values, sessions and messages these parts are."""
        counts: Counter[str] = Counter()
        for part in parts:
            if isinstance(part, ExportedSession):
                counts.update(sessions=1, messages=len(part.messages))
            else:
                counts.update(["items" if isinstance(part, ExportedItem) else "values"])
        return counts

    def store(
        self, backend: Backend, *, overwrite: bool = False, progress: Callable[[int, int], object] | None = None
    ) -> Counter[str]:
        """Store the rows that the backend does not have. A second run stores nothing twice.

        Args:
            backend: The backend to write.
            overwrite: Whether a planned value replaces an existing one that differs.
            progress: Called with the number of finished rows, and of all. If not given, a terminal or a notebook shows
                a bar.

        Returns:
            How many items, values and messages are new or changed.

        Raises:
            BackendUnavailableError: The backend failed on the way; the message says how much it stored until then.
        """
        engine = engine_of(backend)
        self.stored, self.merged, self.left = Counter(), 0, 0
        planned = self.counts
        total, done = planned["items"] + planned["values"] + planned["messages"], 0
        with progress_bar("Storing") as bar:
            for scope, parts in self.parts.items():
                try:
                    for count in self._store(engine, scope, parts, overwrite):
                        done += count
                        (progress or bar)(done, total)
                except (BackendUnavailableError, InvalidInputError) as error:
                    counts = ", ".join(f"{count} {store}" for store, count in self.stored.items() if count) or "nothing"
                    raise type(error)(
                        f"For {scope}: {error} Stored until then: {counts}. Run it again: it stores nothing twice."
                    ) from error
        rest = sum(planned[store] - self.stored[store] for store in ("items", "values", "messages"))
        self.unchanged = rest - self.merged - self.left
        return self.stored

    def _store(self, engine: Engine, scope: Scope, parts: Sequence[Part], overwrite: bool) -> Iterator[int]:
        """Store the rows of a scope; after each batch the number of its rows."""
        facts = [part for part in parts if isinstance(part, ExportedItem)]
        for items in _batches([item for item in facts if item.id not in self.undated or not _has(engine, scope, item)]):
            self._restore(engine, scope, ExportData(items=items))
            yield len(items)
        for values in _batches([part for part in parts if isinstance(part, ExportedValue)]):
            self._restore(engine, scope, ExportData(values=self._missing(engine, scope, values, overwrite)))
            yield len(values)
        for session in (part for part in parts if isinstance(part, ExportedSession)):
            existing = _message_ids(engine, scope, session.session_id)
            for messages in _batches([message for message in session.messages if message.id not in existing]):
                self._restore(engine, scope, ExportData(sessions=(replace(session, messages=messages),)))
                yield len(messages)

    def _restore(self, engine: Engine, scope: Scope, data: ExportData) -> None:
        counts = engine.run(scope, Restore(data=data, settles=True))
        self.stored.update({store: counts[store] for store in ("items", "values", "messages")})
        self.merged += counts.get("merged", 0)

    def _missing(
        self, engine: Engine, scope: Scope, values: Sequence[ExportedValue], overwrite: bool
    ) -> tuple[ExportedValue, ...]:
        """The values to store: those with no value in their place, or with another one that they replace."""
        missing: list[ExportedValue] = []
        entries = engine.run(scope, ReadValues(places=[(value.namespace, value.key) for value in values]))
        for value, entry in zip(values, entries, strict=True):
            if entry is None or (overwrite and entry.value != value.value):
                missing.append(value)
            elif entry.value != value.value:
                self.left += 1
        return tuple(missing)


def _batches(parts: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(parts), _BATCH):
        yield tuple(parts[start : start + _BATCH])


def _message_ids(engine: Engine, scope: Scope, session_id: str) -> set[str]:
    """The ids of the session's messages."""
    found: set[str] = set()
    before: str | None = None
    while True:
        try:
            messages = engine.run(scope, ReadMessages(session_id=session_id, limit=_BATCH, before=before))
        except MemoryNotFoundError:  # It was deleted meanwhile: begin anew.
            found, before = set(), None
            continue
        if not messages:
            return found
        ids = [message.id or "" for message in messages]
        found.update(ids)
        before = ids[0]


def _has(engine: Engine, scope: Scope, item: ExportedItem) -> bool:
    try:
        engine.run(scope, GetItem(memory_id=item.id))
    except MemoryNotFoundError:
        return False
    return True

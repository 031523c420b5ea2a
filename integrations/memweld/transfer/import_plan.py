"""What an import is going to store, checked to its last row before the first is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..engine.export_data import ExportData, ExportedSession, ExportedValue, validate_export_data
from ..engine.operations import GetItem, ReadMessages, ReadValues, Restore
from ..engine.protocol import Engine
from ..errors import BackendUnavailableError, InvalidInputError, MemoryNotFoundError
from ..memory.backend import Backend
from ..models import ChatMessage, MemoryItem
from ..scope import Scope
from .copier import engine_of

__all__ = ["Part", "Plan", "checked"]

T = TypeVar("T")
Part = MemoryItem | ExportedValue | ExportedSession

_BATCH = 200


def checked(place: str, part: Callable[[], T]) -> T:
    """Make a part of a plan.

    Raises:
        InvalidInputError: It breaks a rule; the message begins with the place.
    """
    try:
        made = part()
        if isinstance(made, MemoryItem):
            validate_export_data("data", ExportData(items=(made,)))
        elif isinstance(made, ExportedValue):
            validate_export_data("data", ExportData(values=(made,)))
    except InvalidInputError as error:
        raise InvalidInputError(f"{place}: {error}") from error
    return made


@dataclass(slots=True)
class Plan:
    """What is going to be stored, and for whom. Nothing is written before `store`.

    Attributes:
        parts: The memories, values and sessions of each scope.
        undated: The ids of memories of which it is not known when they were made: what is there is not older.
        skipped: How many rows are left out, by reason.
        stored: How many items, values and messages the last `store` has found new or changed.
        left: How many values it has left as they are, because another value stands there.
    """

    parts: dict[Scope, list[Part]] = field(default_factory=dict[Scope, "list[Part]"])
    undated: set[str] = field(default_factory=set[str])
    skipped: Counter[str] = field(default_factory=Counter[str])
    stored: Counter[str] = field(default_factory=Counter[str])
    left: int = 0

    def add(self, scope: Scope, part: Part) -> None:
        """Plan to store a part; its agent is the scope's."""
        self.parts.setdefault(scope, []).append(replace(part, agent_id=scope.agent_id))

    @property
    def counts(self) -> Counter[str]:
        """How many items, values, sessions and messages there are."""
        return self.counts_of([part for parts in self.parts.values() for part in parts])

    @staticmethod
    def counts_of(parts: Sequence[Part]) -> Counter[str]:
        """How many items, values, sessions and messages these parts are."""
        found: Counter[str] = Counter()
        for part in parts:
            if isinstance(part, ExportedSession):
                found.update(sessions=1, messages=len(part.messages))
            else:
                found.update(["items" if isinstance(part, MemoryItem) else "values"])
        return found

    def store(
        self, backend: Backend, *, overwrite: bool = False, progress: Callable[[int, int], object] | None = None
    ) -> Counter[str]:
        """Store what is planned and is not there yet. To do it again stores nothing twice.

        Args:
            backend: Where to.
            overwrite: Whether a value that stands there already gives way to another one.
            progress: Called with the number of scopes that are done, and of all.

        Returns:
            How many items, values and messages are new or changed.

        Raises:
            BackendUnavailableError: The backend failed on the way; the message says how much was stored until then.
        """
        engine = engine_of(backend)
        self.stored, self.left = Counter(), 0
        for done, (scope, parts) in enumerate(self.parts.items()):
            if progress is not None:
                progress(done, len(self.parts))
            try:
                self._store(engine, scope, parts, overwrite)
            except (BackendUnavailableError, InvalidInputError) as error:
                made = ", ".join(f"{count} {store}" for store, count in self.stored.items() if count) or "nothing"
                raise type(error)(
                    f"For {scope}: {error} Stored until then: {made}. Run it again: what is there is not stored twice."
                ) from error
        if progress is not None:
            progress(len(self.parts), len(self.parts))
        return self.stored

    def _store(self, engine: Engine, scope: Scope, parts: Sequence[Part], overwrite: bool) -> None:
        facts = [part for part in parts if isinstance(part, MemoryItem)]
        for items in _batches([item for item in facts if item.id not in self.undated or not _has(engine, scope, item)]):
            self._restore(engine, scope, ExportData(items=items))
        for values in _batches([part for part in parts if isinstance(part, ExportedValue)]):
            self._restore(engine, scope, ExportData(values=self._wanted(engine, scope, values, overwrite)))
        for session in (part for part in parts if isinstance(part, ExportedSession)):
            held = _ids(engine, scope, session.session_id)
            for messages in _batches([message for message in session.messages if message.id not in held]):
                self._restore(engine, scope, ExportData(sessions=(replace(session, messages=messages),)))

    def _restore(self, engine: Engine, scope: Scope, data: ExportData) -> None:
        counts = engine.run(scope, Restore(data=data))
        self.stored.update({store: counts[store] for store in ("items", "values", "messages")})

    def _wanted(
        self, engine: Engine, scope: Scope, values: Sequence[ExportedValue], overwrite: bool
    ) -> tuple[ExportedValue, ...]:
        """The values whose places are empty, or hold another one that is to give way."""
        held = engine.run(scope, ReadValues(places=[(value.namespace, value.key) for value in values]))
        differing = [(value, there) for value, there in zip(values, held, strict=True) if there is not None]
        differing = [(value, there) for value, there in differing if there.value != value.value]
        if not overwrite:
            self.left += len(differing)
            return tuple(value for value, there in zip(values, held, strict=True) if there is None)
        changed = {(value.namespace, value.key) for value, _ in differing}
        return tuple(
            value
            for value, there in zip(values, held, strict=True)
            if there is None or (value.namespace, value.key) in changed
        )


def _batches(parts: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(parts), _BATCH):
        yield tuple(parts[start : start + _BATCH])


def _ids(engine: Engine, scope: Scope, session_id: str) -> set[str]:
    """The ids of the messages that the session has."""
    found: set[str] = set()
    before: str | None = None
    while messages := engine.run(scope, ReadMessages(session_id=session_id, limit=_BATCH, before=before)):
        found.update(_id(message) for message in messages)
        before = _id(messages[0])
    return found


def _has(engine: Engine, scope: Scope, item: MemoryItem) -> bool:
    try:
        engine.run(scope, GetItem(memory_id=item.id))
    except MemoryNotFoundError:
        return False
    return True


def _id(message: ChatMessage) -> str:
    return message.id or ""

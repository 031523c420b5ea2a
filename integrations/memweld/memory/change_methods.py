"""The methods of a Memory on facts that change: texts, versions, replacements, pins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..display import ResultList
from ..engine.operations import ItemVersions, KeepBoth, ListConflicts, PinItem, SupersedeItems, UpdateItem
from ..engine.protocol import Engine
from ..models import JSON, Conflict, MemoryItem
from ..scope import Scope

__all__ = ["ChangeMethods", "as_ids"]


class ChangeMethods:
    """The methods of `Memory` that change facts.

    Attributes:
        scope: The scope of the facts.
        timezone: The zone of days, and of times in queries; UTC if None.
    """

    def __init__(self, engine: Engine, scope: Scope, *, timezone: str | None = None) -> None:
        self._engine = engine
        self.scope = scope
        self.timezone = timezone

    def versions(self, memory_id: str) -> list[MemoryItem]:
        """The memories that stood in each other's place, oldest first: those before this one, it, and those after it.

        The texts that `update`, `preferences.set` and `tasks.record` replaced are there too, up to 100 of a memory.
        ``valid_from``, ``valid_until`` and ``changed_by`` say when each held, and what ended it. An earlier text has an
        id of its own, by which `delete` forgets it.

        Raises:
            MemoryNotFoundError: There is no such memory in this scope.
        """
        return ResultList(self._engine.run(self.scope, ItemVersions(memory_id=memory_id)))

    def supersede(self, memory_ids: str | Sequence[str], *, by: str) -> MemoryItem:
        """Put a stored memory in the place of others: they are no longer true, and `versions` shows them.

        Args:
            memory_ids: The id of a memory, or several.
            by: The id of the memory in their place.

        Returns:
            The memory in their place.

        Raises:
            MemoryNotFoundError: This scope does not have one of them.
            InvalidInputError: One of them is no free fact, or has another memory in its place.
        """
        return self._engine.run(self.scope, SupersedeItems(memory_ids=as_ids(memory_ids), by=by))

    def keep_both(self, memory_id: str, other_id: str) -> None:
        """Say that two memories are both true: they are no conflict, and later values supersede neither.

        A memory that the other one supersedes is true again.

        Raises:
            MemoryNotFoundError: This scope does not have one of them.
            InvalidInputError: One of them is no free fact, or a third memory is in its place.
        """
        self._engine.run(self.scope, KeepBoth(memory_id=memory_id, other_id=other_id))

    def conflicts(self, *, limit: int = 100) -> list[Conflict]:
        """Pairs of valid memories that say different things of the same, such as two homes.

        `supersede` decides for one of them; `keep_both` says that both are true.

        Args:
            limit: How many at most, 1 to 10,000.
        """
        return ResultList(self._engine.run(self.scope, ListConflicts(limit=limit)))

    def update(self, memory_id: str, text: str, *, metadata: Mapping[str, JSON] | None = None) -> MemoryItem:
        """Replace the text of a memory, and its metadata if given; the text before becomes an earlier version.

        Raises:
            MemoryNotFoundError: There is no such memory in this scope.
            InvalidInputError: The text breaks a rule, another memory says the same, or the memory is a preference, a
                task's outcome or a record, which are changed by their key.
        """
        return self._engine.run(self.scope, UpdateItem(memory_id=memory_id, text=text, metadata=metadata))

    def pin(self, memory_id: str) -> MemoryItem:
        """Pin a memory of any kind but ``source``: it stands first in each `profile`.

        ``all(pinned=True)`` lists what is pinned. A memory keeps its pin in `update`, `export` and `restore`. One that
        supersedes a pinned memory is pinned, too.

        Raises:
            MemoryNotFoundError: There is none in this scope.
            InvalidInputError: It is a source, or another memory is in its place.
        """
        return self._engine.run(self.scope, PinItem(memory_id=memory_id))

    def unpin(self, memory_id: str) -> MemoryItem:
        """Take the pin of a memory away.

        Raises:
            MemoryNotFoundError: There is none in this scope.
        """
        return self._engine.run(self.scope, PinItem(memory_id=memory_id, is_pinned=False))


def as_ids(ids: str | Sequence[str]) -> Sequence[str]:
    """One id, or several, as a sequence; operations validate it."""
    return (ids,) if isinstance(ids, str) else ids

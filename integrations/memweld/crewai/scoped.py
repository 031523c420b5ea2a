"""MemweldScope: a part of a `MemweldMemory`, below a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from crewai.memory.memory_scope import MemoryScope
from crewai.memory.types import MemoryMatch
from typing_extensions import override

from .errors import begins_turn

if TYPE_CHECKING:
    from .memory import MemweldMemory

__all__ = ["MemweldScope"]


class MemweldScope(MemoryScope):
    """The part of a memory below a path, as CrewAI's ``memory.scope(path)`` returns it.

    As the whole memory does, it keeps what the user says when a task begins.
    """

    @override
    def recall(self, query: str, scope: str | None = None, *args: Any, **options: Any) -> list[MemoryMatch]:
        in_turn = scope is None and begins_turn()
        try:
            return super().recall(query, scope, *args, **options)
        finally:
            if in_turn:
                cast("MemweldMemory", self._require_memory()).begin_turn(query, self.root_path)

    @override
    def subscope(self, path: str) -> MemweldScope:
        return MemweldScope(root_path=super().subscope(path).root_path).bind(self._require_memory())

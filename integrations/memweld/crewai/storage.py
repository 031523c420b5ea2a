"""CrewAI's storage backend over a user's memory: what its listings, resets and scope views work on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crewai.memory.types import MemoryRecord, ScopeInfo
from crewai.memory.utils import normalize_scope_path

from ..errors import ConfigurationError, MemweldError
from .errors import stopping
from .records import inside, naive_utc
from .store import UserStore, has_category

__all__ = ["MemweldStorage", "not_ours"]


def not_ours() -> MemweldError:
    """The error of a storage whose memory is none of ours."""
    return stopping(
        ConfigurationError(
            "CrewAI turned this MemweldMemory into a memory of its own class, which cannot serve it; "
            "give the agent, crew or flow a new one: memory=MemweldMemory(...)."
        )
    )


class MemweldStorage(UserStore):
    """A `StorageBackend` that is bounded to one user, or to the current user on a backend."""

    def save(self, *_: Any, **__: Any) -> None:
        """Refused: only CrewAI's own `Memory` calls it, and it would store what its model made of the text.

        Raises:
            ConfigurationError: Always.
        """
        raise not_ours()

    def search(self, *_: Any, **__: Any) -> list[tuple[MemoryRecord, float]]:
        """Refused: only CrewAI's own `Memory` calls it, with a vector in place of the query.

        Raises:
            ConfigurationError: Always.
        """
        raise not_ours()

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the user's memories that meet all criteria, or all of them where there is no criterion; how many."""
        narrowed = categories or older_than or metadata_filter or record_ids is not None
        if not narrowed and inside("/", scope_prefix):
            return self.clear()
        limit = None if older_than is None else naive_utc(older_than)
        doomed = [
            record.id
            for record in self.records(record_ids)
            if inside(record.scope, scope_prefix)
            and has_category(record, categories)
            and _has_metadata(record, metadata_filter)
            and (limit is None or record.created_at < limit)
        ]
        for memory_id in doomed:
            self.remove(memory_id)
        return len(doomed)

    def update(self, record: MemoryRecord) -> None:
        """Replace text, labels and metadata of a memory.

        Raises:
            MemoryNotFoundError: The user has none with this id.
        """
        self.replace(record)

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """The memory with this id, or None where the user has none."""
        return next(self.records([record_id]), None)

    def _within(self, scope: str | None) -> list[MemoryRecord]:
        return [record for record in self.records() if inside(record.scope, scope)]

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """Memories in a scope, newest first."""
        return self._within(scope_prefix)[::-1][offset : offset + limit]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What lies in a scope and the scopes below it."""
        path = normalize_scope_path(scope)
        base = path.rstrip("/")
        records = self._within(path)
        children = {record.scope[len(base) + 1 :].partition("/")[0] for record in records} - {""}
        times = [record.created_at for record in records]
        return ScopeInfo(
            path=path,
            record_count=len(records),
            categories=sorted({category for record in records for category in record.categories}),
            oldest_record=min(times, default=None),
            newest_record=max(times, default=None),
            child_scopes=sorted(f"{base}/{child}" for child in children),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes right below a path."""
        return self.get_scope_info(parent).child_scopes

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Categories in a scope, with how many memories have them."""
        return dict(Counter(category for record in self._within(scope_prefix) for category in record.categories))

    def count(self, scope_prefix: str | None = None) -> int:
        """How many memories lie in a scope."""
        return len(self._within(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete the memories in a scope; None: every memory of the user, and of nobody else."""
        self.delete(scope_prefix=scope_prefix)

    async def asave(self, records: list[MemoryRecord]) -> None:
        """The same as `save`, in a thread."""
        await asyncio.to_thread(self.save, records)

    async def asearch(self, *args: Any, **kwargs: Any) -> list[tuple[MemoryRecord, float]]:
        """The same as `search`, in a thread."""
        return await asyncio.to_thread(self.search, *args, **kwargs)

    async def adelete(self, *args: Any, **kwargs: Any) -> int:
        """The same as `delete`, in a thread."""
        return await asyncio.to_thread(self.delete, *args, **kwargs)


def _has_metadata(record: MemoryRecord, wanted: Mapping[str, Any] | None) -> bool:
    return all(record.metadata.get(key) == value for key, value in (wanted or {}).items())

"""A walk through all that a scope contains, page by page, that counts and hashes what passes.

The hash of a scope is the sum of the hashes of its rows: the order of memories does not change it, and nothing has to
be kept or sorted for it. The order of messages within a session does change it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from typing import Any

from ..engine.export_data import ExportData, ExportedSession, ExportedValue
from ..engine.operations import Export
from ..engine.protocol import Engine
from ..models import ChatMessage, MemoryItem, ToolCall
from ..scope import Scope

__all__ = ["STORES", "Summary", "Walk"]

STORES = ("items", "values", "sessions", "messages")

_BITS = 256


@dataclass(slots=True)
class Summary:
    """How much a scope holds, and a hash of it all: ids, texts, values, messages, metadata and times.

    Two scopes with the same content have the same summary, whatever backend keeps them.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STORES, 0))
    total: int = 0

    @property
    def digest(self) -> str:
        """The hash, as 64 hexadecimal digits."""
        return f"{self.total:064x}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not any(self.counts.values())

    def take(self, store: str, content: Mapping[str, Any]) -> bytes:
        """Count and hash one row; its hash."""
        text = json.dumps([store, content], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)
        # A lone half of a surrogate pair, in a row of long ago, must not end a copy.
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        self.counts[store] += 1
        self.total = (self.total + int.from_bytes(digest, "big")) % (1 << _BITS)
        return digest


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, ToolCall):
        return _fields(value)
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON object
    raise TypeError(type(value).__name__)


def _fields(row: MemoryItem | ExportedValue | ChatMessage | ToolCall) -> dict[str, Any]:
    return {each.name: getattr(row, each.name) for each in fields(row)}


class Walk:
    """One walk through a scope. Iterate once; the `summary` is of what has passed.

    Args:
        engine: Whose primitives are asked.
        scope: Whose memory.
        limit: How many rows a page has at most.
    """

    def __init__(self, engine: Engine, scope: Scope, *, limit: int) -> None:
        self.summary = Summary()
        self._engine = engine
        self._scope = scope
        self._limit = limit
        self._session: tuple[str | None, str] | None = None
        self._said = 0

    def pages(self) -> Iterator[tuple[ExportData, list[bytes]]]:
        """Each page and the hashes of its rows, in order."""
        after: str | None = None
        while True:
            page = self._engine.run(self._scope, Export(after=after, limit=self._limit))
            digests = list(self._rows(page.data))
            if digests:
                yield page.data, digests
            after = page.next
            if after is None:
                return

    def digests(self) -> Iterator[bytes]:
        """The hashes of all rows, in order."""
        for _, digests in self.pages():
            yield from digests

    def _rows(self, kept: ExportData) -> Iterator[bytes]:
        records = {(item.agent_id, item.key): item for item in kept.items if item.kind == "record"}
        for item in kept.items:
            if item.kind != "record":
                yield self.summary.take("items", _fields(item))
        for value in kept.values:
            key = json.dumps([value.namespace, value.key], ensure_ascii=False, separators=(",", ":"))
            record = records.get((value.agent_id, key))
            yield self.summary.take("values", {**_fields(value), "record": record and _fields(record)})
        for session in kept.sessions:
            yield from self._messages(session)

    def _messages(self, session: ExportedSession) -> Iterator[bytes]:
        place = session.agent_id, session.session_id
        if place != self._session:
            self._session, self._said = place, 0
            began = {"started_at": session.started_at, "updated_at": session.updated_at}
            yield self.summary.take("sessions", {"place": place, **began})
        for message in session.messages:
            self._said += 1
            yield self.summary.take("messages", {"place": place, "number": self._said, **_fields(message)})

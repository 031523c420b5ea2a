"""Reads all rows of a scope page by page, and counts and hashes them.

The hash of a scope is the sum of its rows' hashes, so that nothing must be kept or sorted for it. The order of memories
does not change it; the order of messages within a session does.
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

__all__ = ["STORES", "ScopeReader", "Summary"]

STORES = ("items", "values", "sessions", "messages")

_BITS = 256


@dataclass(slots=True)
class Summary:
    """The counts of a scope's rows, and a hash of them all: ids, texts, values, messages, metadata and times.

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

    def add(self, store: str, content: Mapping[str, Any]) -> bytes:
        """Count and hash one row; its hash."""
        text = json.dumps([store, content], ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)
        # A lone surrogate in a row must not end a copy.
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


class ScopeReader:
    """Reads a scope once. Iterate `pages` or `digests`; the `summary` is of the rows so far.

    Args:
        engine: The engine to read from.
        scope: The scope.
        limit: How many rows a page has at most.
    """

    def __init__(self, engine: Engine, scope: Scope, *, limit: int) -> None:
        self.summary = Summary()
        self._engine = engine
        self._scope = scope
        self._limit = limit
        self._session: tuple[str | None, str] | None = None
        self._number = 0

    def pages(self) -> Iterator[tuple[ExportData, list[bytes]]]:
        """Each page and the hashes of its rows, in order."""
        cursor: str | None = None
        while True:
            page = self._engine.run(self._scope, Export(cursor=cursor, limit=self._limit))
            digests = list(self._rows(page.data))
            if digests:
                yield page.data, digests
            cursor = page.next
            if cursor is None:
                return

    def digests(self) -> Iterator[bytes]:
        """The hashes of all rows, in order."""
        for _, digests in self.pages():
            yield from digests

    def _rows(self, data: ExportData) -> Iterator[bytes]:
        records = {(item.agent_id, item.key): item for item in data.items if item.kind == "record"}
        for item in data.items:
            if item.kind != "record":
                yield self.summary.add("items", _fields(item))
        for value in data.values:
            key = json.dumps([value.namespace, value.key], ensure_ascii=False, separators=(",", ":"))
            record = records.get((value.agent_id, key))
            yield self.summary.add("values", {**_fields(value), "record": record and _fields(record)})
        for session in data.sessions:
            yield from self._messages(session)

    def _messages(self, session: ExportedSession) -> Iterator[bytes]:
        place = session.agent_id, session.session_id
        if place != self._session:
            self._session, self._number = place, 0
            times = {"started_at": session.started_at, "updated_at": session.updated_at}
            yield self.summary.add("sessions", {"place": place, **times})
        for message in session.messages:
            self._number += 1
            yield self.summary.add("messages", {"place": place, "number": self._number, **_fields(message)})

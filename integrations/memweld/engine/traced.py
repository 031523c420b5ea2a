"""Spans of operations, by OpenTelemetry's GenAI conventions for memory: one for each operation, at the seam.

No span names a user, an agent, a session or a key. Texts are on it only if the variable of the conventions asks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from ..models import MemoryItem, ValueHit
from ..scope import Scope
from . import operations as ops
from .delegate import DelegatingEngine
from .operations import Operation
from .protocol import Engine
from .tracing import Attributes, SpanKind, find_tracer, span

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["TracedEngine", "traced"]

T = TypeVar("T")

_NAMES: Mapping[type[Operation[Any]], str] = {
    ops.AddItems: "create_memory",
    ops.PutKeyed: "upsert_memory",
    ops.UpdateItem: "update_memory",
    ops.SupersedeItems: "update_memory",
    ops.Search: "search_memory",
    ops.SearchValues: "search_memory",
    ops.RelatedItems: "search_memory",
    ops.DeleteItem: "delete_memory",
    ops.DeleteItems: "delete_memory",
    ops.DeleteMatching: "delete_memory",
    ops.DeleteKeyed: "delete_memory",
    ops.ClearItems: "delete_memory",
    ops.Erase: "delete_memory",
}
"""The operations that the conventions name. Others are called ``memweld.`` and their own name."""

_CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_CONTENT_ON_SPANS = frozenset({"true", "1", "span_only", "span_and_event"})
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432}


class TracedEngine(DelegatingEngine):
    """Records each operation as a span of the caller's trace.

    Args:
        engine: Runs the operations.
        url: The place of the store as it may be shown.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        super().__init__(engine)
        self._store = {"gen_ai.provider.name": "memweld", "gen_ai.memory.store.id": url, **_server(url)}
        self._kind: SpanKind = "internal" if url.startswith("sqlite:") else "client"

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope."""
        if find_tracer() is None:
            return self.inner.run(scope, operation)
        name = _NAMES.get(type(operation))
        attributes: dict[str, str | int] = {"memweld.operation.name": operation.name, **self._store}
        if name is not None:
            attributes["gen_ai.operation.name"] = name
        with span(name or f"memweld.{operation.name}", self._kind, attributes) as current:
            answer = self.inner.run(scope, operation)
            if current is not None and name is not None and current.is_recording():
                _describe(current, operation, answer)
        return answer

    def close(self) -> None:
        """Close the engine."""
        self.inner.close()


def traced(engine: Engine, url: str) -> Engine:
    """The engine with spans; itself if it has them already, also where it stands before one that has."""
    inner = engine
    while isinstance(inner, DelegatingEngine):
        if isinstance(inner, TracedEngine):
            return engine
        inner = inner.inner
    return TracedEngine(engine, url)


def _server(url: str) -> Attributes:
    """The server's address and port; empty for a file and for a command."""
    scheme, _, path = url.partition(":")
    if scheme == "unix":
        return {"server.address": path}
    if scheme not in _PORTS:
        return {}
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORTS[scheme]
    except ValueError:  # Several hosts.
        return {}
    return {"server.address": host, "server.port": port} if host else {}


def _describe(current: Span, operation: Operation[Any], answer: Any) -> None:
    """Say which memories an operation was about, once it has succeeded."""
    count = _count(operation, answer)
    if count is not None:
        current.set_attribute("gen_ai.memory.record.count", count)
    memory_id: str | None = getattr(operation, "memory_id", None) or getattr(answer, "id", None)
    if memory_id is not None:
        current.set_attribute("gen_ai.memory.record.id", memory_id)
    if os.environ.get(_CONTENT_VARIABLE, "").strip().lower() not in _CONTENT_ON_SPANS:
        return
    query: str | None = getattr(operation, "query", None)
    if query is not None:
        current.set_attribute("gen_ai.memory.query.text", query)
    records = [_record(each) for each in _listed(answer)]
    if records:
        current.set_attribute("gen_ai.memory.records", json.dumps(records, ensure_ascii=False))


def _listed(answer: Any) -> list[MemoryItem | ValueHit]:
    listed = cast("Sequence[Any]", answer) if isinstance(answer, (list, tuple)) else [answer]
    return [each for each in listed if isinstance(each, (MemoryItem, ValueHit))]


def _count(operation: Operation[Any], answer: Any) -> int | None:
    """How many memories an operation asked to store, or how many it found or deleted."""
    if isinstance(operation, ops.AddItems):
        return len(operation.drafts)
    if isinstance(operation, ops.Erase):
        return sum(answer.counts.values())
    if isinstance(answer, (list, tuple)):
        return len(cast("Sequence[Any]", answer))
    return int(answer) if isinstance(answer, int) else 1


def _record(found: MemoryItem | ValueHit) -> dict[str, Any]:
    """A memory in the form of the conventions."""
    if isinstance(found, ValueHit):
        return {"id": found.entry.key, "content": found.entry.value, "score": found.score}
    score: float | None = getattr(found, "score", None)
    return {"id": found.id, "content": found.text, **({} if score is None else {"score": score})}

"""CrewAI's memory events: what its console, traces and listeners show of recall and saving."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from typing import Any

from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import (
    MemoryQueryCompletedEvent,
    MemoryQueryFailedEvent,
    MemoryQueryStartedEvent,
    MemorySaveCompletedEvent,
    MemorySaveFailedEvent,
    MemorySaveStartedEvent,
)
from crewai.memory.types import MemoryMatch

__all__ = ["announced_query", "announced_save"]

_SOURCE = "memweld"


@contextlib.contextmanager
def announced_query(memory: object, query: str, limit: int) -> Generator[list[MemoryMatch], None, None]:
    """Announce a recall; the block fills the list with what it found."""
    started = time.perf_counter()
    common: dict[str, Any] = {"query": query, "limit": limit, "score_threshold": None, "source_type": _SOURCE}
    matches: list[MemoryMatch] = []
    _announce(memory, MemoryQueryStartedEvent(**common))
    try:
        yield matches
    except Exception as error:
        _announce(memory, MemoryQueryFailedEvent(**common, error=str(error)))
        raise
    _announce(memory, MemoryQueryCompletedEvent(**common, results=matches, query_time_ms=_milliseconds(started)))


@contextlib.contextmanager
def announced_save(
    memory: object, contents: Sequence[str], metadata: dict[str, Any] | None, agent_role: str | None
) -> Generator[None, None, None]:
    """Announce a save; the block does it."""
    started = time.perf_counter()
    value = str(contents[0]) if len(contents) == 1 else f"{len(contents)} memories"
    common: dict[str, Any] = {
        "value": value,
        "metadata": metadata or {},
        "agent_role": agent_role,
        "source_type": _SOURCE,
    }
    _announce(memory, MemorySaveStartedEvent(**common))
    try:
        yield
    except Exception as error:
        _announce(memory, MemorySaveFailedEvent(**common, error=str(error)))
        raise
    _announce(memory, MemorySaveCompletedEvent(**common, save_time_ms=_milliseconds(started)))


def _announce(memory: object, event: Any) -> None:
    # The bus refuses events while the process ends; what is being saved is saved all the same.
    with contextlib.suppress(RuntimeError):
        crewai_event_bus.emit(memory, event)


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1_000

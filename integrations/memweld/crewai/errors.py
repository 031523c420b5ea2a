"""Recall and saving as CrewAI sees them: its memory events, and the failures that stop a crew."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Generator
from typing import Any, Literal, TypeAlias, cast

from crewai.events import event_context
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.memory_events import (
    MemoryQueryCompletedEvent,
    MemoryQueryFailedEvent,
    MemoryQueryStartedEvent,
    MemorySaveCompletedEvent,
    MemorySaveFailedEvent,
    MemorySaveStartedEvent,
)
from crewai.hooks.dispatch import HookAborted

from ..adapters.failures import FailurePolicy
from ..errors import ConfigurationError, MemweldError, for_log
from ..memory.content import attempt, program_ends

__all__ = ["announced", "begins_turn", "not_ours", "stopping"]

_Work: TypeAlias = Literal["recall", "saving"]
_EVENTS: dict[_Work, tuple[Any, Any, Any, str]] = {
    "recall": (MemoryQueryStartedEvent, MemoryQueryCompletedEvent, MemoryQueryFailedEvent, "query_time_ms"),
    "saving": (MemorySaveStartedEvent, MemorySaveCompletedEvent, MemorySaveFailedEvent, "save_time_ms"),
}


def begins_turn() -> bool:
    """Whether CrewAI itself recalls here, before a task or a kickoff, and not a tool or a program.

    Around its own recall CrewAI opens an event of its own. In a task that another agent delegates, and in the kickoff
    of an agent that is a tool, the event of a tool is open, too.
    """
    # CrewAI 1.15 has no public name for it; without it, finished tasks are kept all the same.
    stack: Any = getattr(event_context, "_event_id_stack", None)
    kinds = [kind for _, kind in stack.get()] if stack is not None else []
    return kinds[-1:] == ["memory_retrieval_started"] and "tool_usage_started" not in kinds


@contextlib.contextmanager
def announced(work: _Work, memory: object, failures: FailurePolicy, **fields: Any) -> Generator[dict[str, Any]]:
    """Announce the block to CrewAI's console, traces and listeners, and let its errors stop the crew or not.

    CrewAI swallows every exception but `HookAborted`, and goes on without memory. The policy decides: an error that it
    tolerates is logged, as CrewAI shows it only if it is verbose.

    Args:
        work: The kind of work in the block, which chooses the events.
        memory: The memory, which is the source of the events.
        failures: Which errors stop the crew.
        fields: The fields of the events.

    Yields:
        The fields that only the event of the completed work has; the block fills them in.
    """
    started, completed, failed, duration = _EVENTS[work]
    fields["source_type"] = "memweld"
    results: dict[str, Any] = {}
    started_at = time.perf_counter()
    _announce(memory, started(**fields))
    try:
        yield results
    except (HookAborted, *program_ends()) as error:
        _announce(memory, failed(**fields, error=str(error)))
        raise
    except BaseException as error:
        _announce(memory, failed(**fields, error=attempt(error.__str__, type(error).__name__, what="the error")))
        # CrewAI's own memory tools show a model the text of what is raised.
        kind = type(error).__name__
        known = error if isinstance(error, MemweldError) else MemweldError(f"Internal error in {work}: {kind}")
        if not failures.tolerates(error):
            raise stopping(known) from error
        failures.logger.warning("memweld: %s failed; the crew goes on without it", work, exc_info=for_log(error))
        if known is error:
            raise
        raise known from error
    _announce(memory, completed(**fields, **results, **{duration: (time.perf_counter() - started_at) * 1_000}))


def _announce(memory: object, event: Any) -> None:
    # The bus refuses events while the process ends; the write goes on all the same.
    with contextlib.suppress(RuntimeError):
        crewai_event_bus.emit(memory, event)


def stopping(error: MemweldError) -> MemweldError:
    """The same error, also as a `HookAborted`: only as one CrewAI (1.15.22 and later) lets it out of a kickoff."""
    kind = _stopping_kind(type(error))
    stopped = cast("Any", kind.__new__(kind, *error.args))
    stopped.args, stopped.reason, stopped.source = error.args, str(error), "memweld"
    stopped.__dict__.update({**error.__dict__, **stopped.__dict__})
    return stopped


@functools.cache
def _stopping_kind(kind: type[MemweldError]) -> type[MemweldError]:
    if issubclass(kind, HookAborted):
        return kind
    return type(kind.__name__, (kind, HookAborted), {"__doc__": kind.__doc__})


def not_ours() -> MemweldError:
    """The error of a storage under a memory of CrewAI's own class."""
    return stopping(
        ConfigurationError(
            "CrewAI turned this MemweldMemory into a memory of its own class, which cannot serve it; "
            "give the agent, crew or flow a new one: memory=MemweldMemory(...)."
        )
    )

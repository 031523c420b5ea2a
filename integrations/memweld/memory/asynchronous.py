"""The same methods for async code: each runs the synchronous one in a thread, so nothing is written twice.

Works on asyncio and trio, inside any running event loop and in Jupyter. Context variables travel along.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeAlias, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from anyio.lowlevel import RunVar

from ..models import (
    JSON,
    Captured,
    ChatMessage,
    EraseReceipt,
    Hit,
    Kind,
    MemoryItem,
    Related,
    Session,
    TaskOutcome,
    ValueEntry,
    ValueWrite,
)
from .recall import DEFAULT_BUDGET

if TYPE_CHECKING:
    from ..scope import Scope
    from .history import History
    from .memory import Memory
    from .messages import MessagesLike
    from .preferences import Preferences
    from .state import State
    from .tasks import Tasks
    from .values import Values

__all__ = ["AsyncHistory", "AsyncMemory", "AsyncPreferences", "AsyncState", "AsyncTasks", "AsyncValues", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")


# Threads of our own beside those of the program's web framework, and apart by what they may wait for: answers of LLMs
# must not keep a look-up waiting. A limiter belongs to an event loop.
_Pace: TypeAlias = Literal["quick", "llm", "queue", "flush"]
_THREADS: Mapping[_Pace, int] = {"quick": 40, "llm": 16, "queue": 16, "flush": 16}
_limiters: RunVar[dict[_Pace, CapacityLimiter]] = RunVar("memweld_limiters")


def _limiter(pace: _Pace) -> CapacityLimiter:
    try:
        return _limiters.get()[pace]
    except LookupError:
        _limiters.set({name: CapacityLimiter(threads) for name, threads in _THREADS.items()})
        return _limiters.get()[pace]


async def _run(method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await _in_thread(functools.partial(method, *args, **kwargs), "quick")


async def in_thread(work: Callable[[], T], *, slow: bool = False) -> T:
    """Do blocking work that uses a memory, as the methods here do it, while the event loop goes on.

    Args:
        work: What to do.
        slow: Whether it may wait for an LLM; such work has threads of its own.
    """
    return await _in_thread(work, "llm" if slow else "quick")


async def _in_thread(work: Callable[[], T], pace: _Pace) -> T:
    # Cancelling the caller does not stop the thread: a write that was begun is finished, never left half done.
    return await anyio.to_thread.run_sync(work, limiter=_limiter(pace))


class AsyncPreferences:
    """`Preferences` for async code."""

    def __init__(self, preferences: Preferences) -> None:
        self._sync = preferences

    async def set(self, key: str, value: JSON) -> MemoryItem:
        return await _run(self._sync.set, key, value)

    async def get(self, key: str, default: JSON = None) -> JSON:
        return await _run(self._sync.get, key, default)

    async def all(self) -> dict[str, JSON]:
        return await _run(self._sync.all)

    async def search(self, query: str, *, limit: int = 5) -> list[Hit]:
        return await _run(self._sync.search, query, limit=limit)

    async def delete(self, key: str) -> bool:
        return await _run(self._sync.delete, key)


class AsyncTasks:
    """`Tasks` for async code."""

    def __init__(self, tasks: Tasks) -> None:
        self._sync = tasks

    async def record(
        self,
        task_id: str,
        *,
        outcome: str,
        success: bool | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> TaskOutcome:
        return await _run(self._sync.record, task_id, outcome=outcome, success=success, metadata=metadata)

    async def context(self, task_id: str, *, limit: int = 5) -> list[TaskOutcome]:
        return await _run(self._sync.context, task_id, limit=limit)


class AsyncState:
    """`State` for async code: the named methods; a mapping's operators cannot be awaited."""

    def __init__(self, state: State) -> None:
        self._sync = state

    @property
    def namespace(self) -> str:
        """The namespace of these pairs."""
        return self._sync.namespace

    async def set(self, key: str, value: JSON, *, ttl: float | None = None, text: str | None = None) -> None:
        return await _run(self._sync.set, key, value, ttl=ttl, text=text)

    async def get(self, key: str, default: JSON = None) -> JSON:
        return await _run(self._sync.get, key, default)

    async def delete(self, key: str) -> bool:
        return await _run(self._sync.delete, key)

    async def list_keys(self) -> list[str]:
        return await _run(self._sync.list_keys)

    async def entries(self, prefix: str = "") -> list[ValueEntry]:
        return await _run(lambda: list(self._sync.entries(prefix)))

    async def keys(self) -> list[str]:
        return await _run(self._sync.list_keys)

    async def values(self) -> list[JSON]:
        return await _run(lambda: list(self._sync.values()))

    async def items(self) -> list[tuple[str, JSON]]:
        return await _run(lambda: list(self._sync.items()))

    async def pop(self, key: str, *default: JSON) -> JSON:
        return await _run(self._sync.pop, key, *default)

    async def popitem(self) -> tuple[str, JSON]:
        return await _run(self._sync.popitem)

    async def setdefault(self, key: str, default: JSON = None) -> JSON:
        return await _run(self._sync.setdefault, key, default)

    async def clear(self) -> None:
        return await _run(self._sync.clear)

    async def modify(self, key: str, fn: Callable[[JSON], JSON], *, default: JSON = None) -> JSON:
        return await _run(self._sync.modify, key, fn, default=default)

    async def update(
        self, key: Any = (), fn: Callable[[JSON], JSON] | None = None, /, *, default: JSON = None, **values: JSON
    ) -> JSON:
        return await _run(self._sync.update, key, fn, default=default, **values)


class AsyncValues:
    """`Values` for async code."""

    def __init__(self, values: Values) -> None:
        self._sync = values

    async def read(self, places: Sequence[tuple[str, str]], *, refresh: bool = False) -> list[ValueEntry | None]:
        return await _run(self._sync.read, places, refresh=refresh)

    async def write(self, writes: Sequence[ValueWrite]) -> None:
        return await _run(self._sync.write, writes)

    async def find(
        self,
        under: str = "",
        *,
        where: Mapping[str, JSON] | None = None,
        offset: int = 0,
        limit: int | None = None,
        refresh: bool = False,
    ) -> list[ValueEntry]:
        return await _run(self._sync.find, under, where=where, offset=offset, limit=limit, refresh=refresh)

    async def namespaces(self, under: str = "") -> list[str]:
        return await _run(self._sync.namespaces, under)

    async def purge_expired(self) -> int:
        return await _run(self._sync.purge_expired)


class AsyncHistory:
    """`History` for async code."""

    def __init__(self, history: History) -> None:
        self._sync = history

    @property
    def session_id(self) -> str:
        """The session of these messages."""
        return self._sync.session_id

    async def append(self, messages: MessagesLike) -> list[ChatMessage]:
        return await _run(self._sync.append, messages)

    async def add_user_message(self, content: str) -> ChatMessage:
        return await _run(self._sync.add_user_message, content)

    async def add_ai_message(self, content: str) -> ChatMessage:
        return await _run(self._sync.add_ai_message, content)

    async def messages(self, limit: int | None = None, before: str | None = None) -> list[ChatMessage]:
        return await _run(self._sync.messages, limit, before)

    async def clear(self) -> int:
        return await _run(self._sync.clear)


class AsyncMemory:
    """`Memory` for async code. Get it as ``memory.aio``."""

    def __init__(self, memory: Memory) -> None:
        self._sync = memory
        self.preferences = AsyncPreferences(memory.preferences)
        self.tasks = AsyncTasks(memory.tasks)
        self.values = AsyncValues(memory.values)

    @property
    def scope(self) -> Scope:
        """Whose memory it is."""
        return self._sync.scope

    def __repr__(self) -> str:
        return f"<AsyncMemory of {self._sync.scope}>"

    async def add(
        self,
        messages: MessagesLike,
        *,
        metadata: Mapping[str, JSON] | None = None,
        infer: bool | None = None,
        session_id: str | None = None,
        created_at: datetime | str | None = None,
    ) -> list[MemoryItem]:
        work = functools.partial(
            self._sync.add, messages, metadata=metadata, infer=infer, session_id=session_id, created_at=created_at
        )
        return await _in_thread(work, "quick" if infer is False else "llm")

    async def search(
        self,
        query: str,
        *,
        limit: int = 5,
        kinds: Kind | Sequence[Kind] | None = None,
        filters: Mapping[str, JSON] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
    ) -> list[Hit]:
        search = self._sync.search
        return await _run(
            search, query, limit=limit, kinds=kinds, filters=filters, min_score=min_score, recency=recency
        )

    async def get(self, memory_id: str) -> MemoryItem:
        return await _run(self._sync.get, memory_id)

    async def all(
        self,
        *,
        limit: int = 100,
        after: str | None = None,
        kinds: Kind | Sequence[Kind] | None = None,
        filters: Mapping[str, JSON] | None = None,
    ) -> list[MemoryItem]:
        return await _run(self._sync.all, limit=limit, after=after, kinds=kinds, filters=filters)

    async def update(self, memory_id: str, text: str, *, metadata: Mapping[str, JSON] | None = None) -> MemoryItem:
        return await _run(self._sync.update, memory_id, text, metadata=metadata)

    async def delete(self, memory_id: str) -> None:
        return await _run(self._sync.delete, memory_id)

    async def clear(self) -> int:
        return await _run(self._sync.clear)

    async def related(self, about: str, *, limit: int = 10) -> list[Related]:
        return await _run(self._sync.related, about, limit=limit)

    async def settle_graph(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as the synchronous one
        return await _run(self._sync.settle_graph, timeout)

    def state(self, namespace: str) -> AsyncState:
        """Key-value pairs under a namespace."""
        return AsyncState(self._sync.state(namespace))

    def history(self, session_id: str) -> AsyncHistory:
        """The messages of a session."""
        return AsyncHistory(self._sync.history(session_id))

    async def sessions(self) -> list[Session]:
        return await _run(self._sync.sessions)

    async def recall(
        self,
        query: str,
        *,
        limit: int = 5,
        budget: int = DEFAULT_BUDGET,
        kinds: Kind | Sequence[Kind] | None = None,
        min_score: float | None = None,
        recency: timedelta | None = None,
    ) -> str:
        recall = self._sync.recall
        return await _run(recall, query, limit=limit, budget=budget, kinds=kinds, min_score=min_score, recency=recency)

    async def capture(
        self,
        messages: MessagesLike,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JSON] | None = None,
        infer: bool | None = None,
        keep: Captured = "turn",
        background: bool = False,
    ) -> list[MemoryItem]:
        work = functools.partial(
            self._sync.capture,
            messages,
            session_id=session_id,
            metadata=metadata,
            infer=infer,
            keep=keep,
            background=background,
        )
        waits_for_nobody = infer is False or keep == "history"
        return await _in_thread(work, "queue" if background else "quick" if waits_for_nobody else "llm")

    async def flush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - as the synchronous one
        return await _in_thread(functools.partial(self._sync.flush, timeout), "flush")

    async def export(self) -> dict[str, JSON]:
        return await _run(self._sync.export)

    async def restore(self, export: Mapping[str, JSON]) -> dict[str, int]:
        return await _run(self._sync.restore, export)

    async def erase(self) -> EraseReceipt:
        return await _run(self._sync.erase)

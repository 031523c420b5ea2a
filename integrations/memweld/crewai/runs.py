"""The runs in which CrewAI's agents answer: each knows what the user said in it and is not kept yet."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Generator, Hashable
from contextvars import ContextVar
from typing import Any, TypeAlias

import anyio
from crewai import Agent, Task
from crewai.lite_agent import LiteAgent  # pyright: ignore[reportDeprecated]

from ..memory.asynchronous import in_thread

__all__ = ["Note", "Run", "current_run", "follow_runs", "wrap_method"]

_MARK = "_memweld_wraps"


Note: TypeAlias = tuple[int, int, int]
"""Of a text of CrewAI's: its length, and where the user's part begins and ends."""


class Run:
    """A task, or a kickoff of an agent. At its end it keeps the words of each turn in it that has not finished.

    Attributes:
        place: Names the run as long as anything refers to it; Python gives the id of an object again.
        notes: The notes of the texts of a kickoff, by the digest of the text.
    """

    def __init__(self) -> None:
        self.place = object()
        self.notes: dict[str, Note] = {}
        self._turns: dict[Hashable, Callable[[], object]] = {}
        self._rescued: set[Hashable] = set()
        self._lock = threading.Lock()

    def begin(self, turn: Hashable, rescue: Callable[[], object]) -> None:
        """Call ``rescue`` at the end of the run, unless the turn finishes."""
        with self._lock:
            self._turns[turn] = rescue

    def finish(self, turn: Hashable) -> bool:
        """Finish a turn; whether the end of the run has come first and has kept its words."""
        with self._lock:
            self._turns.pop(turn, None)
            return turn in self._rescued

    @property
    def is_unfinished(self) -> bool:
        """Whether there is something to rescue."""
        return bool(self._turns)

    def close(self) -> None:
        """Rescue the words of the turns that have not finished."""
        with self._lock:
            turns, self._turns = self._turns, {}
            self._rescued.update(turns)
        for rescue in turns.values():
            rescue()


_run: ContextVar[Run | None] = ContextVar("memweld_crewai_run", default=None)


def current_run() -> Run | None:
    """The innermost run that the calling code belongs to."""
    return _run.get()


def follow_runs() -> None:
    """Let CrewAI's tasks and kickoffs of agents be runs. Later calls change nothing.

    CrewAI 1.15 calls no memory where a kickoff of an agent fails, and emits no event where a run is cancelled.
    """
    wrap_method(Task, "_execute_core", _running)
    wrap_method(Task, "_aexecute_core", _running_async)
    wrap_method(Agent, "kickoff", _running)
    wrap_method(Agent, "kickoff_async", _running_async)
    wrap_method(LiteAgent, "kickoff", _running)  # pyright: ignore[reportDeprecated]


def wrap_method(cls: type[Any], name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put a wrapper around a method of CrewAI's, once, whatever else has wrapped it."""
    original = getattr(cls, name, None)
    if original is not None and not hasattr(original, _MARK):
        wrapped = functools.wraps(original)(wrapper(original))
        setattr(wrapped, _MARK, True)
        setattr(cls, name, wrapped)


@contextlib.contextmanager
def _entered(run: Run) -> Generator[None]:
    token = _run.set(run)
    try:
        yield
    finally:
        # A coroutine that is thrown away may be closed in another context.
        with contextlib.suppress(ValueError):
            _run.reset(token)


def _running(original: Any) -> Any:
    def run_method(*args: Any, **options: Any) -> Any:
        run = Run()
        try:
            with _entered(run):
                return original(*args, **options)
        finally:
            run.close()

    return run_method


def _running_async(original: Any) -> Any:
    async def run_method(*args: Any, **options: Any) -> Any:
        run = Run()
        try:
            with _entered(run):
                return await original(*args, **options)
        except GeneratorExit:
            # Nothing can be awaited any more.
            run.close()
            raise
        finally:
            if run.is_unfinished:
                with anyio.CancelScope(shield=True):
                    await in_thread(run.close, lane="write")

    return run_method

"""Gets and puts of one tick of an event loop joined into one batch, as LangGraph's own asynchronous stores do."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from langgraph.store.base import GetOp, Op, PutOp, Result

from ..errors import BackendUnavailableError
from ..memory.asynchronous import Lane, in_thread
from ..memory.memory import Memory

__all__ = ["Batches"]

Execute: TypeAlias = Callable[[Memory, Sequence[Op]], list[Result]]

_MOST_CALLS = 1_000


class _Place(NamedTuple):
    """Calls that may be one batch. Those that only read do not wait for puts."""

    loop: asyncio.AbstractEventLoop
    memory: Memory
    only_reads: bool


@dataclass(slots=True)
class _Call:
    ops: list[Op]
    answer: asyncio.Future[list[Result]]


class Batches:
    """Runs operations in threads; gets or puts of one memory and tick in one thread, the puts in one transaction.

    The puts of a memory come one batch after the other, in the order of their calls. Each call has its own answer or
    error: one that fails leaves the others of its tick alone. Calls that search run side by side.

    Args:
        execute: Does the operations: first all reads, then all puts, all or none.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._lock = threading.Lock()
        self._pending: dict[_Place, list[_Call]] = {}
        self._writing: set[_Place] = set()
        # The event loop holds tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, memory: Memory, ops: list[Op]) -> list[Result]:
        """Do the operations of one call with those of the same tick; their results."""
        loop = _asyncio_loop()
        if loop is None or not all(isinstance(op, (GetOp, PutOp)) for op in ops):
            lane: Lane = "write" if any(isinstance(op, PutOp) for op in ops) else "search"
            return await in_thread(functools.partial(self._execute, memory, ops), lane=lane)
        call = _Call(ops, loop.create_future())
        place = _Place(loop, memory, all(isinstance(op, GetOp) for op in ops))
        with self._lock:
            calls = self._pending.setdefault(place, [])
            calls.append(call)
            is_first = len(calls) == 1 and place not in self._writing
        if is_first:
            loop.call_soon(self._start, place)
        return await call.answer

    def _start(self, place: _Place) -> None:
        """Run what is pending, or the first part of very much."""
        with self._lock:
            calls = self._pending.pop(place)
            if later := calls[_MOST_CALLS:]:
                self._pending[place] = later
            if not place.only_reads:
                self._writing.add(place)
        if later and place.only_reads:
            place.loop.call_soon(self._start, place)
        task = place.loop.create_task(
            self._run(place, [call for call in calls[:_MOST_CALLS] if not call.answer.done()])
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, place: _Place, calls: Sequence[_Call]) -> None:
        try:
            work = functools.partial(self._answers, place.memory, [call.ops for call in calls])
            try:
                answers = await in_thread(work, lane="quick" if place.only_reads else "write") if calls else []
            except Exception as error:  # noqa: BLE001 - the system has no more threads, or a library panics
                answers = [error] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                if call.answer.done():  # its caller was cancelled
                    continue
                if isinstance(answer, BaseException):
                    call.answer.set_exception(answer)
                else:
                    call.answer.set_result(answer)
        finally:
            for call in calls:
                call.answer.cancel()  # where the event loop ends
            with self._lock:
                self._writing.discard(place)
                is_more = not place.only_reads and place in self._pending
            if is_more:
                place.loop.call_soon(self._start, place)

    def _answers(self, memory: Memory, calls: Sequence[list[Op]]) -> list[list[Result] | Exception]:
        """The results of each call, or its error."""
        try:
            results = self._execute(memory, [op for ops in calls for op in ops])
        except BackendUnavailableError as error:
            return [error] * len(calls)
        except Exception as error:  # noqa: BLE001 - it belongs to one of the calls, and nothing was written
            return [error] if len(calls) == 1 else [self._answers(memory, [ops])[0] for ops in calls]
        answers: list[list[Result] | Exception] = []
        for ops in calls:
            answers.append(results[: len(ops)])
            results = results[len(ops) :]
        return answers


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """The running event loop; None of another library's, such as trio."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

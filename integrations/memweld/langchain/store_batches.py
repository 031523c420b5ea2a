"""Gets and puts of one tick of an event loop joined into one batch, as LangGraph's own asynchronous stores do."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from langgraph.store.base import GetOp, Op, PutOp, Result

from ..errors import BackendUnavailableError
from ..memory.asynchronous import Lane, in_thread
from ..memory.memory import Memory

__all__ = ["Batches"]

_Place: TypeAlias = tuple[asyncio.AbstractEventLoop, Memory, Lane]
"""The calls that one batch may hold. Gets do not wait for the texts of puts to be embedded."""

Execute: TypeAlias = Callable[[Memory, Sequence[Op]], list[Result]]

_MOST_CALLS = 1_000


@dataclass(slots=True)
class _Call:
    ops: list[Op]
    answer: asyncio.Future[list[Result]]


class Batches:
    """Runs operations in threads; gets and puts of one memory and tick in one thread, the puts in one transaction.

    Each call has its own answer or error: one that fails leaves the others of its tick alone. Calls that search run
    side by side.

    Args:
        execute: Does the operations: first all reads, then all puts, all or none.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._lock = threading.Lock()
        self._pending: dict[_Place, list[_Call]] = {}
        # The event loop holds tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, memory: Memory, ops: list[Op]) -> list[Result]:
        """Do the operations of one call with those of the same tick; their results."""
        loop = _asyncio_loop()
        writes = any(isinstance(op, PutOp) for op in ops)
        if loop is None or not all(isinstance(op, (GetOp, PutOp)) for op in ops):
            return await in_thread(functools.partial(self._execute, memory, ops), lane="write" if writes else "search")
        call = _Call(ops, loop.create_future())
        place: _Place = loop, memory, "write" if writes else "quick"
        with self._lock:
            calls = self._pending.get(place)
            if calls is None or len(calls) >= _MOST_CALLS:
                calls = self._pending[place] = []
                loop.call_soon(self._start, place, calls)
            calls.append(call)
        return await call.answer

    def _start(self, place: _Place, calls: list[_Call]) -> None:
        with self._lock:
            if self._pending.get(place) is calls:
                del self._pending[place]
        task = place[0].create_task(self._run(place, [call for call in calls if not call.answer.done()]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, place: _Place, calls: Sequence[_Call]) -> None:
        _, memory, lane = place
        try:
            work = functools.partial(self._answers, memory, [call.ops for call in calls])
            answers = await in_thread(work, lane=lane)
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

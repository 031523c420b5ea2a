"""Async code: each method runs the synchronous one in a thread, in lanes, so that slow work never holds up quick work.

Works on asyncio and trio, inside any running event loop and in Jupyter. Context variables travel along.
"""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from ..engine.operations import Lane
from ..errors import MemweldError, for_log

if TYPE_CHECKING:
    from anyio import CapacityLimiter, Semaphore
    from anyio.lowlevel import RunVar

__all__ = ["LANE_SHARE", "AsyncFacade", "Lane", "async_list", "async_method", "in_thread"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")

# Threads of our own beside those of the program's web framework. Work that waits for a model holds up no look-up.
_THREADS: Mapping[Lane, int] = {"quick": 40, "search": 40, "write": 16, "llm": 16, "queue": 16, "flush": 16}


_SHARES: Mapping[Lane, int] = {"quick": 4, "search": 8, "write": 4, "llm": 5, "queue": 5, "flush": 5}
"""How many threads a user of a server takes who shares its lanes with others."""

LANE_SHARE: ContextVar[str | None] = ContextVar("memweld_lane_share", default=None)
"""The user of a server for whom work is done; None where the lanes are not shared."""


async def in_thread(work: Callable[[], T], lane: Lane = "quick") -> T:
    """Do blocking work that uses a memory while the event loop goes on.

    Args:
        work: What to do.
        lane: What it may wait for; each lane has threads of its own.
    """
    import anyio.to_thread

    def contained() -> T:
        try:
            return work()
        except Exception:
            raise
        except BaseException as error:
            # A signal interrupts the main thread alone: a library raised it, and it must not cancel the caller.
            kind = type(error).__name__
            logging.getLogger("memweld.memory").warning("memweld: %s in a thread", kind, exc_info=for_log(error))
            raise MemweldError(f"Internal error: {kind}") from error

    user = LANE_SHARE.get()
    # A cancelled caller does not stop the thread: a write that has begun is finished, never left half done.
    if user is None:
        return await anyio.to_thread.run_sync(contained, limiter=_limiter(lane))
    async with _turns(lane, user):
        return await anyio.to_thread.run_sync(contained, limiter=_limiter(lane))


@functools.cache
def _limiters() -> RunVar[dict[Lane, CapacityLimiter]]:
    from anyio.lowlevel import RunVar

    return RunVar("memweld_limiters")


@functools.cache
def _shares() -> RunVar[WeakValueDictionary[tuple[Lane, str], Semaphore]]:
    from anyio.lowlevel import RunVar

    return RunVar("memweld_lane_shares")


def _turns(lane: Lane, user: str) -> Semaphore:
    """The user's part of a lane; it lives as long as calls of the user do."""
    from anyio import Semaphore

    shares = _shares().get(None)
    if shares is None:
        shares = WeakValueDictionary[tuple[Lane, str], Semaphore]()
        _shares().set(shares)
    turns = shares.get((lane, user))
    if turns is None:
        turns = shares[lane, user] = Semaphore(_SHARES[lane])
    return turns


def _limiter(lane: Lane) -> CapacityLimiter:
    # A limiter belongs to an event loop.
    try:
        return _limiters().get()[lane]
    except LookupError:
        from anyio import CapacityLimiter

        _limiters().set({name: CapacityLimiter(threads) for name, threads in _THREADS.items()})
        return _limiters().get()[lane]


class AsyncFacade(Generic[S]):
    """The base of the async classes: an object whose methods are awaited."""

    def __init__(self, sync: S) -> None:
        self._sync = sync

    def __repr__(self) -> str:
        return f"<async {self._sync!r}>"


def async_method(
    method: Callable[Concatenate[Any, P], T], lane: Lane | Callable[..., Lane] = "quick"
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The async form of a method, with its signature and docstring, for a class that derives from `AsyncFacade`.

    Args:
        method: The synchronous method. A subclass that overrides it is respected.
        lane: The lane, or a function that finds it from the arguments of the call.
    """
    name = method.__name__

    @functools.wraps(method)
    async def call(self: AsyncFacade[Any], /, *args: P.args, **kwargs: P.kwargs) -> T:
        chosen = lane(*args, **kwargs) if callable(lane) else lane
        sync = self._sync  # pyright: ignore[reportPrivateUsage]
        return await in_thread(functools.partial(operator.methodcaller(name, *args, **kwargs), sync), chosen)

    return call


def async_list(
    method: Callable[Concatenate[Any, P], Iterable[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, list[T]]]:
    """The async form of a method that iterates: it answers a list (see `async_method`)."""
    name = method.__name__

    @functools.wraps(method)
    async def call(self: AsyncFacade[Any], /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        sync = self._sync  # pyright: ignore[reportPrivateUsage]
        return await in_thread(lambda: list(operator.methodcaller(name, *args, **kwargs)(sync)))

    return call

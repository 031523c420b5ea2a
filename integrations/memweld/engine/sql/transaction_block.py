"""A ``with`` block of a database. A generator would do the same, and take as long as a small statement."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Block"]

T = TypeVar("T")


class Block(Generic[T]):
    """What is entered with one function and left with another.

    Args:
        enter: Gives what the block works with, and whether the block began it or joined what was there. What it began
            must be undone already where it raises.
        leave: Called with whether the block began it, and with what was raised inside.
    """

    __slots__ = ("_enter", "_is_own", "_leave")

    def __init__(
        self, enter: Callable[[], tuple[T, bool]], leave: Callable[[bool, BaseException | None], None]
    ) -> None:
        self._enter = enter
        self._leave = leave
        self._is_own = False

    def __enter__(self) -> T:
        value, self._is_own = self._enter()
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(self._is_own, error)

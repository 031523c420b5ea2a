"""A script for a model: answers one after the other, and a clear error at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["reader"]

C = TypeVar("C")
R = TypeVar("R")


def reader(responses: Iterable[R], last_message: Callable[[C], object]) -> Callable[[C], R]:
    """The function that answers each call with the next response.

    Args:
        responses: What to answer.
        last_message: The last message of a call, for the error.

    Raises:
        RuntimeError: On a call, when the script is at its end.
    """
    script = iter(list(responses))

    def read(call: C) -> R:
        try:
            return next(script)
        except StopIteration:
            last = last_message(call)
            raise RuntimeError(f"The script is at its end, and the model was called again with: {last!r}") from None

    return read

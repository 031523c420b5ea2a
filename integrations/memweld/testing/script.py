"""The core of all scripted models: it answers in order, records the calls, and fails clearly at the script's end."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Script", "ScriptedModel", "split_words"]

R = TypeVar("R")


class Call(Protocol):
    """One call of a model."""

    @property
    def text(self) -> str:
        """All text in the call."""
        ...


C = TypeVar("C", bound=Call)


class Script(Generic[C, R]):
    """The answers of one scripted model and a record of its calls. Thread-safe; copies of a model share it.

    Args:
        responses: The answers in order; or a function from a call to its answer.
        last_message: Returns the last message of a call, for the error at the script's end.

    Attributes:
        responses: The answers of a finite script; None for a function.
    """

    def __init__(
        self,
        responses: Iterable[R | BaseException] | Callable[[C], R | BaseException],
        last_message: Callable[[C], object],
    ) -> None:
        self.responses: list[R | BaseException] | None = None if callable(responses) else list(responses)
        self._respond: Callable[[C], R | BaseException] = responses if callable(responses) else self._next
        self._last_message = last_message
        self._unread = iter(self.responses or ())
        self._calls: list[C] = []
        self._lock = threading.RLock()

    def __deepcopy__(self, memo: object) -> Script[C, R]:
        return self

    @property
    def calls(self) -> list[C]:
        """The calls so far, oldest first."""
        with self._lock:
            return list(self._calls)

    def answer(self, call: C) -> R:
        """Record the call and answer it. An exception among the answers is raised.

        Raises:
            RuntimeError: The script is at its end.
        """
        with self._lock:
            self._calls.append(call)
            response = self._respond(call)
        if isinstance(response, BaseException):
            raise response
        return response

    def _next(self, call: C) -> R | BaseException:
        try:
            return next(self._unread)
        except StopIteration:
            last = self._last_message(call)
            raise RuntimeError(f"The script is at its end, and the model was called again with: {last!r}") from None


class ScriptedModel(Generic[C]):
    """The part of each scripted model that tests read. The model sets ``_script``."""

    _script: Any

    @property
    def calls(self) -> list[C]:
        """The calls of the model, oldest first."""
        return self._script.calls

    @property
    def seen(self) -> str:
        """All text that the model has received, in one string."""
        return "\n".join(call.text for call in self.calls)


def split_words(text: str) -> list[str]:
    """The pieces of a streamed text: each word with the space after it."""
    return re.findall(r"\S*\s*", text)[:-1]

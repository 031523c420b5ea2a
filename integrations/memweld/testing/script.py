"""The core of the scripted models: answers in order, a record of the calls, a clear error at the script's end."""

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
        """All text that the call showed to the model."""
        ...


C = TypeVar("C", bound=Call)


class Script(Generic[C, R]):
    """The answers of one scripted model and a record of its calls. Thread-safe; copies of a model share it.

    Args:
        responses: What to answer, one after the other; or a function from a call to the answer.
        last_message: Gives the last message of a call, for the error at the script's end.

    Attributes:
        responses: The answers of a finite script; None for a function.
    """

    def __init__(
        self, responses: Iterable[R | Exception] | Callable[[C], R | Exception], last_message: Callable[[C], object]
    ) -> None:
        self.responses: list[R | Exception] | None = None if callable(responses) else list(responses)
        self._respond: Callable[[C], R | Exception] = responses if callable(responses) else self._next
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
        """Record the call and answer it; an answer that is an exception is raised.

        Raises:
            RuntimeError: The script is at its end.
        """
        with self._lock:
            self._calls.append(call)
            response = self._respond(call)
        if isinstance(response, Exception):
            raise response
        return response

    def _next(self, call: C) -> R | Exception:
        try:
            return next(self._unread)
        except StopIteration:
            last = self._last_message(call)
            raise RuntimeError(f"The script is at its end, and the model was called again with: {last!r}") from None


class ScriptedModel(Generic[C]):
    """What each scripted model shows to a test. The model itself sets ``_script``."""

    _script: Any

    @property
    def calls(self) -> list[C]:
        """What each call showed to the model, oldest first."""
        return self._script.calls

    @property
    def seen(self) -> str:
        """All text that the model was given, in one string."""
        return "\n".join(call.text for call in self.calls)


def split_words(text: str) -> list[str]:
    """The pieces in which a scripted model streams a text: each word with the space behind it."""
    return re.findall(r"\S*\s*", text)[:-1]

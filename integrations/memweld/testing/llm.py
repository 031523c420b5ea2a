"""A scripted LLM for extraction, with the interface of a LangChain chat model."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

__all__ = ["ScriptedExtractor", "facts"]


def facts(*texts: str) -> str:
    """An LLM's answer with these facts, in a form that both pipelines read."""
    return json.dumps({"memory": [{"id": str(number), "text": text} for number, text in enumerate(texts)]})


class ScriptedExtractor:
    """Answers each ``invoke`` with its next answer, and repeats the last one.

    Args:
        answers: Strings or any other objects to return, exceptions to raise, functions of the messages to call.
        delay: Seconds before each answer.

    Attributes:
        prompts: The messages of each call.
    """

    def __init__(self, answers: Sequence[Any], *, delay: float = 0.0) -> None:
        self._given = list(answers)
        self._answers = itertools.chain(answers, itertools.repeat(answers[-1]))
        self._delay = delay
        self._lock = threading.Lock()
        self.prompts: list[list[tuple[str, str]]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled copy starts at its first answer, for a backend in another process."""
        return type(self), (self._given,), {"_delay": self._delay}

    def invoke(self, messages: list[tuple[str, str]]) -> Any:
        """The next answer."""
        with self._lock:
            self.prompts.append(messages)
            answer = next(self._answers)
        time.sleep(self._delay)
        if isinstance(answer, BaseException):
            raise answer
        return answer(messages) if callable(answer) else answer

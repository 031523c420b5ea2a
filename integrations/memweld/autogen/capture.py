"""Capture, once for the same words: a team hands one message to each of its agents, and a retry hands it over again."""

from __future__ import annotations

import hashlib
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..errors import MemoryNotFoundError
from ..memory.memory import Memory
from ..models import ChatMessage
from ..scope import Scope

__all__ = ["capture_once"]

Key: TypeAlias = "tuple[Scope, str]"

_SECONDS = 600.0
_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class _Captured:
    at: float
    items: Mapping[str, str]  # digests by id: what is erased must not stay here as text


_captured: dict[Key, _Captured] = {}
_guard = threading.Lock()
_turns: weakref.WeakValueDictionary[Scope, threading.Lock] = weakref.WeakValueDictionary()


def capture_once(memory: Memory, session_id: str, said: Sequence[ChatMessage]) -> None:
    """Capture the facts of what the user said, unless another agent of this process just did.

    Without an LLM equal texts are stored once anyway; with one, each agent of a team would have it extract anew and
    word the facts differently. Words count as captured for ten minutes and as long as the memories made of them stand
    unchanged: what was deleted or corrected meanwhile and is said again, is captured again.

    Raises:
        MemweldError: What `memweld.Memory.capture` raises.
    """
    with _guard:
        turn = _turns.setdefault(memory.scope, threading.Lock())
    with turn:
        fresh = [message for message in said if not _is_captured(memory, message)]
        if not fresh:
            return
        # The messages are in the history already: the same ids again double nothing there.
        items = memory.capture(fresh, session_id=session_id)
        marks = {item.id: _digest(item.text) for item in items}
    with _guard:
        for message in fresh:
            _captured.pop(_key(memory, message), None)
            _captured[_key(memory, message)] = _Captured(time.monotonic(), marks)
        while len(_captured) > _KEPT:
            del _captured[next(iter(_captured))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(memory: Memory, message: ChatMessage) -> Key:
    return memory.scope, _digest(message.text)


def _is_captured(memory: Memory, message: ChatMessage) -> bool:
    known = _captured.get(_key(memory, message))
    if known is None or time.monotonic() - known.at > _SECONDS:
        return False
    return all(_stands(memory, memory_id, mark) for memory_id, mark in known.items.items())


def _stands(memory: Memory, memory_id: str, mark: str) -> bool:
    try:
        return _digest(memory.get(memory_id).text) == mark
    except MemoryNotFoundError:
        return False

"""Capture, once for the same words: a team hands one message to each of its agents, a retry hands it over again."""

from __future__ import annotations

import functools
import hashlib
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from cachetools import TTLCache

from ..adapters.capture import TurnCapture
from ..adapters.locks import lock_for
from ..engine.protocol import Engine
from ..errors import MemoryNotFoundError
from ..memory.asynchronous import in_thread
from ..memory.capture_queue import capture_queue_of
from ..memory.memory import Memory
from ..models import ChatMessage
from ..scope import Scope

__all__ = ["USER_NAMES", "capture_once"]

USER_NAMES = ("user", "user_proxy")
"""The sources of AutoGen messages that are the end user. In a team, agents' words come as user messages too."""

_Captured: TypeAlias = TTLCache[tuple[Scope, str], Mapping[str, str] | tuple[Scope, str | None]]

_SECONDS, _MAX_MESSAGES = 600.0, 4_096
_NEWEST = 100
# Of each backend, by scope and digest of the words: digests by id, as the text of an erased memory must not stay here;
# or the key of the capture in the background.
_captured: weakref.WeakKeyDictionary[Engine, _Captured] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


async def capture_once(
    capture: TurnCapture, memory: Memory, session_id: str | None, messages: Sequence[ChatMessage]
) -> None:
    """Capture the facts of what the user said, unless another agent of this process just did.

    Without an LLM the store keeps equal texts once anyway. With one, each agent of a team would have it extract anew
    and word the facts differently. Words count as captured for ten minutes, as long as their memories stand unchanged:
    the user may repeat what was deleted or corrected meanwhile.

    Raises:
        MemweldError: The write fails and ``on_error`` is ``raise``.
    """
    spoken = [message for message in messages if message.text.strip()]
    if spoken and capture.options.captures:
        work = functools.partial(_capture_once, capture, memory, session_id, spoken)
        await in_thread(work, lane=capture.lane(memory, "facts"))


def _capture_once(capture: TurnCapture, memory: Memory, session_id: str | None, spoken: Sequence[ChatMessage]) -> None:
    with lock_for(memory):
        fresh = [message for message in spoken if not _is_captured(memory, message.text)]
        # The history has the messages already.
        items = capture.end(memory, fresh, session_id=session_id, keep="facts")
        if items is None:
            return
        marks = {item.id: _digest(item.text) for item in items}
        if capture.lane(memory, "facts") == "queue":
            marks = (memory.scope, session_id)
        with _guard:
            captured = _captured.setdefault(_engine(memory), TTLCache(_MAX_MESSAGES, _SECONDS))
            captured.update({(memory.scope, _digest(message.text)): marks for message in fresh})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _engine(memory: Memory) -> Engine:
    return memory._engine  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


def _is_captured(memory: Memory, text: str) -> bool:
    with _guard:
        captured = _captured.get(_engine(memory))
        marks = None if captured is None else captured.get((memory.scope, _digest(text)))
    if isinstance(marks, tuple):
        return capture_queue_of(_engine(memory)).has(marks) or _is_stored(memory, text)
    return marks is not None and all(_stands(memory, memory_id, mark) for memory_id, mark in marks.items())


def _stands(memory: Memory, memory_id: str, mark: str) -> bool:
    try:
        item = memory.get(memory_id)
    except MemoryNotFoundError:
        return False
    return item.superseded_by is None and _digest(item.text) == mark


def _is_stored(memory: Memory, text: str) -> bool:
    """Whether the words are a memory or the source of one, or state nothing that would become either."""
    from ..engine.statements import worth_keeping  # its tables take time

    if not worth_keeping(text, role="user"):
        return True
    newest = memory.all(kinds=("item", "source"), limit=_NEWEST, newest_first=True)
    return any(item.text == text for item in newest)

"""Capture of a turn: what is written when a run begins, when it ends and when it fails."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Iterable, Mapping, Sequence

import anyio
from cachetools import LRUCache

from ..errors import InvalidInputError
from ..memory.asynchronous import Lane, in_thread
from ..memory.memory import Memory
from ..memory.messages import new_id
from ..models import JSON, Captured, ChatMessage, MemoryItem
from ..scope import Scope
from .failures import FailurePolicy
from .messages import fit_fact, write_fitting
from .options import TurnOptions

__all__ = ["TurnCapture", "is_unfinished", "spoken_by"]

_UNFINISHED = "unfinished"


def is_unfinished(message: ChatMessage) -> bool:
    """Whether `TurnCapture.begin` wrote it, and no run has ended or failed with it since."""
    return bool((message.native or {}).get(_UNFINISHED))


def spoken_by(messages: Iterable[ChatMessage], user_names: Iterable[str]) -> list[ChatMessage]:
    """The messages of the end user.

    In a team, agents' words reach other agents as user messages too. They carry the agent's name.

    Args:
        messages: Messages of any role.
        user_names: The names under which the end user speaks; a message without a name is the user's.
    """
    names = frozenset(user_names)
    return [
        message for message in messages if message.role == "user" and (message.name is None or message.name in names)
    ]


class TurnCapture:
    """Keeps the turns of one adapter object. Thread-safe; one object serves many users.

    The caller hands in neutral messages and the same ids each time: a message that is written again under its id
    replaces itself, so `begin`, `end` and `rescue` double nothing. Where the options turn capture off, none does
    anything.

    A model call can fail and then succeed, when the framework retries it or the user writes the same again: `rescue`
    comes first then, and `end` after it. The LLM does not read such a turn: its words are memories already.

    Args:
        options: The options of the adapter.
        failures: What a failing write does to the run.
    """

    def __init__(self, options: TurnOptions, failures: FailurePolicy) -> None:
        self.options = options
        self._failures = failures
        # The latest rescued statements, by scope and hash. A retry follows its failure closely, but a user who writes
        # the same again sends another message id.
        self._rescued: LRUCache[tuple[Scope, int], None] = LRUCache(1024)
        self._lock = threading.Lock()

    def begin(
        self, memory: Memory, messages: Sequence[ChatMessage], *, session_id: str | None, keep: Captured = "turn"
    ) -> None:
        """Write what the user says before the model is asked: a run may never end.

        Where an LLM is to extract the facts, it reads the finished turn; else they are the user's words, and `end` adds
        nothing to them.

        Raises:
            MemweldError: The write fails and ``on_error`` is ``raise``.
        """
        part = self._part_to_begin(memory, session_id, keep)
        if messages and part is not None:
            marked = [
                dataclasses.replace(message, native={**(message.native or {}), _UNFINISHED: True})
                for message in messages
            ]
            with self._failures.guard("keeping what the user says"):
                self._write(memory, marked, session_id, part, infer=False)

    def _part_to_begin(self, memory: Memory, session_id: str | None, keep: Captured) -> Captured | None:
        """The part of a turn that can be kept before it is over; None if there is none."""
        has_history = session_id is not None and keep != "facts"
        has_facts = keep != "history" and (self.options.infer is False or not memory.can_extract)
        if not self.options.captures or not (has_history or has_facts):
            return None
        return "turn" if has_history and has_facts else "history" if has_history else "facts"

    def end(
        self,
        memory: Memory,
        messages: Sequence[ChatMessage],
        *,
        session_id: str | None,
        keep: Captured = "turn",
        metadata: Mapping[str, JSON] | None = None,
    ) -> list[MemoryItem] | None:
        """Keep a finished turn: its messages in the history, its facts as memories.

        Args:
            memory: The user's memory.
            messages: The messages of the turn, oldest first.
            session_id: The session; without one only facts are kept.
            keep: ``turn`` for both, or ``history`` or ``facts`` alone.
            metadata: JSON data for the facts.

        Returns:
            The memories that hold the facts; empty in the background. None where the write failed and the run goes on.

        Raises:
            MemweldError: The write fails and ``on_error`` is ``raise``.
        """
        if messages and self.options.captures:
            with self._failures.guard("capture"):
                infer = False if self._is_rescued(memory, messages) else self.options.infer
                return self._write(memory, messages, session_id, keep, infer=infer, metadata=metadata)
            return None
        return []

    def rescue(
        self,
        memory: Memory,
        messages: Sequence[ChatMessage],
        *,
        session_id: str | None,
        keep: Captured = "turn",
        metadata: Mapping[str, JSON] | None = None,
    ) -> None:
        """Keep what the user said in a run that fails or is cancelled. The run's own error goes on."""
        spoken = [message for message in messages if message.role == "user"]
        if spoken and self.options.captures:
            with self._failures.rescue("what the user said"):
                # Verbatim: the LLM that extracts is likely to fail as the run's did. Equal texts are stored once.
                self._write(memory, spoken, session_id, keep, infer=False, metadata=metadata)
                if keep != "history":
                    with self._lock:
                        self._rescued.update(dict.fromkeys(_statements(memory, spoken)))

    def _is_rescued(self, memory: Memory, messages: Sequence[ChatMessage]) -> bool:
        """Whether `rescue` has kept what the user states in this turn."""
        with self._lock:
            return bool(self._rescued) and any(each in self._rescued for each in _statements(memory, messages))

    async def begin_async(
        self, memory: Memory, messages: Sequence[ChatMessage], *, session_id: str | None, keep: Captured = "turn"
    ) -> None:
        """`begin` for async code; a cancelled task carries it to its end."""
        if messages and self._part_to_begin(memory, session_id, keep) is not None:
            with anyio.CancelScope(shield=True):
                work = functools.partial(self.begin, memory, messages, session_id=session_id, keep=keep)
                await in_thread(work, lane="quick" if keep == "history" else "write")

    async def end_async(
        self, memory: Memory, messages: Sequence[ChatMessage], *, session_id: str | None, keep: Captured = "turn"
    ) -> list[MemoryItem] | None:
        """`end` for async code; it waits for an LLM in threads of its own."""
        if messages and self.options.captures:
            work = functools.partial(self.end, memory, messages, session_id=session_id, keep=keep)
            return await in_thread(work, lane=self.lane(memory, keep))
        return []

    def lane(self, memory: Memory, keep: Captured) -> Lane:
        """What the end of a turn waits for."""
        if keep == "history":
            return "quick"
        if self._in_background(memory, keep, self.options.infer):
            return "queue"
        return "write" if self.options.infer is False or not memory.can_extract else "llm"

    async def rescue_async(
        self, memory: Memory, messages: Sequence[ChatMessage], *, session_id: str | None, keep: Captured = "turn"
    ) -> None:
        """`rescue` for async code; a cancelled task carries it to its end."""
        if messages and self.options.captures:
            with anyio.CancelScope(shield=True):
                work = functools.partial(self.rescue, memory, messages, session_id=session_id, keep=keep)
                await in_thread(work, lane="quick" if keep == "history" else "write")

    def _write(
        self,
        memory: Memory,
        messages: Sequence[ChatMessage],
        session_id: str | None,
        keep: Captured,
        *,
        infer: bool | None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> list[MemoryItem]:
        named = [message if message.id else dataclasses.replace(message, id=new_id()) for message in messages]
        background = self._in_background(memory, keep, infer)
        capture = functools.partial(memory.capture, session_id=session_id, metadata=metadata)
        try:
            return capture(named, keep=keep, infer=infer, background=background)
        except InvalidInputError:
            # Rules for a caller's input are not for foreign data at the end of a run: shorten, and keep the rest.
            if session_id is not None and keep != "facts":
                write_fitting(functools.partial(capture, keep="history"), named)
            if keep != "history":
                facts = [fact for message in named if (fact := fit_fact(message)) is not None]
                if facts:
                    return capture(facts, keep="facts", infer=infer, background=background)
            return []

    def _in_background(self, memory: Memory, keep: Captured, infer: bool | None) -> bool:
        """Whether the run does not wait for the facts: by default where an LLM extracts them."""
        if self.options.capture is None:
            return infer is not False and keep != "history" and memory.can_extract
        return self.options.capture == "background"


def _statements(memory: Memory, messages: Sequence[ChatMessage]) -> list[tuple[Scope, int]]:
    from ..engine.statements import worth_keeping

    spoken = [message.text for message in messages if message.role == "user"]
    return [(memory.scope, hash(text)) for text in spoken if worth_keeping(text, role="user")]

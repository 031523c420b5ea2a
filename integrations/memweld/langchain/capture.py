"""The messages of a turn that may be kept: the option ``keep``, and the filter that has the last word."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from langchain_core.messages import BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import Runnable

from ..errors import invalid
from ..memory.asynchronous import in_thread
from ..memory.content import attempt
from ..models import Captured
from .state import Turn
from .transcript import exchanges

__all__ = ["CaptureMode", "CapturePolicy", "MessageFilter"]

CaptureMode: TypeAlias = Literal["turn", "user", "history", "facts"]
"""Which part of a turn is kept: all of it; the user's words; its messages without facts; its facts without messages."""

MessageFilter: TypeAlias = (
    Callable[[list[BaseMessage]], Sequence[BaseMessage] | Awaitable[Sequence[BaseMessage]]] | Runnable[Any, Any]
)
"""Takes messages and returns those that may be stored, changed if need be."""


@dataclass(frozen=True, kw_only=True)
class CapturePolicy:
    """Chooses the messages to keep. The fields are options of `MemweldMiddleware`."""

    keep: CaptureMode
    message_filter: MessageFilter | None

    def __post_init__(self) -> None:
        if self.keep not in ("turn", "user", "history", "facts"):
            raise invalid("keep", self.keep, "it is turn, user, history or facts", "Choose one.")
        given = self.message_filter
        if not (given is None or isinstance(given, Runnable) or callable(given)):
            rule = "it is a function or a Runnable that takes messages and returns those that may be stored"
            raise invalid("message_filter", given, rule, "Pass one, or leave it out.")

    @property
    def captured(self) -> Captured:
        """The part of a turn, in the words of `Memory.capture`."""
        return self.keep if self.keep in ("history", "facts") else "turn"

    def candidates(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The messages of the turn that the filter is asked about."""
        spoken = turn.messages(messages)
        return [message for message in spoken if isinstance(message, HumanMessage)] if self.keep == "user" else spoken

    def permitted(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The messages of the turn that may be kept.

        Args:
            turn: The running turn.
            messages: The agent's messages as they are now.

        Raises:
            Exception: Whatever the filter raises.
        """
        candidates = self.candidates(turn, messages)
        if self.message_filter is None:
            return candidates
        call = _call(self.message_filter)
        kept: list[BaseMessage] = []
        for exchange in exchanges(candidates):
            result = call(list(map(_copied, exchange)))
            kept += _validated(_awaited(result) if inspect.isawaitable(result) else result)
        return kept

    async def permitted_async(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """`permitted` for async code: an asynchronous filter is awaited, another is called in a thread."""
        candidates = self.candidates(turn, messages)
        if self.message_filter is None:
            return candidates
        call = _call(self.message_filter, asynchronous=True)
        kept: list[BaseMessage] = []
        for exchange in exchanges(candidates):
            work = functools.partial(call, list(map(_copied, exchange)))
            result = work() if _is_async(call) else await in_thread(work)
            kept += _validated(await result if inspect.isawaitable(result) else result)
        return kept


def _call(given: MessageFilter, *, asynchronous: bool = False) -> Callable[[Any], Any]:
    if isinstance(given, Runnable):
        runnable = cast("Runnable[Any, Any]", given)
        return runnable.ainvoke if asynchronous else runnable.invoke
    return given


def _is_async(function: Any) -> bool:
    # Of an object with an asynchronous __call__, too.
    return any(inspect.iscoroutinefunction(each) for each in (function, type(function).__call__))


def _awaited(result: Awaitable[Any]) -> Any:
    """The result of an asynchronous filter in a synchronous run, which may itself stand in a running event loop."""

    async def wait() -> Any:
        return await result

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(contextvars.copy_context().run, asyncio.run, wait()).result()


def _copied(message: BaseMessage) -> BaseMessage:
    """A copy that a filter may change: the agent's messages and checkpoints are not its business."""
    copied = attempt(lambda: copy.deepcopy(message), None, what="a message")
    if copied is not None:
        return copied
    # An artifact cannot be copied.
    fields = {"content": copy.deepcopy(message.content), "additional_kwargs": dict(message.additional_kwargs)}
    return message.model_copy(update=fields)


def _validated(result: object) -> list[BaseMessage]:
    """The messages that a filter returned; anything else stores nothing, lest a mistake let something pass."""
    rule = f"the message filter must return a list of messages, not {type(result).__name__}"
    if isinstance(result, (list, tuple)):
        messages = list(cast("Sequence[object]", result))
        if all(isinstance(message, BaseMessage) and not isinstance(message, RemoveMessage) for message in messages):
            return cast("list[BaseMessage]", messages)
        rule = "the message filter must return messages, and some are none"
    raise invalid("message filter's result", "…", rule, "Return an empty list to have nothing stored.")

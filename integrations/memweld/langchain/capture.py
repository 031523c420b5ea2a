"""What of a turn is kept, and how: the choice of messages, the filter that has the last word, and the writing."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import anyio.to_thread
from langchain_core.messages import BaseMessage, HumanMessage, RemoveMessage
from langchain_core.runnables import Runnable

from ..errors import invalid
from .messages import to_neutral
from .state import Turn
from .transcript import exchanges

__all__ = ["Keep", "Keeper", "MessageFilter"]

Keep: TypeAlias = Literal["turn", "user", "history", "facts"]
"""What is kept of a turn: all of it; what the user said; its messages without facts; its facts without messages."""

MessageFilter: TypeAlias = (
    Callable[[list[BaseMessage]], Sequence[BaseMessage] | Awaitable[Sequence[BaseMessage]]] | Runnable[Any, Any]
)
"""Takes messages and returns those that may be stored, changed if need be."""


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Keeps turns. The fields are the options of `MemweldMiddleware`."""

    keep: Keep
    background: bool
    infer: bool | None
    message_filter: MessageFilter | None

    def __post_init__(self) -> None:
        if self.keep not in ("turn", "user", "history", "facts"):
            raise invalid("keep", self.keep, "it is turn, user, history or facts", "Choose one.")
        given = self.message_filter
        if not (given is None or isinstance(given, Runnable) or callable(given)):
            rule = "it is a function or a Runnable that takes messages and returns those that may be stored"
            raise invalid("message_filter", given, rule, "Pass one, or leave it out.")

    def permitted(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """What may be kept of the turn.

        Args:
            turn: The running turn.
            messages: The agent's messages as they are now.

        Raises:
            Exception: Whatever the filter raises.
        """
        candidates = self._candidates(turn, messages)
        given = self.message_filter
        if given is None:
            return candidates
        call = _call(given)
        kept: list[BaseMessage] = []
        for exchange in exchanges(candidates):
            result = call([_own(message) for message in exchange])
            kept += _checked(_awaited(result) if inspect.isawaitable(result) else result)
        return kept

    async def apermitted(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """What may be kept of the turn; an asynchronous filter is awaited here, another is called in a thread."""
        candidates = self._candidates(turn, messages)
        given = self.message_filter
        if given is None:
            return candidates
        kept: list[BaseMessage] = []
        for exchange in exchanges(candidates):
            own = [_own(message) for message in exchange]
            call = _call(given, asynchronous=True)
            result = call(own) if _is_async(call) else await anyio.to_thread.run_sync(call, own)
            result = await result if inspect.isawaitable(result) else result
            kept += _checked(result)
        return kept

    def write(self, turn: Turn, messages: Sequence[BaseMessage], *, infer: bool | None) -> None:
        """Keep these messages of the turn.

        Raises:
            MemweldError: They cannot be kept.
        """
        if messages:
            turn.memory.capture(
                [to_neutral(message) for message in messages],
                session_id=turn.session_id,
                infer=infer,
                keep=self.keep if self.keep in ("history", "facts") else "turn",
                background=self.background,
            )

    def marks(self, turn: Turn, state: Any, kept: Sequence[BaseMessage]) -> dict[str, Any]:
        """What the thread's checkpoint learns of a turn that is dealt with: ids, and no text."""
        marks: dict[str, Any] = {"memweld_seen": state["messages"][-1].id} if state["messages"] else {}
        is_in_history = turn.session_id is not None and self.keep != "facts" and bool(kept) and kept[0].id is not None
        if is_in_history and turn.earlier_until is not None and state.get("memweld_before") is None:
            marks["memweld_before"] = kept[0].id
        return marks

    def _candidates(self, turn: Turn, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        said = turn.messages(messages)
        return [message for message in said if isinstance(message, HumanMessage)] if self.keep == "user" else said


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


def _own(message: BaseMessage) -> BaseMessage:
    """A copy that a filter may change: the agent's messages and checkpoints are not its business."""
    try:
        return copy.deepcopy(message)
    except Exception:  # noqa: BLE001 - an artifact that cannot be copied; whatever its class raises
        fields = {"content": copy.deepcopy(message.content), "additional_kwargs": dict(message.additional_kwargs)}
        return message.model_copy(update=fields)


def _checked(result: object) -> list[BaseMessage]:
    """The messages that a filter returned; anything else stores nothing, lest a mistake let something pass."""
    rule = f"the message filter must return a list of messages, not {type(result).__name__}"
    if isinstance(result, (list, tuple)):
        messages = list(cast("Sequence[object]", result))
        if all(isinstance(message, BaseMessage) and not isinstance(message, RemoveMessage) for message in messages):
            return cast("list[BaseMessage]", messages)
        rule = "the message filter must return messages, and some are none"
    raise invalid("message filter's result", "…", rule, "Return an empty list to have nothing stored.")

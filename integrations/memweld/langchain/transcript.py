"""The messages of an agent: which belong to the running turn, and where the session's past and memories go."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from langchain.agents.middleware import ModelRequest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from .messages import neutral_text

__all__ = ["exchanges", "injected", "is_spoken", "last_human_text", "shown_texts", "turn_start"]


def is_spoken(message: BaseMessage) -> bool:
    """Whether it belongs to the conversation: no prompt, and no summary that a middleware made of the messages."""
    # SummarizationMiddleware (langchain 1.x) replaces old messages by a HumanMessage that carries this mark.
    return not isinstance(message, SystemMessage) and message.additional_kwargs.get("lc_source") != "summarization"


def _is_human(message: BaseMessage) -> bool:
    return isinstance(message, HumanMessage) and is_spoken(message)


def turn_start(
    messages: Sequence[BaseMessage],
    kept: Container[str | None],
    unfinished: Container[str | None] = (),
    *,
    all_new: bool = False,
) -> int:
    """The start of the turn that memory has not seen yet.

    Args:
        messages: The agent's messages; those of a checkpointed thread begin with turns of the past.
        kept: The ids of messages whose turn is kept.
        unfinished: The ids of messages that were written when a run began which never ended.
        all_new: Whether no turn of the thread was dealt with: its first run failed, or the memory was down.

    Returns:
        The index behind the last message that is kept. Where none is (a new thread, or a caller without ids), that of
        the last human message, or of the first if several were sent at once; the end where no human spoke.
    """
    humans = [index for index, message in enumerate(messages) if _is_human(message)]
    known = next((index for index in range(len(messages) - 1, -1, -1) if messages[index].id in kept), None)
    later = humans if known is None else [index for index in humans if index > known]
    if lost := [index for index in later if messages[index].id in unfinished]:
        return lost[0]
    if known is not None:
        # A caller who sends the whole conversation again: LangGraph 1.x wrote ids into the human messages it was
        # given, while the answers between them are new objects. The answer to a kept message is kept.
        return later[0] if known in humans and later else known + 1
    if all_new and humans:
        return humans[0]
    start = humans[-1] if humans else len(messages)
    while start - 1 in humans:
        start -= 1
    return start


def exchanges(messages: Iterable[BaseMessage]) -> list[list[BaseMessage]]:
    """The messages in groups: a human message and all that followed it."""
    groups: list[list[BaseMessage]] = []
    for message in messages:
        if not groups or _is_human(message):
            groups.append([])
        groups[-1].append(message)
    return groups


def shown_texts(messages: Iterable[BaseMessage]) -> set[str]:
    """The words of the user and the agent in these messages, each as a memory of it would read."""
    spoken = (message for message in messages if isinstance(message, (HumanMessage, AIMessage)) and message.content)
    return {neutral_text(message) for message in spoken}


def last_human_text(messages: Sequence[BaseMessage]) -> str:
    """The user's last words; empty where there are none."""
    return next((str(message.text) for message in reversed(messages) if _is_human(message)), "")


def injected(
    request: ModelRequest[Any], block: str, earlier: Sequence[BaseMessage], profile: str = ""
) -> ModelRequest[Any]:
    """The request with the session's past before its messages, and the recalled block in the user's last one.

    The profile, which stays the same in a session, ends the system message.

    There the block comes after everything that stays the same from turn to turn, which a provider can then cache. Not
    every provider takes a system message further back, or a second message of the user. Where no human spoke, the
    block ends the system message.
    """
    if profile:
        request = request.override(system_message=_with_block(request.system_message, profile))
    messages: list[Any] = list(request.messages)
    if earlier:
        prompts = 0
        while prompts < len(messages) and isinstance(messages[prompts], SystemMessage):
            prompts += 1
        messages[prompts:prompts] = earlier
    place = next((index for index in range(len(messages) - 1, -1, -1) if _is_human(messages[index])), None)
    if block and place is None:
        request = request.override(system_message=_with_block(request.system_message, block))
    elif block and place is not None:
        content: str | list[Any] = messages[place].content
        text = f"{block}\n\n{content}" if isinstance(content, str) else [{"type": "text", "text": block}, *content]
        messages[place] = messages[place].model_copy(update={"content": text})
    return request.override(messages=messages)


def _with_block(prompt: SystemMessage | None, block: str) -> SystemMessage:
    if prompt is None or not prompt.content:
        return SystemMessage(content=block)
    if isinstance(prompt.content, str):
        return prompt.model_copy(update={"content": f"{prompt.content}\n\n{block}"})
    return prompt.model_copy(update={"content": [*prompt.content, {"type": "text", "text": block}]})

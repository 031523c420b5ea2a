"""Messages between LangChain and memweld: every type survives by its own dump, other frameworks' are converted."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
)
from langchain_core.messages import ChatMessage as RoleMessage
from langchain_core.messages import ToolCall as LangChainToolCall

from ..adapters.messages import native_dump, neutral_call, neutral_key, read_native, tells_changes
from ..engine.message_rules import ROLES
from ..errors import invalid
from ..memory.content import attempt, neutral_content
from ..models import JSON, ChatMessage, Role, ToolCall

__all__ = ["FRAMEWORK", "neutral_text", "to_langchain", "to_neutral"]

FRAMEWORK = "langchain"


@tells_changes
def to_neutral(message: BaseMessage) -> ChatMessage:
    """A LangChain message as every framework reads it, with its own dump for LangChain.

    The nearest value replaces what JSON cannot hold: a tool's artifact of any class, a NUL character.

    Raises:
        InvalidInputError: A `RemoveMessage`, which is a command and no message of a conversation.
    """
    if isinstance(message, RemoveMessage):
        raise invalid("message", message, "it removes a message and says nothing", "Clear the session instead.")
    role = _role(message)
    return ChatMessage(
        role=role,
        content=_read_content(message),
        id=neutral_key(message.id),
        name=neutral_key(message.name),
        tool_calls=_neutral_calls(message) if role == "assistant" else (),
        tool_call_id=neutral_key(getattr(message, "tool_call_id", None)),
        native=native_dump(FRAMEWORK, lambda: _dump(message)),
    )


def neutral_text(message: BaseMessage) -> str:
    """The text of a message as it is kept, and as a memory of it reads."""
    return ChatMessage(role="user", content=_read_content(message)).text


def to_langchain(message: ChatMessage) -> BaseMessage:
    """The message in LangChain's classes: exactly as it was if LangChain wrote it, else from the neutral fields."""
    dump = read_native(message, FRAMEWORK)
    if dump is not None:
        try:
            return messages_from_dict([dict(dump)])[0]
        except (KeyError, TypeError, ValueError):
            pass  # Another version wrote it, and this one cannot read it: the neutral fields are left.
    fields: dict[str, Any] = {"content": message.content, "id": message.id, "name": message.name}
    if message.role == "user":
        return HumanMessage(**fields)
    if message.role == "system":
        return SystemMessage(**fields)
    if message.role == "tool":
        return ToolMessage(**fields, tool_call_id=message.tool_call_id or "")
    calls = [
        LangChainToolCall(name=call.name, args=dict(call.arguments), id=call.id, type="tool_call")
        for call in message.tool_calls
    ]
    return AIMessage(**fields, tool_calls=calls)


def _role(message: BaseMessage) -> Role:
    if isinstance(message, AIMessage):
        return "assistant"
    named = message.role if isinstance(message, RoleMessage) else message.type.removesuffix("MessageChunk")
    # An unknown role is a part of the program, not the user: its words are no facts about the user.
    return ROLES.get(named.lower(), "assistant")


def _neutral_calls(message: BaseMessage) -> tuple[ToolCall, ...]:
    # langchain-openai sends calls whose arguments are no JSON again, and OpenAI wants a result of those too.
    calls = (*getattr(message, "tool_calls", ()), *getattr(message, "invalid_tool_calls", ()))
    return tuple(neutral_call(call["id"], call["name"], call["args"]) for call in calls)


def _dump(message: BaseMessage) -> dict[str, Any]:
    # As `message_to_dict` does, but pydantic fails on an artifact that holds itself, and copies one part many times.
    return {"type": message.type, "data": {**vars(message), **(message.model_extra or {})}}


def _read_content(message: BaseMessage) -> str | list[dict[str, JSON]]:
    return attempt(lambda: neutral_content(message.content), "", what="the content")

"""Messages between LangChain and memweld: every type survives by its own dump, other frameworks' are converted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.messages import ChatMessage as RoleMessage
from langchain_core.messages import ToolCall as LangChainToolCall

from ..errors import invalid
from ..memory.messages import storable
from ..models import JSON, ChatMessage, Role, ToolCall

__all__ = ["FRAMEWORK", "neutral_text", "to_langchain", "to_neutral"]

FRAMEWORK = "langchain"

_ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
}
# What a provider writes for itself; its meaning is in the tool calls, or nobody else's business.
_PRIVATE_PARTS = frozenset({"tool_use", "tool_call", "function_call", "thinking", "redacted_thinking", "reasoning"})


def to_neutral(message: BaseMessage) -> ChatMessage:
    """A LangChain message as every framework reads it, with its own dump for LangChain.

    What JSON cannot hold (a tool's artifact of any class, a NUL character, half a surrogate pair) is replaced by what
    comes nearest, so that a message is never lost for it.

    Raises:
        InvalidInputError: A `RemoveMessage`, which is a command and not something that was said.
    """
    if isinstance(message, RemoveMessage):
        raise invalid("message", message, "it removes a message and says nothing", "Clear the session instead.")
    role = _role(message)
    return ChatMessage(
        role=role,
        content=_neutral_content(message.content),
        id=message.id,
        name=message.name or None,
        tool_calls=tuple(_neutral_calls(message)) if role == "assistant" else (),
        tool_call_id=getattr(message, "tool_call_id", None) or None,
        native={"framework": FRAMEWORK, "message": storable(message_to_dict(message))},
    )


def neutral_text(message: BaseMessage) -> str:
    """The text of a message as it is kept: what a memory of these words says."""
    return ChatMessage(role="user", content=_neutral_content(message.content)).text


def to_langchain(message: ChatMessage) -> BaseMessage:
    """The message in LangChain's classes: exactly as it was if LangChain wrote it, else from the neutral fields."""
    native = message.native
    if native is not None and native.get("framework") == FRAMEWORK:
        try:
            return messages_from_dict([native["message"]])[0]
        except (KeyError, TypeError, ValueError):
            pass  # A dump of another version that this one cannot read: the neutral fields say what was said.
    content = cast("str | list[str | dict[Any, Any]]", message.content)
    if message.role == "user":
        return HumanMessage(content=content, id=message.id, name=message.name)
    if message.role == "system":
        return SystemMessage(content=content, id=message.id, name=message.name)
    if message.role == "tool":
        call_id = message.tool_call_id or ""
        return ToolMessage(content=content, id=message.id, name=message.name, tool_call_id=call_id)
    calls = [
        LangChainToolCall(name=call.name, args=dict(call.arguments), id=call.id, type="tool_call")
        for call in message.tool_calls
    ]
    return AIMessage(content=content, id=message.id, name=message.name, tool_calls=calls)


def _role(message: BaseMessage) -> Role:
    if isinstance(message, RoleMessage):
        # A role that we do not know is somebody in the program, not the user: their words are no facts about the user.
        return _ROLES.get(message.role.lower(), "assistant")
    if isinstance(message, AIMessage):
        return "assistant"
    return _ROLES.get(message.type.removesuffix("MessageChunk").lower(), "assistant")


def _neutral_calls(message: BaseMessage) -> Iterable[ToolCall]:
    for call in getattr(message, "tool_calls", None) or ():
        yield ToolCall(id=call["id"] or call["name"], name=call["name"], arguments=storable(call["args"]))


def _neutral_content(content: str | list[Any]) -> str | list[dict[str, JSON]]:
    if isinstance(content, str):
        return cast("str", storable(content))
    parts = [_neutral_part(part) for part in content]
    return [part for part in parts if part is not None] or ""


def _neutral_part(part: object) -> dict[str, JSON] | None:
    if not isinstance(part, Mapping):
        return {"type": "text", "text": storable(part if isinstance(part, str) else str(part))}
    block = cast("dict[str, Any]", storable(part))
    kind = block.get("type")
    if kind in _PRIVATE_PARTS:
        return None
    if kind == "image" and (url := _image_url(block)):
        return {"type": "image_url", "image_url": {"url": url}}
    return block


def _image_url(block: Mapping[str, Any]) -> str | None:
    """The image of a LangChain (``url``, ``base64``) or Anthropic (``source``) block as a URL."""
    source = block.get("source")
    fields = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else block
    if isinstance(url := fields.get("url"), str):
        return url
    data = fields.get("base64") or fields.get("data")
    mime_type = fields.get("mime_type") or fields.get("media_type") or "image/png"
    return f"data:{mime_type};base64,{data}" if isinstance(data, str) else None

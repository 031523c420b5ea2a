"""Message objects of LangChain, OpenAI, CrewAI and AutoGen in our form. Their attributes tell: no framework loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..engine.message_rules import ROLES
from ..models import JSON
from .content import storable

__all__ = ["from_object"]


def from_object(value: object) -> list[dict[str, JSON]] | None:
    """A framework's message object as messages ``{"role", "content", …}``; None if it is no message.

    One object of AutoGen may hold the results of several tool calls.
    """
    message: Any = value
    if isinstance(value, (str, Mapping)) or not hasattr(message, "content"):
        return None
    kind = getattr(message, "type", None)
    if kind == "FunctionExecutionResultMessage":
        return [
            {"role": "tool", "content": str(result.content), "tool_call_id": result.call_id, "name": result.name}
            for result in message.content
        ]
    role = _role(message, kind)
    if role is None:
        return None
    calls: list[Any] = list(getattr(message, "tool_calls", None) or [])
    content = message.content
    if kind == "AssistantMessage" and not isinstance(content, str):
        # AutoGen puts the calls into the content, and what the model thought beside it.
        calls, content = list(content), getattr(message, "thought", None) or ""
    fields = {
        "role": role,
        "content": _content(content),
        "id": getattr(message, "id", None),
        "name": getattr(message, "name", None),
        "tool_call_id": getattr(message, "tool_call_id", None),
        "tool_calls": [_call(call) for call in calls],
        "created_at": getattr(message, "created_at", None),
    }
    return [{name: field for name, field in fields.items() if field is not None and field != []}]


def _role(message: Any, kind: object) -> str | None:
    role = getattr(message, "role", None)
    if role is not None:
        return str(getattr(role, "value", role))
    # LangChain writes "human" and "HumanMessageChunk", AutoGen "UserMessage".
    named = str(kind).removesuffix("Chunk").removesuffix("Message").lower()
    if named in ROLES:
        return named
    source = getattr(message, "source", None)
    if source is None:
        return None
    # A message between AutoGen's agents names who said it.
    return "user" if source == "user" else "assistant"


def _content(content: Any) -> Any:
    if content is None or isinstance(content, str) or not isinstance(content, Sequence):
        return "" if content is None else content
    return [_part(part) for part in cast("Sequence[Any]", content)]


def _part(part: Any) -> Any:
    if callable(image := getattr(part, "to_openai_format", None)):
        return image()
    if isinstance(part, (str, Mapping)):
        return cast("Any", part)
    return storable(part)


def _call(call: Any) -> dict[str, Any]:
    if isinstance(call, Mapping):
        return dict(cast("Mapping[str, Any]", call))
    function = getattr(call, "function", call)
    return {"id": call.id, "name": function.name, "arguments": function.arguments}

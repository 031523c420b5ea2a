"""What is sent to a model: AG2's inputs as the content parts of a message, and back."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from ag2.events import BinaryInput, BinaryType, DataInput, Input, TextInput, UrlInput

from ..memory.messages import storable
from ..models import JSON, ChatMessage
from ..validation import dump_json

__all__ = ["content_of", "inputs_of", "text_of"]


def text_of(parts: Iterable[Input]) -> str:
    """The text of what was sent to a model or came from a tool; files are left out."""
    texts = [part.content if isinstance(part, TextInput) else _data_text(part) for part in parts]
    return "\n".join(text for text in texts if text)


def content_of(parts: Sequence[Input]) -> str | list[dict[str, JSON]]:
    """The inputs as a message's content: text where it is one text, else content parts."""
    if len(parts) == 1 and isinstance(parts[0], (TextInput, DataInput)):
        return text_of(parts)
    return [_part(part) for part in parts]


def _part(part: Input) -> dict[str, JSON]:
    if isinstance(part, BinaryInput) and part.kind == BinaryType.IMAGE:
        data = base64.b64encode(part.data).decode()
        return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
    if isinstance(part, UrlInput) and part.kind == BinaryType.IMAGE:
        return {"type": "image_url", "image_url": {"url": part.url}}
    if isinstance(part, (TextInput, DataInput)):
        return {"type": "text", "text": text_of([part])}
    kind = getattr(part, "kind", None)
    return {"type": kind.value if isinstance(kind, BinaryType) else "file"}


def _data_text(part: Input) -> str:
    if not isinstance(part, DataInput):
        return ""
    value = storable(part.data.model_dump(mode="json") if hasattr(part.data, "model_dump") else part.data)  # type: ignore[union-attr]
    return value if isinstance(value, str) else dump_json(value)


def inputs_of(message: ChatMessage) -> list[Input]:
    """A message's content as inputs; what AG2 has no input for is named in brackets."""
    if isinstance(message.content, str):
        return [TextInput(message.content)]
    return [_input(part) for part in message.content]


def _input(part: Mapping[str, JSON]) -> Input:
    if isinstance(part.get("text"), str):
        return TextInput(part["text"])
    image = part.get("image_url")
    url = cast("Mapping[str, JSON]", image).get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        return TextInput(f"[{part.get('type', 'attachment')}]")
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:"):
        return UrlInput(url, kind=BinaryType.IMAGE)
    try:
        return BinaryInput(base64.b64decode(data), media_type=head.removeprefix("data:"), kind=BinaryType.IMAGE)
    except ValueError:
        return TextInput("[image]")

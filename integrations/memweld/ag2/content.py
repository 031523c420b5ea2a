"""Between AG2's inputs and the content parts of a neutral message."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from ag2.events import BinaryInput, BinaryType, DataInput, Input, TextInput, UrlInput

from ..memory.content import (
    ContentPart,
    image_part,
    join_parts,
    other_part,
    read_parts,
    split_data_url,
    storable,
    text_part,
)
from ..models import JSON, ChatMessage
from ..validation import dump_json

__all__ = ["content_of", "inputs_of", "text_of"]


def text_of(parts: Iterable[Input]) -> str:
    """The text of inputs to a model or of a tool's result, without files."""
    return "\n".join(text for text in map(_text, parts) if text)


def content_of(parts: Sequence[Input]) -> str | list[dict[str, JSON]]:
    """The inputs as the content of a neutral message."""
    return join_parts(map(_part, parts))


def inputs_of(message: ChatMessage) -> list[Input]:
    """A message's content as inputs; a name in brackets stands for what AG2 has no input for."""
    return [_input(part) for part in read_parts(message.content)]


def _text(part: Input) -> str:
    if isinstance(part, TextInput):
        return part.content
    if not isinstance(part, DataInput):
        return ""
    value = storable(part.data)
    return value if isinstance(value, str) else dump_json(value)


def _part(part: Input) -> dict[str, JSON]:
    if isinstance(part, (TextInput, DataInput)):
        return text_part(_text(part))
    kind = getattr(part, "kind", None)
    if isinstance(part, BinaryInput) and kind == BinaryType.IMAGE:
        return image_part(f"data:{part.media_type};base64,{base64.b64encode(part.data).decode()}")
    if isinstance(part, UrlInput) and kind == BinaryType.IMAGE:
        return image_part(part.url)
    return other_part(kind.value if isinstance(kind, BinaryType) else "file")


def _input(part: ContentPart) -> Input:
    if part.url is None:
        return TextInput(part.text)
    data = split_data_url(part.url)
    if data is None:
        return UrlInput(part.url, kind=BinaryType.IMAGE)
    try:
        return BinaryInput(base64.b64decode(data[1]), media_type=data[0], kind=BinaryType.IMAGE)
    except ValueError:
        return TextInput(part.text)

"""Content parts of messages: text, images and other attachments, between frameworks and the neutral form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..models import JSON

__all__ = [
    "ContentPart",
    "image_part",
    "image_url",
    "join_parts",
    "other_part",
    "read_parts",
    "split_data_url",
    "storable",
    "text_part",
]

# The dump of a message is kept inside of other levels; 64 is the most that is stored.
_MAX_DEPTH = 48
_MAX_INTEGER_BITS = 8_192
_CUT = "…"


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One part of a message's content.

    Attributes:
        kind: ``text``, ``image`` or ``other`` (audio, a file).
        text: The text; of another part its name in brackets, ``[image]``, for models that cannot take it.
        url: Where the image is, or the image itself as a ``data:`` URL.
    """

    kind: Literal["text", "image", "other"]
    text: str
    url: str | None = None


def read_parts(content: str | Sequence[Mapping[str, JSON]]) -> list[ContentPart]:
    """The parts of a neutral message's content, in the form of any framework."""
    if isinstance(content, str):
        return [ContentPart("text", content)]
    return [_read_part(part) for part in content]


def _read_part(part: Mapping[str, JSON]) -> ContentPart:
    if isinstance(text := part.get("text"), str):
        return ContentPart("text", text)
    url = image_url(part)
    if url is not None:
        return ContentPart("image", "[image]", url)
    return ContentPart("other", f"[{part.get('type', 'attachment')}]")


def text_part(text: str) -> dict[str, JSON]:
    """A neutral part of text."""
    return {"type": "text", "text": text}


def image_part(url: str) -> dict[str, JSON]:
    """A neutral part of an image, by its address or as a ``data:`` URL."""
    return {"type": "image_url", "image_url": {"url": url}}


def other_part(kind: str) -> dict[str, JSON]:
    """A neutral part that only names what stood there; the framework's own dump holds it."""
    return {"type": kind}


def join_parts(parts: Iterable[dict[str, JSON] | None]) -> str | list[dict[str, JSON]]:
    """Parts as the content of a neutral message: text where they are one text or none, else a list."""
    written = [part for part in parts if part is not None]
    if not written:
        return ""
    if len(written) == 1 and written[0].get("type") == "text":
        return cast("str", storable(written[0]["text"]))
    return cast("list[dict[str, JSON]]", storable(written))


def image_url(part: Mapping[str, Any]) -> str | None:
    """The address of an image part as OpenAI (``image_url``), Anthropic (``source``) and LangChain write it."""
    image = part.get("image_url")
    if isinstance(image, Mapping):
        image = cast("Mapping[str, Any]", image).get("url")
    if isinstance(image, str):
        return image
    if part.get("type") != "image":
        return None
    source = part.get("source")
    fields = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else part
    if isinstance(url := fields.get("url"), str):
        return url
    data = fields.get("base64") or fields.get("data")
    media_type = fields.get("mime_type") or fields.get("media_type") or "image/png"
    return f"data:{media_type};base64,{data}" if isinstance(data, str) else None


def split_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 text of a ``data:`` URL; None for any other address."""
    head, found, data = url.partition(";base64,")
    if not found or not head.startswith("data:"):
        return None
    return head.removeprefix("data:"), data


def storable(value: Any) -> JSON:
    """Any value as JSON that every database keeps, for a framework's own dump.

    What JSON cannot hold becomes text, and so does what nests too deep or holds itself. It raises nothing.
    """
    return _storable(value, 0, set())


def _storable(value: object, depth: int, around: set[int]) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if (isinstance(value, float) and math.isfinite(value)) or (isinstance(value, int) and _is_short(value)):
        return value
    if isinstance(value, int) or depth > _MAX_DEPTH or id(value) in around:
        return _CUT
    around.add(id(value))
    try:
        return _composite(value, depth, around)
    except Exception:  # noqa: BLE001 - whatever the class of a foreign value raises
        return f"<{type(value).__name__}>"
    finally:
        around.discard(id(value))


def _is_short(number: int) -> bool:
    return number.bit_length() <= _MAX_INTEGER_BITS


def _composite(value: object, depth: int, around: set[int]) -> JSON:
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return _storable(dump(), depth, around)  # A pydantic model; the package is not imported for it.
    if isinstance(value, Mapping):
        pairs = cast("Mapping[Any, Any]", value).items()
        return {_text(str(key)): _storable(element, depth + 1, around) for key, element in pairs}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(element, depth + 1, around) for element in cast("Iterable[Any]", value)]
    return _text(str(value))


def _text(value: str) -> str:
    if value.isascii() and "\x00" not in value:
        return value
    # Postgres refuses NUL, and UTF-8 has no half of a surrogate pair.
    text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")

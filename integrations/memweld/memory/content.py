"""Content parts of messages: text, images and other attachments, between frameworks and the neutral form."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import math
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from ..models import JSON

__all__ = [
    "ContentPart",
    "attempt",
    "image_part",
    "image_url",
    "join_parts",
    "neutral_content",
    "note_change",
    "noting_changes",
    "other_part",
    "program_ends",
    "read_parts",
    "split_data_url",
    "storable",
    "text_part",
]

# The dump of a message is kept inside of other levels; 64 is the most that is stored.
_MAX_DEPTH = 48
_MAX_ELEMENTS = 100_000
_MAX_INTEGER_BITS = 8_192
# A provider writes these for itself. `ChatMessage.tool_calls` has the calls; other frameworks need no reasoning.
_PRIVATE_PARTS = frozenset({"tool_use", "tool_call", "function_call", "thinking", "redacted_thinking", "reasoning"})
_CUT = "…"

T = TypeVar("T")


def program_ends() -> tuple[type[BaseException], ...]:
    """Exceptions that end the program or a task. No other exception of foreign code ends a run.

    Ctrl-C and the handlers of signals raise `KeyboardInterrupt` and `SystemExit` in the main thread alone: in any other
    one a library raised it, and the program goes on.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return (*_task_ends(), KeyboardInterrupt, SystemExit) if is_main else _task_ends()


@functools.cache
def _task_ends() -> tuple[type[BaseException], ...]:
    # A program without an event loop does not load asyncio for them.
    from asyncio import CancelledError

    return (GeneratorExit, CancelledError)


_changes: contextvars.ContextVar[dict[str, None] | None] = contextvars.ContextVar("memweld_changes", default=None)


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


def neutral_content(content: str | Sequence[object]) -> str | list[dict[str, JSON]]:
    """LangChain's content in the neutral form, without the parts that a provider writes for itself."""
    if isinstance(content, str):
        return cast("str", storable(content))
    return cast("list[dict[str, JSON]]", storable([part for each in content if (part := _neutral_part(each))])) or ""


def _neutral_part(part: object) -> dict[str, JSON] | None:
    if not isinstance(part, Mapping):
        return text_part(str(part))
    block = cast("Mapping[str, Any]", part)
    if block.get("type") in _PRIVATE_PARTS:
        return None
    url = image_url(block) if block.get("type") == "image" else None
    return image_part(url) if url else dict(block)


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


@contextlib.contextmanager
def noting_changes() -> Generator[dict[str, None]]:
    """Collect, as keys, what `storable` and `attempt` cut or replace in the block."""
    changes: dict[str, None] = {}
    token = _changes.set(changes)
    try:
        yield changes
    finally:
        _changes.reset(token)


def note_change(change: str) -> None:
    """Note that a value was cut or replaced, for the surrounding `noting_changes`."""
    changes = _changes.get()
    if changes is not None:
        changes[change] = None


def attempt(read: Callable[[], T], default: T, *, what: str) -> T:
    """Read a part of a foreign object; ``default``, and a note, where its code raises."""
    try:
        return read()
    except program_ends():
        raise
    except BaseException as error:  # noqa: BLE001 - whatever the class of a foreign value raises
        note_change(f"{what} cannot be read ({type(error).__name__})")
        return default


def storable(value: Any) -> JSON:
    """Any value as JSON that every database keeps, for a framework's own dump.

    What JSON cannot hold becomes text. What nests too deep, holds itself or raises is cut or replaced. It raises
    nothing.
    """
    return _Copy().json(value, 0)


class _Copy:
    """One copy of a value as JSON."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._left = _MAX_ELEMENTS

    def json(self, value: object, depth: int) -> JSON:
        """The copy of a part that lies ``depth`` levels deep."""
        return attempt(lambda: self._json(value, depth), f"<{type(value).__name__}>", what=type(value).__name__)

    def _json(self, value: object, depth: int) -> JSON:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, (int, float)):
            return _number(value)
        if cut := self._reason_to_cut(value, depth):
            note_change(cut)
            return _CUT
        self._around.add(id(value))
        try:
            return self._composite(value, depth)
        finally:
            self._around.discard(id(value))

    def _reason_to_cut(self, value: object, depth: int) -> str | None:
        self._left -= 1
        if depth > _MAX_DEPTH:
            return "a value nests too deep"
        if self._left < 0:
            return "a value has too many elements"
        return "a value holds itself" if id(value) in self._around else None

    def _composite(self, value: object, depth: int) -> JSON:
        if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
            return self.json(dump(), depth)  # A pydantic model; the package is not imported for it.
        if isinstance(value, Mapping):
            pairs = cast("Mapping[Any, Any]", value).items()
            return {self._key(key): self.json(element, depth + 1) for key, element in pairs}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.json(element, depth + 1) for element in cast("Iterable[Any]", value)]
        return _text(str(value))

    @staticmethod
    def _key(key: object) -> str:
        name = type(key).__name__
        return attempt(lambda: _text(key if isinstance(key, str) else str(key)), f"<{name}>", what=name)


def _number(value: float) -> JSON:
    if isinstance(value, int):
        if value.bit_length() <= _MAX_INTEGER_BITS:
            return int(value)
        note_change("a number is too long")
        return _CUT
    if math.isfinite(value):
        return float(value)
    note_change("JSON has no number like this")
    return str(float(value))


def _text(value: str) -> str:
    value = str.__str__(value)  # not a subclass's own
    if value.isascii() and "\x00" not in value:
        return value
    # Postgres refuses NUL, and UTF-8 has no half of a surrogate pair.
    text = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if text != value:
        note_change("characters that no database keeps are replaced")
    return text

"""Arguments as models and clients pass them: what is read, what is refused, and the schema that a model is shown."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeAlias, cast

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from ..errors import InvalidInputError
from ..models import JSON, Kind
from ..validation import dump_json

__all__ = [
    "AnyValue",
    "Arguments",
    "Cursor",
    "IdList",
    "JsonObject",
    "KindList",
    "Message",
    "MessageField",
    "Recency",
    "arguments_error",
    "message_list",
    "read_json",
]

_ADDED_BY_CLIENTS = frozenset({"toolCallId", "tool", "sessionId", "action", "chatInput"})
"""Arguments that n8n's agents add to each call. They are ignored."""

_NAMED_PROBLEMS = 5
_NAME_CHARACTERS = 80


class Arguments(BaseModel):
    """The arguments of a tool. Unknown ones are refused; null or nothing means left out where one is optional."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        fields = cls.model_fields

        def is_given(name: str, value: object) -> bool:
            if name not in fields:
                return name not in _ADDED_BY_CLIENTS
            is_nothing = value is None or value == [] or (isinstance(value, str) and not value.strip())
            return not is_nothing or fields[name].is_required()

        pairs = cast("Mapping[str, Any]", given).items()
        return {name: value for name, value in pairs if is_given(name, value)}

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """The schema that a model is shown.

        Without titles, which repeat the names; without docstrings, which are for programmers; without defaults, which
        OpenAI's strict form refuses.
        """
        schema = super().model_json_schema(*args, **options)
        for part in (schema, *schema.setdefault("properties", {}).values()):
            part.pop("title", None)
            part.pop("default", None)
        schema.pop("description", None)
        # Frameworks change what they get, and schemas in annotations are shared.
        return copy.deepcopy(schema)


def read_json(value: object) -> object:
    """A list or object that a model wrote as JSON text; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


# Providers refuse a strict schema that leaves a type open, or an object whose fields it does not name: Gemini refuses
# the latter always. Only the schema that a model sees is narrower: a tool takes any JSON value, or its text.
AnyValue: TypeAlias = Annotated[
    JsonValue,
    BeforeValidator(read_json),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "number"},
                {"type": "boolean"},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]

JsonObject: TypeAlias = Annotated[dict[str, JsonValue], BeforeValidator(read_json), WithJsonSchema({"type": "string"})]
"""An object with keys of the caller's own, or its JSON text."""


def _words(value: object) -> object:
    """Words as models pass them: a list, its JSON text, or a text with commas."""
    value = read_json(value)
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


KindList: TypeAlias = Annotated[list[Kind], BeforeValidator(_words)]
"""Kinds of memories."""

IdList: TypeAlias = Annotated[list[str], BeforeValidator(_words)]
"""IDs of memories."""


def _days(value: object) -> object:
    """Days, as a number or its text, as a time; other values as they are."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        value = timedelta(days=float(cast("float", value)))
    if isinstance(value, timedelta) and value <= timedelta():
        raise ValueError("Input should be a number of days above 0")
    return value


Recency: TypeAlias = Annotated[timedelta, BeforeValidator(_days), WithJsonSchema({"type": "number"})]
"""A number of days; also a duration of ISO 8601, such as P30D."""


def _cursor_text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


Cursor: TypeAlias = Annotated[
    str | None,
    BeforeValidator(_cursor_text),
    Field(description="The cursor of the answer before, to read on."),
]
"""Where to continue an answer; None for its beginning."""


def _joined_parts(content: object) -> object:
    """The text of content that is a list of text parts; other content as it is."""
    if not isinstance(content, list):
        return content
    parts = cast("list[object]", content)
    texts = [cast("Mapping[str, object]", part).get("text") if isinstance(part, Mapping) else part for part in parts]
    known = [text for text in texts if isinstance(text, str)]
    return "\n".join(known) if known and len(known) == len(parts) else parts


class Message(Arguments):
    """A message as tools take it."""

    role: str = Field(description="Who said it: user, assistant, system or tool.")
    content: Annotated[str, BeforeValidator(_joined_parts)] = Field(description="What was said.")
    name: str | None = Field(default=None, description="The speaker's name, if known.")


MessageField: TypeAlias = Annotated[Message, WithJsonSchema(Message.model_json_schema())]
"""A message in the arguments of a tool, with its schema inlined: providers do not follow references."""


def message_list(value: object) -> object:
    """Messages as models pass them: a text, one message, texts in a list, messages without a role, JSON text."""
    read = read_json(value)
    if isinstance(read, list) and all(isinstance(each, (str, Mapping)) for each in cast("list[object]", read)):
        value = cast("object", read)
    elif isinstance(value, (str, Mapping)):
        value = [cast("object", value)]
    return [_message(each) for each in cast("list[object]", value)] if isinstance(value, list) else value


def _message(value: object) -> object:
    read = read_json(value)
    if isinstance(read, Mapping) and (read is value or "content" in read):
        given = {name: part for name, part in cast("Mapping[str, Any]", read).items() if part is not None}
        return {"role": "user", **given}
    return {"role": "user", "content": value} if isinstance(value, str) else value


def arguments_error(tool: str, error: ValidationError, example: Mapping[str, JSON] | None = None) -> InvalidInputError:
    """Say in one line what is wrong with the arguments of a call, and with an example what is right."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    texts = [f"{_place(problem['loc'])}: {problem['msg']}" for problem in problems[:_NAMED_PROBLEMS]]
    if more := len(problems) - len(texts):
        texts.append(f"and {more} more")
    if any(problem["loc"][:1] == ("filters",) for problem in problems):
        example = {**(example or {}), "filters": {"topic": "work", "price": {"$gte": 3}}}
    shown = "" if not example else f". Example: {dump_json(dict(example))}"
    return InvalidInputError(f"Invalid arguments for {tool}: {'; '.join(texts)}{shown}")


def _place(location: Sequence[str | int]) -> str:
    return ".".join(map(str, location))[:_NAME_CHARACTERS] or "arguments"

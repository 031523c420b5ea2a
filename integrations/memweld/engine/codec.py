"""Operations and their answers as JSON, for an engine that is asked over a wire.

Both forms come from the dataclasses in ``operations.py``, so that both sides of the wire cannot differ. Times are in
ISO 8601; fields that hold their default are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from ..errors import InvalidInputError
from ..models import JSON
from ..validation import dump_json
from .operations import Operation

__all__ = ["decode_answer", "decode_operation", "encode_answer", "encode_operation", "encoded_size"]

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _encode(kind: Any, value: Any) -> Any:
    # A JSON value may come in any Mapping, of which pydantic knows only dict.
    return _adapter(kind).dump_python(value, mode="json", exclude_defaults=True, warnings=False, fallback=dict)


def _decode(name: str, part: str, decode: Callable[[], T]) -> T:
    try:
        return decode()
    except ValidationError as error:
        problems = error.errors(include_url=False)
        for problem in problems:
            if isinstance(cause := problem.get("ctx", {}).get("error"), InvalidInputError):
                raise cause from error
        places = (f"{'.'.join(map(str, each['loc'])) or part}: {each['msg']}" for each in problems)
        raise InvalidInputError(f"Invalid {part} of {name}: {'; '.join(places)}") from error


def encode_operation(operation: Operation[Any]) -> dict[str, JSON]:
    """The operands, without the scope, as a JSON object."""
    return cast("dict[str, JSON]", _encode(type(operation), operation))


def encoded_size(row: object) -> int:
    """How many bytes of a message a dataclass within an operation takes."""
    return len(dump_json(_encode(type(row), row)).encode())


def decode_operation(kind: type[Operation[T]], data: object) -> Operation[T]:
    """The operation that was encoded; its own rules are applied as well.

    Raises:
        InvalidInputError: An operand is missing, unknown, of another type, or breaks a rule.
    """
    return _decode(kind.name, "operands", lambda: _adapter(kind).validate_python(data))


def encode_answer(kind: type[Operation[T]], answer: T) -> JSON:
    """An engine's answer as JSON."""
    return _encode(kind.answer, answer)


def decode_answer(kind: type[Operation[T]], data: JSON) -> T:
    """Read an engine's answer.

    Raises:
        InvalidInputError: The JSON is not what this operation answers.
    """
    return cast("T", _decode(kind.name, "answer", lambda: _adapter(kind.answer).validate_python(data)))

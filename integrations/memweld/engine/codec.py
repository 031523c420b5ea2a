"""The primitives of the seam below as JSON, for an engine that is asked over a wire.

What a primitive takes and answers is read from its signature in ``memweld.engine``, so that both sides of the wire and
the protocol itself cannot differ. Arguments and answers are the dataclasses on either side and JSON in between: times
in ISO 8601, fields that hold their default left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from ..errors import InvalidInputError
from ..models import JSON
from .protocol import Engine

__all__ = ["PRIMITIVES", "decode_answer", "decode_arguments", "encode_answer", "encode_arguments"]


def _signature(name: str) -> inspect.Signature:
    return inspect.signature(getattr(Engine, name))


PRIMITIVES: tuple[str, ...] = tuple(
    name
    for name, method in vars(Engine).items()
    if inspect.isfunction(method) and not name.startswith("_") and "scope" in _signature(name).parameters
)
"""The names of the primitives that are about a scope."""


@cache
def _hints(name: str) -> dict[str, Any]:
    return get_type_hints(getattr(Engine, name))


@cache
def _arguments(name: str) -> type[BaseModel]:
    parameters = [each for each in _signature(name).parameters.values() if each.name not in ("self", "scope")]
    fields: dict[str, Any] = {
        each.name: (_hints(name)[each.name], ... if each.default is inspect.Parameter.empty else each.default)
        for each in parameters
    }
    return create_model(f"{name}_arguments", __config__=ConfigDict(extra="forbid"), **fields)


@cache
def _answer(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(_hints(name)["return"])


def _checked(name: str, what: str, check: Callable[[], Any]) -> Any:
    try:
        return check()
    except ValidationError as error:
        places = (
            f"{'.'.join(map(str, problem['loc'])) or what}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise InvalidInputError(f"Invalid {what} of {name}: {'; '.join(places)}") from error


def encode_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, JSON]:
    """The arguments of a call, without the scope, as a JSON object. They are checked already.

    Args:
        name: One of `PRIMITIVES`.
        arguments: Argument name to value, every one that has no default.
    """
    call = _arguments(name).model_construct(**arguments)
    # A JSON value may come in any Mapping, of which pydantic knows only dict.
    return call.model_dump(mode="json", exclude_defaults=True, warnings=False, fallback=dict)


def decode_arguments(name: str, data: object) -> dict[str, Any]:
    """The arguments that were encoded, of the right types. The rules of ``checks.py`` are for the caller to apply.

    Raises:
        InvalidInputError: One is missing, unknown or of another type.
    """
    model = _arguments(name)
    call = cast("BaseModel", _checked(name, "arguments", lambda: model.model_validate(data)))
    return {field: getattr(call, field) for field in model.model_fields}


def encode_answer(name: str, answer: Any) -> JSON:
    """What the primitive returned, as JSON."""
    return _answer(name).dump_python(answer, mode="json", exclude_defaults=True, warnings=False, fallback=dict)


def decode_answer(name: str, data: JSON) -> Any:
    """What the primitive returned.

    Raises:
        InvalidInputError: The JSON is not what this primitive answers.
    """
    return _checked(name, "answer", lambda: _answer(name).validate_python(data))

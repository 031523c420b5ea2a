"""What becomes of a memory where CrewAI dumps the object that holds it: copies keep it, checkpoints hold none of it."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from pydantic_core import SchemaSerializer, core_schema

__all__ = ["UNDUMPABLE", "kept_in_dumps"]

C = TypeVar("C", bound=type[Any])

UNDUMPABLE = object()
"""A field's value of none of the types that it declares, so that pydantic cannot dump a memory field by field."""


def kept_in_dumps(cls: C) -> C:
    """Decorate a memory class that has a field with `UNDUMPABLE`.

    `Agent.copy`, and with it `Crew.copy` and ``kickoff_for_each``, rebuild an agent from a dump of its fields, and its
    memory as CrewAI's own class (1.15), to which the user means nothing. But pydantic leaves a value that does not fit
    the types of its field to the value itself. So it stays what it is in Python, and is null in JSON: no checkpoint
    holds what leads to a user's data.
    """
    as_is = core_schema.any_schema(serialization=core_schema.to_string_ser_schema(when_used="json-unless-none"))
    cls.__pydantic_serializer__ = SchemaSerializer(
        core_schema.any_schema(
            serialization=core_schema.plain_serializer_function_ser_schema(_kept, info_arg=True, return_schema=as_is)
        )
    )
    # Pydantic reports each time that it did so: half a screen that asks nothing of anybody.
    warnings.filterwarnings(
        "ignore", message=rf"Pydantic serializer warnings[\s\S]*input_type={cls.__name__}", category=UserWarning
    )
    return cls


def _kept(value: Any, info: core_schema.SerializationInfo) -> Any:
    return value if info.mode == "python" else None

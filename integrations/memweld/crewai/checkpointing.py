"""A memory where CrewAI dumps the object that holds it: copies share it, checkpoints refer to it."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from crewai.memory.unified_memory import Memory as CrewMemory
from pydantic_core import SchemaSerializer, core_schema

from ..models import JSON

__all__ = ["UNDUMPABLE", "preserved_in_dumps", "silence_dump_warnings"]

C = TypeVar("C", bound=type[Any])

UNDUMPABLE = object()
"""A field's value of none of the types that it declares, so that pydantic cannot dump a memory field by field."""

_KEY = "memweld"


def preserved_in_dumps(cls: C) -> C:
    """Decorate a memory class that has a field with `UNDUMPABLE`, and the methods ``_dump`` and ``_load``.

    `Agent.copy`, and with it `Crew.copy` and ``kickoff_for_each``, rebuild an agent from a dump of its fields, and its
    memory as CrewAI's own class (1.15), to which the user means nothing. But pydantic leaves a value that does not fit
    the types of its field to the value itself. So it stays what it is in Python. In JSON, which checkpoints are, it is
    what ``_dump`` says, dressed as a memory of CrewAI's; out of that ``_load`` makes a memory of this class again.
    """
    # In Python mode pydantic takes the value for what the inner schema says: something that is left as it is.
    as_is = core_schema.any_schema(serialization=core_schema.to_string_ser_schema(when_used="json"))
    dumped = core_schema.plain_serializer_function_ser_schema(_dumped, when_used="json")
    cls.__pydantic_serializer__ = SchemaSerializer(core_schema.nullable_schema(as_is, serialization=dumped))
    silence_dump_warnings(cls)
    _load_as(cls)
    return cls


def silence_dump_warnings(cls: type[Any]) -> None:
    """Silence pydantic's report of each such dump: half a screen that asks for nothing.

    Each new memory calls it again, as tests and servers reset the filters after an import.
    """
    message = re.compile(rf"Pydantic serializer warnings[\s\S]*input_type={cls.__name__}", re.IGNORECASE)
    if not any(message == known for _, known, *_ in warnings.filters):
        warnings.filterwarnings("ignore", message=message.pattern, category=UserWarning)


def _dumped(memory: Any) -> dict[str, JSON]:
    # A program that restores this without memweld gets a memory that can do nothing: a storage that is none, and an
    # embedder and a model that do not exist, lest it asks OpenAI's.
    return {
        "memory_kind": "memory",
        "storage": {_KEY: memory._dump()},  # noqa: SLF001 - of the class that is decorated
        "embedder": {"provider": _KEY, "config": {}},
        "llm": _KEY,
        "read_only": memory.read_only,
        "root_scope": memory.root_scope,
    }


def _load_as(cls: type[Any]) -> None:
    """Let a dump of `_dumped` become ``cls`` again.

    CrewAI 1.15 reads every memory of a checkpoint as its own class, and its storage factory, one to a process, gives
    that class a storage but not its methods. So the memory changes its class, before its fields get their meaning.
    """
    original = CrewMemory.model_post_init

    @functools.wraps(original)
    def model_post_init(self: CrewMemory, context: Any, /) -> None:
        storage = cast("object", self.storage)
        if type(self) is CrewMemory and isinstance(storage, Mapping) and _KEY in storage:
            self.__class__ = cls
            cast("Any", self)._load(cast("Mapping[str, Any]", storage)[_KEY], context)  # noqa: SLF001 - as above
        else:
            original(self, context)

    CrewMemory.model_post_init = model_post_init  # pyright: ignore[reportAttributeAccessIssue]

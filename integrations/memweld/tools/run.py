"""A tool: its name, description, arguments and function, and the validation of its arguments."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic.fields import FieldInfo

from ..errors import InvalidInputError
from ..memory.memory import Memory
from ..models import JSON

__all__ = [
    "Answer",
    "AnyValue",
    "Arguments",
    "MemoryTool",
    "Message",
    "Toolset",
    "arguments_error",
    "tool",
]

Toolset: TypeAlias = Literal["memory", "preferences", "tasks", "state", "history"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A tool's answer: text for a model to read, and the same as data."""

    text: str
    data: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class MemoryTool:
    """One tool.

    Attributes:
        name: Its name, the same in every framework.
        description: When a model should use it, and what comes back.
        arguments: The pydantic model of its arguments; unknown ones are refused.
        toolset: The set by which it is chosen.
        read_only: It changes nothing.
        destructive: Whether it removes data for good.
        idempotent: Calling it again with the same arguments changes nothing more.
        run: The function over a memory and its checked arguments.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    toolset: Toolset
    read_only: bool
    destructive: bool
    idempotent: bool
    run: Callable[[Memory, Any], Answer]

    @property
    def is_slow(self) -> bool:
        """Whether it may wait for an LLM or a graph, so that it needs a thread of its own kind."""
        return self.toolset == "memory" and not self.read_only

    def __call__(self, memory: Memory, arguments: Mapping[str, Any]) -> Answer:
        """Check the arguments and run the tool on this memory.

        Raises:
            InvalidInputError: An argument is missing, unknown or breaks a rule.
            MemweldError: What the memory raises.
        """
        return self.run(memory, self.validate(arguments))

    def validate(self, arguments: Mapping[str, Any]) -> BaseModel:
        """The arguments of a call as the tool's model.

        Raises:
            InvalidInputError: An argument is missing, unknown or breaks a rule.
        """
        fields = self.arguments.model_fields
        # Models write null for an argument that they leave out.
        given = {
            name: _read_json(value) if name in fields and not _takes_text(fields[name]) else value
            for name, value in arguments.items()
            if value is not None or name not in fields or fields[name].is_required()
        }
        try:
            return self.arguments.model_validate(given)
        except ValidationError as error:
            raise arguments_error(self.name, error) from error


def _takes_text(field: FieldInfo) -> bool:
    return str in (field.annotation, *get_args(field.annotation))


def _read_json(value: object) -> object:
    """A list or object that a model wrote as JSON text; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def arguments_error(tool: str, error: ValidationError) -> InvalidInputError:
    """Say in one line what is wrong with the arguments of a call."""
    places = [
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    ]
    return InvalidInputError(f"Invalid arguments for {tool}: {'; '.join(places)}")


class Arguments(BaseModel):
    """The arguments of a tool; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


# Providers refuse a strict schema that leaves a type open, or an object whose fields it does not name. Only the schema
# that a model sees is narrower: a tool takes any JSON value.
AnyValue: TypeAlias = Annotated[
    JsonValue,
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


class Message(Arguments):
    """A message as tools take it."""

    role: str = Field(description="Who said it: user, assistant, system or tool.")
    content: str = Field(description="What was said.")
    name: str | None = Field(default=None, description="The speaker's name, if known.")


def tool(
    toolset: Toolset,
    description: str,
    *,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = True,
) -> Callable[[Callable[[Memory, Any], Answer]], MemoryTool]:
    """Make a tool of a function of a memory and ``arguments``, a model; its name, with an underscore, is the tool's.

    Args:
        toolset: The set by which it is chosen.
        description: When a model should use it, and what comes back.
        read_only: It changes nothing.
        destructive: Whether it removes or replaces data for good.
        idempotent: Calling it again changes nothing more. Most are: an equal text is stored once, a key's value is
            replaced, and deleting twice deletes once.
    """

    def make(run: Callable[[Memory, Any], Answer]) -> MemoryTool:
        return MemoryTool(
            name=run.__name__.removeprefix("_"),
            description=description,
            arguments=get_type_hints(run)["arguments"],
            toolset=toolset,
            read_only=read_only,
            destructive=destructive,
            idempotent=idempotent,
            run=run,
        )

    return make

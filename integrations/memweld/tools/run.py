"""A tool: its name, description, arguments and function."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_type_hints

from pydantic import ValidationError

from ..engine.operations import Lane
from ..errors import InvalidInputError
from ..memory.memory import Memory, with_source
from ..models import JSON
from ..safe_text import safe_for_model
from ..validation import dump_json
from .arguments import Arguments, arguments_error

__all__ = ["Answer", "MemoryTool", "Toolset", "tool"]

Toolset: TypeAlias = Literal["memory", "preferences", "tasks", "state", "history"]

_LANES: Mapping[str, Lane] = {
    "add_memory": "llm",
    "search_memories": "search",
    "update_memory": "write",
    "delete_memory": "write",
    "delete_all_memories": "write",
    "set_preference": "write",
    "get_task_context": "search",
    "record_task_outcome": "write",
    "clear_messages": "flush",
}
"""The tools that may wait for more than the store: for a model, a graph that follows a change, or a capture's end."""


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
        example: The arguments of a right call, which errors show.
        toolset: The set by which it is chosen.
        read_only: It changes nothing.
        destructive: Whether it removes data for good.
        idempotent: Calling it again with the same arguments changes nothing more.
        run: The function over a memory and its checked arguments.
    """

    name: str
    description: str
    arguments: type[Arguments]
    example: Mapping[str, JSON]
    toolset: Toolset
    read_only: bool
    destructive: bool
    idempotent: bool
    run: Callable[[Memory, Any], Answer]

    @property
    def lane(self) -> Lane:
        """The reason why it may wait; each lane has threads of its own."""
        return _LANES.get(self.name, "quick")

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of the arguments that a model is shown; the caller may change it."""
        # Frameworks ask before each call of a model.
        return copy.deepcopy(_schema(self.arguments))

    def __call__(self, memory: Memory, arguments: Mapping[str, Any]) -> Answer:
        """Check the arguments and run the tool on this memory.

        Raises:
            InvalidInputError: An argument is missing, unknown or breaks a rule.
            MemweldError: What the memory raises.
        """
        return self.run(memory, self.validate(arguments))

    def validate(self, arguments: object) -> Arguments:
        """The arguments of a call as the tool's model.

        Raises:
            InvalidInputError: They are no mapping, or an argument is missing, unknown or breaks a rule.
        """
        if not isinstance(arguments, Mapping):
            example = dump_json(dict(self.example))
            raise InvalidInputError(f"Invalid arguments for {self.name}: they are no JSON object. Example: {example}")
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise arguments_error(self.name, error, self.example) from error


@functools.cache
def _schema(arguments: type[Arguments]) -> dict[str, Any]:
    return arguments.model_json_schema()


def tool(
    toolset: Toolset,
    description: str,
    example: Mapping[str, JSON],
    *,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = True,
) -> Callable[[Callable[[Memory, Any], Answer]], MemoryTool]:
    """Make a tool of a function of a memory and ``arguments``, a model; its name, with an underscore, is the tool's.

    Args:
        toolset: The set by which it is chosen.
        description: When a model should use it, and what comes back.
        example: The arguments of a right call.
        read_only: It changes nothing.
        destructive: Whether it removes or replaces data for good.
        idempotent: Calling it again changes nothing more. Most are: an equal text is stored once, a key's value is
            replaced, and deleting twice deletes once.
    """

    def make(run: Callable[[Memory, Any], Answer]) -> MemoryTool:
        @functools.wraps(run)
        def run_safely(memory: Memory, arguments: Any) -> Answer:
            # A model has called the tool: the words are its own.
            answer = run(memory if read_only else with_source(memory, "agent"), arguments)
            return Answer(safe_for_model(answer.text, line_break=None), answer.data)

        return MemoryTool(
            name=run.__name__.removeprefix("_"),
            description=description,
            arguments=get_type_hints(run)["arguments"],
            example=example,
            toolset=toolset,
            read_only=read_only,
            destructive=destructive,
            idempotent=idempotent,
            run=run_safely,
        )

    return make

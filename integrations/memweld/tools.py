"""The tools that agents are given, defined once: name, description, arguments, and the text of the answer.

A tool is a function over a `Memory`: whose memory it is was decided before a model saw anything, and no argument can
change it. The MCP server registers these tools (adding ``user_id`` and ``agent_id`` where its contract has them); the
adapters wrap the same functions in their framework's idiom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from .errors import InvalidInputError, invalid
from .memory import Memory
from .models import JSON, Hit, MemoryItem, TaskOutcome

__all__ = [
    "TOOLS",
    "TOOLSETS",
    "Answer",
    "MemoryTool",
    "Toolset",
    "arguments_error",
    "as_utc",
    "item_data",
    "select_tools",
]

Toolset: TypeAlias = Literal["memory", "preferences", "tasks"]
TOOLSETS: tuple[Toolset, ...] = ("memory", "preferences", "tasks")
MAX_SEARCH_LIMIT = 50
LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers: text for a model to read, and the same as data."""

    text: str
    data: dict[str, JSON]


A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class MemoryTool:
    """One tool.

    Attributes:
        name: Its name, the same in every framework.
        description: When a model should use it, and what comes back.
        arguments: The pydantic model of its arguments; unknown ones are refused.
        toolset: The set by which it is chosen.
        read_only: It changes nothing.
        destructive: What it removes cannot be had back.
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

    def __call__(self, memory: Memory, arguments: Mapping[str, Any]) -> Answer:
        """Check the arguments and run the tool on this memory.

        Raises:
            InvalidInputError: An argument is missing, unknown or breaks a rule.
            MemweldError: What the memory raises.
        """
        try:
            checked = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise arguments_error(self.name, error) from error
        return self.run(memory, checked)


def arguments_error(tool: str, error: ValidationError) -> InvalidInputError:
    """Say in one line what is wrong with the arguments of a call."""
    places = [
        f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    ]
    return InvalidInputError(f"Invalid arguments for {tool}: {'; '.join(places)}")


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Message(_Arguments):
    """A message as tools take it."""

    role: str = Field(description="Who said it: user, assistant, system or tool.")
    content: str = Field(description="What was said.")
    name: str | None = Field(default=None, description="The speaker's name, if known.")


class AddMemory(_Arguments):
    """Arguments of ``add_memory``."""

    messages: list[Message] = Field(min_length=1, description="What was said, oldest first.")
    metadata: dict[str, JsonValue] | None = Field(default=None, description="Data to keep with the memories.")


class SearchMemories(_Arguments):
    """Arguments of ``search_memories``."""

    query: str = Field(description="A question or some words.")
    limit: int = Field(default=10, ge=1, le=MAX_SEARCH_LIMIT, description="How many memories at most.")


class OneMemory(_Arguments):
    """Arguments of the tools that take one memory."""

    memory_id: str = Field(description="The memory's ID, as other tools' answers name it.")


class NoArguments(_Arguments):
    """A tool without arguments."""


class UpdateMemory(OneMemory):
    """Arguments of ``update_memory``."""

    data: str = Field(description="The new text.")


class GetPreferences(_Arguments):
    """Arguments of ``get_preferences``."""

    key: str | None = Field(default=None, description="One preference by its key; all if left out.")


class SetPreference(_Arguments):
    """Arguments of ``set_preference``."""

    key: str = Field(description="A short name, such as theme or diet.")
    value: JsonValue = Field(description="What is preferred: text, number, true or false, list or object.")


class GetTaskContext(_Arguments):
    """Arguments of ``get_task_context``."""

    task_id: str = Field(description="The task's id, or a description of it.")
    limit: int = Field(default=5, ge=1, le=MAX_SEARCH_LIMIT, description="How many outcomes at most.")


class RecordTaskOutcome(_Arguments):
    """Arguments of ``record_task_outcome``."""

    task_id: str = Field(description="The task's id; an earlier outcome of it is replaced.")
    outcome: str = Field(description="What came of it, in words.")
    success: bool | None = Field(default=None, description="Whether it went well.")


def as_utc(moment: datetime) -> str:
    """A time as the answers write it: ``2025-10-15T10:30:00Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def item_data(item: MemoryItem) -> dict[str, JSON]:
    """A memory item (or hit) as JSON, fields that say nothing left out."""
    data = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    data["created_at"], data["updated_at"] = as_utc(item.created_at), as_utc(item.updated_at)
    data["metadata"] = dict(item.metadata)
    if isinstance(item, Hit):
        data["score"] = round(item.score, 4)
    return {key: value for key, value in data.items() if value is not None and value != {}}


def _numbered(lines: Iterable[str]) -> str:
    return "".join(f"\n{number}. {line}" for number, line in enumerate(lines, 1))


def _found(count: int, whose: str = "") -> str:
    return f"Found {count} memories{whose}{':' if count else ''}"


def _add_memory(memory: Memory, arguments: AddMemory) -> Answer:
    messages = [message.model_dump(exclude_none=True) for message in arguments.messages]
    items = memory.add(messages, metadata=arguments.metadata)
    text = f"Added {len(items)} memories for {memory.scope}"
    return Answer(text, {"memories": [item_data(item) for item in items]})


def _search_memories(memory: Memory, arguments: SearchMemories) -> Answer:
    hits = memory.search(arguments.query, limit=arguments.limit)
    lines = (f"ID: {hit.id} - {hit.text} (score: {hit.score:.2f})" for hit in hits)
    return Answer(_found(len(hits)) + _numbered(lines), {"memories": [item_data(hit) for hit in hits]})


def _get_memory(memory: Memory, arguments: OneMemory) -> Answer:
    item = memory.get(arguments.memory_id)
    owner = f"User: {item.user_id}" if item.user_id is not None else f"Agent: {item.agent_id}"
    text = f"Memory: {item.text}\nCreated: {as_utc(item.created_at)}\n{owner}"
    return Answer(text, {"memory": item_data(item)})


def _get_all_memories(memory: Memory, arguments: NoArguments) -> Answer:
    items: list[MemoryItem] = []
    while page := memory.all(limit=LISTED, after=items[-1].id if items else None):
        items += page
        if len(page) < LISTED:
            break
    lines = (f"ID: {item.id} - {item.text}" for item in items)
    text = _found(len(items), f" for {memory.scope}") + _numbered(lines)
    return Answer(text, {"memories": [item_data(item) for item in items]})


def _update_memory(memory: Memory, arguments: UpdateMemory) -> Answer:
    item = memory.update(arguments.memory_id, arguments.data)
    return Answer(f"Memory {item.id} updated successfully", {"memory": item_data(item)})


def _delete_memory(memory: Memory, arguments: OneMemory) -> Answer:
    memory.delete(arguments.memory_id)
    stores = "both vector and graph stores" if memory.has_graph else "the vector store"
    text = f"Memory {arguments.memory_id} deleted successfully from {stores}"
    return Answer(text, {"deleted": arguments.memory_id})


def _delete_all_memories(memory: Memory, arguments: NoArguments) -> Answer:
    count = memory.clear()
    return Answer(f"Deleted {count} memories for {memory.scope}", {"deleted": count})


def _shown(value: JSON) -> str:
    from .checks import dump_json

    return value if isinstance(value, str) else dump_json(value)


def _get_preferences(memory: Memory, arguments: GetPreferences) -> Answer:
    if arguments.key is None:
        preferences = memory.preferences.all()
    else:
        unset = object()
        value = memory.preferences.get(arguments.key, unset)
        preferences = {} if value is unset else {arguments.key: value}
    if not preferences:
        asked = "" if arguments.key is None else f" {arguments.key}"
        return Answer(f"No preference{asked} is set for {memory.scope}", {"preferences": {}})
    lines = "".join(f"\n- {key}: {_shown(value)}" for key, value in preferences.items())
    return Answer(f"Preferences of {memory.scope}:{lines}", {"preferences": preferences})


def _set_preference(memory: Memory, arguments: SetPreference) -> Answer:
    memory.preferences.set(arguments.key, arguments.value)
    text = f"Preference {arguments.key} set to {_shown(arguments.value)} for {memory.scope}"
    return Answer(text, {"preferences": {arguments.key: arguments.value}})


def _outcome_data(outcome: TaskOutcome) -> dict[str, JSON]:
    return {
        "task_id": outcome.task_id,
        "outcome": outcome.outcome,
        "success": outcome.success,
        "recorded_at": as_utc(outcome.recorded_at),
        "score": round(outcome.score, 4),
    }


def _get_task_context(memory: Memory, arguments: GetTaskContext) -> Answer:
    outcomes = memory.tasks.context(arguments.task_id, limit=arguments.limit)
    verdict = {True: "succeeded", False: "failed", None: "no verdict"}
    lines = (
        f"{outcome.task_id} ({verdict[outcome.success]}, {outcome.recorded_at:%Y-%m-%d}): {outcome.outcome}"
        for outcome in outcomes
    )
    head = f"Found {len(outcomes)} task outcomes for {memory.scope}{':' if outcomes else ''}"
    return Answer(head + _numbered(lines), {"outcomes": [_outcome_data(outcome) for outcome in outcomes]})


def _record_task_outcome(memory: Memory, arguments: RecordTaskOutcome) -> Answer:
    outcome = memory.tasks.record(arguments.task_id, outcome=arguments.outcome, success=arguments.success)
    return Answer(f"Outcome of task {outcome.task_id} recorded for {memory.scope}", {"outcome": _outcome_data(outcome)})


def _tool(
    run: Callable[[Memory, A], Answer],
    arguments: type[A],
    toolset: Toolset,
    description: str,
    *,
    read_only: bool = False,
    destructive: bool = False,
) -> MemoryTool:
    return MemoryTool(
        name=run.__name__.removeprefix("_"),
        description=description,
        arguments=arguments,
        toolset=toolset,
        read_only=read_only,
        destructive=destructive,
        # Every tool is: an equal text is stored once, keyed facts are replaced, and deleting twice deletes once.
        idempotent=True,
        run=cast("Callable[[Memory, Any], Answer]", run),
    )


TOOLS: Mapping[str, MemoryTool] = {
    tool.name: tool
    for tool in (
        _tool(
            _add_memory,
            AddMemory,
            "memory",
            "Remember facts about the user for later conversations: who they are, what they like, own, plan or "
            "decided. Pass the messages that say so. A fact that is known already is not stored twice.",
        ),
        _tool(
            _search_memories,
            SearchMemories,
            "memory",
            "Look up what is remembered about the user, by meaning and by words. Use it before you answer anything "
            "that may depend on earlier conversations. Returns the memories that fit best, with ID and score.",
            read_only=True,
        ),
        _tool(_get_memory, OneMemory, "memory", "Read one memory by its ID.", read_only=True),
        _tool(
            _get_all_memories,
            NoArguments,
            "memory",
            "List everything that is remembered, oldest first. It can be long: prefer search_memories for a question.",
            read_only=True,
        ),
        _tool(
            _update_memory,
            UpdateMemory,
            "memory",
            "Correct a memory that is no longer true: replaces its text. Find its ID with search_memories.",
            destructive=True,
        ),
        _tool(
            _delete_memory,
            OneMemory,
            "memory",
            "Forget one memory by its ID, when the user asks to or it is wrong. It cannot be undone.",
            destructive=True,
        ),
        _tool(
            _delete_all_memories,
            NoArguments,
            "memory",
            "Forget every memory. Only when the user plainly asks for it. It cannot be undone.",
            destructive=True,
        ),
        _tool(
            _get_preferences,
            GetPreferences,
            "preferences",
            "Read the user's preferences, all of them or one by its key.",
            read_only=True,
        ),
        _tool(
            _set_preference,
            SetPreference,
            "preferences",
            "Store a preference of the user under a short key, replacing what the key held.",
            destructive=True,
        ),
        _tool(
            _get_task_context,
            GetTaskContext,
            "tasks",
            "Before a task: read what came of it, and of similar tasks, the last time.",
            read_only=True,
        ),
        _tool(
            _record_task_outcome,
            RecordTaskOutcome,
            "tasks",
            "After a task: record what came of it, so that the next attempt can learn from it.",
            destructive=True,
        ),
    )
}
"""All tools, by name."""


def select_tools(chosen: Sequence[str] | None = None) -> list[MemoryTool]:
    """The tools of some toolsets or names; all if ``chosen`` is None.

    Raises:
        InvalidInputError: A word is neither a toolset nor a tool.
    """
    if chosen is None:
        return list(TOOLS.values())
    for word in chosen:
        if word not in TOOLSETS and word not in TOOLS:
            known = ", ".join((*TOOLSETS, *TOOLS))
            raise invalid("tools", word, "it names no toolset and no tool", f"Choose among {known}.")
    return [tool for tool in TOOLS.values() if tool.toolset in chosen or tool.name in chosen]

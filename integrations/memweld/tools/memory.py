"""The toolset ``memory``: the seven tools over what is found again by meaning."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from ..memory.memory import Memory
from ..memory.safe_text import safe_for_model
from ..models import JSON, MemoryItem
from .answers import as_utc, item_data, numbered
from .arguments import Arguments, JsonObject, KindList, MessageField, Recency, message_list
from .run import Answer, tool

__all__ = ["MAX_SEARCH_LIMIT", "MEMORY_TOOLS"]

MAX_SEARCH_LIMIT = 50
LISTED = 1_000
# Lines of a memory stay lines, and cannot be taken for those of the answer.
_INDENTED = "\n  "
_LATER = "; the graph store follows when it can be reached again"
_BY_ID: dict[str, JSON] = {"memory_id": "01K9XEXAMPLE"}
_METADATA = 'Data to keep with it: a JSON object, such as {"source": "chat"}.'


class AddMemory(Arguments):
    """Arguments of ``add_memory``."""

    messages: Annotated[list[MessageField], BeforeValidator(message_list)] = Field(
        min_length=1, description="What was said, oldest first."
    )
    metadata: JsonObject | None = Field(default=None, description=_METADATA)


_Kinds: TypeAlias = Annotated[
    KindList | None,
    Field(description="Only these kinds: item (a fact), preference, task (an outcome), record (a value of state)."),
]
_Filters: TypeAlias = Annotated[
    JsonObject | None,
    Field(description='What their metadata must equal: a JSON object, such as {"source": "chat"}.'),
]


class SearchMemories(Arguments):
    """Arguments of ``search_memories``."""

    query: str = Field(description="A question or some words.")
    limit: int = Field(default=10, ge=1, le=MAX_SEARCH_LIMIT, description="How many memories at most; 10 if left out.")
    kinds: _Kinds = None
    filters: _Filters = None
    min_score: float | None = Field(default=None, ge=0, le=1, description="The lowest score, from 0 to 1.")
    recency: Recency | None = Field(default=None, description="The age in days at which a memory counts half.")


class MemoryIdArguments(Arguments):
    """Arguments of the tools that take one memory."""

    memory_id: str = Field(description="The memory's ID, as other tools' answers name it.")


class NoArguments(Arguments):
    """A tool without arguments."""


class UpdateMemory(MemoryIdArguments):
    """Arguments of ``update_memory``."""

    data: str = Field(description="The new text.")
    metadata: JsonObject | None = Field(default=None, description=f"{_METADATA} It replaces the metadata.")


def _found(count: int, whose: str = "") -> str:
    return f"Found {count} memories{whose}{':' if count else ''}"


@tool(
    "memory",
    "Remember facts about the user for later conversations: who they are, what they like, own, plan or "
    "decided. Pass the messages that say so. A fact that is known already is not stored twice.",
    {"messages": [{"role": "user", "content": "I moved to Lisbon"}]},
)
def _add_memory(memory: Memory, arguments: AddMemory) -> Answer:
    messages = [message.model_dump(exclude_none=True) for message in arguments.messages]
    items = memory.add(messages, metadata=arguments.metadata)
    text = f"Added {len(items)} memories for {memory.scope}"
    return Answer(text, {"memories": [item_data(item) for item in items]})


@tool(
    "memory",
    "Look up what is remembered about the user, by meaning and by words. Use it before you answer anything "
    "that may depend on earlier conversations. Returns the memories that fit best, with ID and score.",
    {"query": "Where does the user live?"},
    read_only=True,
)
def _search_memories(memory: Memory, arguments: SearchMemories) -> Answer:
    hits = memory.search(
        arguments.query,
        limit=arguments.limit,
        kinds=arguments.kinds,
        filters=arguments.filters,
        min_score=arguments.min_score,
        recency=arguments.recency,
    )
    lines = (f"ID: {hit.id} - {hit.text} (score: {hit.score:.2f})" for hit in hits)
    return Answer(_found(len(hits)) + numbered(lines), {"memories": [item_data(hit) for hit in hits]})


@tool("memory", "Read one memory by its ID.", _BY_ID, read_only=True)
def _get_memory(memory: Memory, arguments: MemoryIdArguments) -> Answer:
    item = memory.get(arguments.memory_id)
    owner = f"User: {item.user_id}" if item.user_id is not None else f"Agent: {item.agent_id}"
    text = f"Memory: {safe_for_model(item.text, line_break=_INDENTED)}\nCreated: {as_utc(item.created_at)}\n{owner}"
    return Answer(text, {"memory": item_data(item)})


@tool(
    "memory",
    "List everything that is remembered, oldest first. It can be long: prefer search_memories for a question.",
    {},
    read_only=True,
)
def _get_all_memories(memory: Memory, arguments: NoArguments) -> Answer:
    page = memory.all(limit=LISTED)
    items: list[MemoryItem] = [*page]
    while page.next is not None:
        page = memory.all(limit=LISTED, after=page.next)
        items += page
    lines = (f"ID: {item.id} - {item.text}" for item in items)
    text = _found(len(items), f" for {memory.scope}") + numbered(lines)
    return Answer(text, {"memories": [item_data(item) for item in items]})


@tool(
    "memory",
    "Correct a memory that is no longer true: replaces its text. Find its ID with search_memories.",
    {**_BY_ID, "data": "Moved to Porto"},
    destructive=True,
)
def _update_memory(memory: Memory, arguments: UpdateMemory) -> Answer:
    item = memory.update(arguments.memory_id, arguments.data, metadata=arguments.metadata)
    return Answer(f"Memory {item.id} updated successfully", {"memory": item_data(item)})


@tool(
    "memory",
    "Forget one memory by its ID, when the user asks to or it is wrong. It cannot be undone.",
    _BY_ID,
    destructive=True,
)
def _delete_memory(memory: Memory, arguments: MemoryIdArguments) -> Answer:
    memory.delete(arguments.memory_id)
    text = f"Memory {arguments.memory_id} deleted successfully from {_stores(memory)}"
    return Answer(text, {"deleted": arguments.memory_id})


def _stores(memory: Memory) -> str:
    """Where something is gone: what a graph that is down still holds is not said to be deleted."""
    if not memory.has_graph:
        return "the vector store"
    if memory.settle_graph():
        return "both vector and graph stores"
    return f"the vector store{_LATER}"


@tool(
    "memory",
    "Forget every memory. Only when the user plainly asks for it. It cannot be undone.",
    {},
    destructive=True,
)
def _delete_all_memories(memory: Memory, arguments: NoArguments) -> Answer:
    count = memory.clear()
    later = "" if memory.settle_graph() else _LATER
    return Answer(f"Deleted {count} memories for {memory.scope}{later}", {"deleted": count})


MEMORY_TOOLS = (
    _add_memory,
    _search_memories,
    _get_memory,
    _get_all_memories,
    _update_memory,
    _delete_memory,
    _delete_all_memories,
)

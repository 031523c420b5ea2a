"""The toolset ``memory``: the tools over what is found again by meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias, cast

from pydantic import BeforeValidator, Field, model_validator

from ..engine.operations import UpdateItem
from ..memory.memory import Memory
from ..memory.profile import ProfileLine
from ..memory.recall import drop_unfitting, shown_time, speaker_note, validity_note
from ..memory.recall_counts import count_recalls
from ..models import JSON, Hit, MemoryItem, Page
from ..safe_text import safe_for_model
from ..validation import local_time
from .answers import (
    INDENTED,
    LEAST,
    PAGED_CHARACTERS,
    as_utc,
    conflicts_of,
    continuing,
    excerpts,
    item_data,
    listed_item,
    named,
    next_page,
    numbered,
    replaced_by,
    text_page,
    to_continue,
)
from .arguments import Arguments, Cursor, IdList, JsonObject, KindList, MessageField, Recency, message_list
from .run import Answer, tool

__all__ = ["MAX_SEARCH_LIMIT", "MEMORY_TOOLS"]

MAX_SEARCH_LIMIT = 50
MAX_LISTED = 200
_SHOWN_CONFLICTS = 5
# Lines of a memory stay lines, and cannot be taken for those of the answer.
_WHOLE = "get_memory shows all, in pages"
_LATER = "; the graph store follows when it can be reached again"
_BY_ID: dict[str, JSON] = {"memory_id": "01K9XEXAMPLE"}


class AddMemory(Arguments):
    """Arguments of ``add_memory``."""

    messages: Annotated[list[MessageField], BeforeValidator(message_list)] = Field(
        min_length=1, description="What was said, oldest first."
    )
    metadata: JsonObject | None = Field(
        default=None, description='Data to keep: a JSON object, such as {"source": "chat"}.'
    )
    supersedes: IdList | None = Field(
        default=None, description="IDs of memories that are no longer true because of this one."
    )
    pinned: bool = Field(default=False, description="Whether the profile always shows it.")
    ttl: float | None = Field(default=None, gt=0, description="Seconds until it is forgotten; never if left out.")
    valid_from: str | None = Field(default=None, description="The date or time from which it is true.")
    valid_until: str | None = Field(default=None, description="The date or time until which it is true.")


_Kinds: TypeAlias = Annotated[
    KindList | None,
    Field(description="Only these; item is a fact, task an outcome, record a value of state."),
]


class Conditions(Arguments):
    """The arguments that choose memories."""

    kinds: _Kinds = None
    filters: JsonObject | None = Field(
        default=None, description='Conditions on their metadata, such as {"topic": "work", "price": {"$gte": 3}}.'
    )
    session_id: str | None = Field(default=None, description="Only of this conversation.")
    after: str | None = Field(default=None, description="Only what was said from this date or time on.")
    before: str | None = Field(default=None, description="Only what was said before this date or time.")

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions as `Memory` takes them."""
        return {name: getattr(self, name) for name in Conditions.model_fields}


class ReadConditions(Conditions):
    """The arguments that choose memories to read."""

    as_of: str | None = Field(default=None, description="What was true at this date or time, instead of now.")
    include_inactive: bool = Field(default=False, description="Also what is no longer true.")

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions as `Memory` takes them."""
        return {name: getattr(self, name) for name in ReadConditions.model_fields}


class Question(Arguments):
    """The arguments of a search that come first."""

    query: str = Field(description="A question or some words.")
    limit: int = Field(default=10, ge=1, le=MAX_SEARCH_LIMIT, description="How many memories at most; 10 if left out.")


class SearchMemories(ReadConditions, Question):
    """Arguments of ``search_memories``."""

    min_score: float | None = Field(default=None, ge=0, le=1, description="The lowest score.")
    recency: Recency | None = Field(default=None, description="The age in days at which a memory counts half.")
    explain: bool = Field(default=False, description="Also show the parts of each score.")


class MemoryIdArguments(Arguments):
    """Arguments of the tools that take one memory."""

    memory_id: str = Field(description="The memory's ID, as other tools' answers name it.")


class GetMemory(MemoryIdArguments):
    """Arguments of ``get_memory``."""

    versions: bool = Field(default=False, description="Also show what it said before.")
    cursor: Cursor = None


class GetAllMemories(ReadConditions):
    """Arguments of ``get_all_memories``."""

    limit: int = Field(default=100, ge=1, le=MAX_LISTED, description="How many memories at most; 100 if left out.")
    cursor: Cursor = None


class DeleteAllMemories(Conditions):
    """Arguments of ``delete_all_memories``. Elsewhere an empty condition is none; here it would delete everything."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_empty(cls, given: Any) -> object:
        if isinstance(given, Mapping):
            for name, value in cast("Mapping[str, Any]", given).items():
                if name in cls.model_fields and (value in ([], {}) or (isinstance(value, str) and not value.strip())):
                    raise ValueError(f"{name} is empty; leave it out only to delete every memory")
        return cast("object", given)


class NoArguments(Arguments):
    """A tool without arguments."""


class UpdateMemory(MemoryIdArguments):
    """Arguments of ``update_memory``."""

    data: str | None = Field(default=None, description="The new text, if it changes.")
    metadata: JsonObject | None = Field(default=None, description="The new metadata: a JSON object.")
    pinned: bool | None = Field(default=None, description="Pin it, or take its pin away.")

    @model_validator(mode="after")
    def _refuse_nothing(self) -> UpdateMemory:
        if self.data is None and self.metadata is None and self.pinned is None:
            raise ValueError("nothing is to change; pass data, metadata or pinned")
        return self


def _found(count: int, whose: str = "") -> str:
    return f"Found {count} memories{whose}{':' if count else ''}"


def _listed(
    memory: Memory, items: Sequence[MemoryItem], *, query: str = "", least: int = LEAST
) -> tuple[list[str], list[JSON]]:
    """Lines with id and date, and data, of as many items as an answer has room for."""
    cuts = excerpts((item.text for item in items), query=query, least=least)
    lines: list[str] = []
    for item, cut in zip(items, cuts, strict=False):
        score = f" (score: {item.explanation or format(item.score, '.2f')})" if isinstance(item, Hit) else ""
        date = local_time(shown_time(item), memory.timezone)
        text = f"{speaker_note(item)}{cut.line(_WHOLE)}{validity_note(item, memory.timezone)}"
        lines.append(f"ID: {item.id} - {text}{score} [{date:%Y-%m-%d %H:%M}]")
    return lines, [listed_item(item, cut) for item, cut in zip(items, cuts, strict=False)]


@tool(
    "memory",
    "Remember facts about the user for later conversations: who they are, what they like, own, plan or "
    "decided. Pass the messages that say so. A fact that is known already is not stored twice.",
    {"messages": [{"role": "user", "content": "I moved to Lisbon"}]},
)
def _add_memory(memory: Memory, arguments: AddMemory) -> Answer:
    messages = [message.model_dump(exclude_none=True) for message in arguments.messages]
    items = memory.add(
        messages,
        metadata=arguments.metadata,
        supersedes=arguments.supersedes or None,
        pinned=arguments.pinned,
        ttl=arguments.ttl,
        valid_from=arguments.valid_from,
        valid_until=arguments.valid_until,
    )
    text = f"Added {len(items)} memories for {memory.scope}{_replaced(memory, items)}{_conflicts(memory, items)}"
    return Answer(text, {"memories": _listed(memory, items)[1]})


def _replaced(memory: Memory, items: Sequence[MemoryItem]) -> str:
    """The memories that the new ones supersede, so that a model notices a wrong one."""
    before = replaced_by(memory, items)
    if not before:
        return ""
    return "\nNo longer true, because the new ones replace them:" + numbered(
        f"ID: {item.id} - {named(item.text)}" for item in before[-_SHOWN_CONFLICTS:]
    )


def _conflicts(memory: Memory, items: Sequence[MemoryItem]) -> str:
    """The memories of which a new one says something else, each with its text."""
    found = conflicts_of(memory, items, limit=_SHOWN_CONFLICTS)
    if not found:
        return ""
    return "\nThese say something else of the same. Add it again with supersedes what is no longer true:" + numbered(
        f"ID: {item.id} - {named(item.text)}" for item in found
    )


@tool(
    "memory",
    "Look up what is remembered about the user, by meaning and by words. Use it before you answer anything "
    "that may depend on earlier conversations. Returns the memories that fit best, with ID, score and date.",
    {"query": "Where does the user live?"},
    read_only=True,
)
def _search_memories(memory: Memory, arguments: SearchMemories) -> Answer:
    hits = memory.search(
        arguments.query,
        limit=arguments.limit,
        **arguments.conditions,
        min_score=arguments.min_score,
        recency=arguments.recency,
        explain=arguments.explain,
    )
    count_recalls(memory, drop_unfitting(hits, arguments.query))
    lines, data = _listed(memory, hits, query=arguments.query)
    return Answer(_found(len(lines)) + numbered(lines), {"memories": data})


@tool(
    "memory",
    "Read who the user is without a question: pinned memories, preferences, what changed lately and what is needed "
    "most. Use it when a conversation begins.",
    {},
    read_only=True,
)
def _get_profile(memory: Memory, arguments: NoArguments) -> Answer:
    profile = memory.profile()
    lines = [line for section in profile.sections for line in section.lines]
    cuts = dict(zip((line.item.id for line in lines), excerpts(line.item.text for line in lines), strict=False))

    def data_of(line: ProfileLine) -> JSON:
        before: dict[str, JSON] = {} if line.before is None else {"before": excerpts([line.before])[0].text}
        return listed_item(line.item, cuts[line.item.id]) | before

    text = f"Profile of {memory.scope}:" if lines else f"Nothing is remembered of {memory.scope}"
    for section in profile.sections:
        text += "".join((f"\n{section.title}:", *(f"\n{line.text}" for line in section.lines)))
    return Answer(text, {section.name: [data_of(line) for line in section.lines] for section in profile.sections})


@tool("memory", "Read one memory by its ID, a long one in pages.", _BY_ID, read_only=True)
def _get_memory(memory: Memory, arguments: GetMemory) -> Answer:
    item = memory.get(arguments.memory_id)
    part, cursor = text_page(item.text, arguments.cursor)
    owner = f"User: {item.user_id}" if item.user_id is not None else f"Agent: {item.agent_id}"
    text = f"Memory: {safe_for_model(part, line_break=INDENTED)}\nCreated: {as_utc(item.created_at)}\n{owner}"
    if note := validity_note(item, memory.timezone):
        text += f"\nNot true now{note}"
    data: dict[str, JSON] = {"memory": item_data(item) | {"text": part}} | next_page(cursor)
    if arguments.versions:
        lines, data["versions"] = _earlier(memory, item)
        text += f"\nBefore:{numbered(lines)}" if lines else "\nBefore: nothing else"
    return Answer(text + to_continue("get_memory", cursor), data)


def _earlier(memory: Memory, item: MemoryItem) -> tuple[list[str], list[JSON]]:
    """Lines and data of the versions before an item, the latest first."""
    versions = memory.versions(item.id)
    place = next((number for number, each in enumerate(versions) if each.id == item.id), 0)
    before = versions[:place][::-1]
    cuts = excerpts(each.text for each in before)
    lines = [
        f"ID: {each.id} - {cut.line(_WHOLE)} [until {local_time(each.valid_until, memory.timezone):%Y-%m-%d %H:%M}]"
        for each, cut in zip(before, cuts, strict=False)
        if each.valid_until is not None
    ]
    return lines, [listed_item(each, cut) for each, cut in zip(before, cuts, strict=False)]


@tool(
    "memory",
    "List everything that is remembered, oldest first, in pages. For a question use search_memories.",
    {},
    read_only=True,
)
def _get_all_memories(memory: Memory, arguments: GetAllMemories) -> Answer:
    def page(limit: int) -> Page:
        with continuing(arguments.cursor):
            return memory.all(limit=limit, cursor=arguments.cursor, **arguments.conditions)

    items = page(arguments.limit)
    while len((listed := _listed(memory, items, least=PAGED_CHARACTERS))[0]) < len(items):
        # Listed anew, so that the cursor continues behind what is shown, whatever was deleted meanwhile.
        items = page(len(listed[0]))
    lines, data = listed
    text = _found(len(lines), f" for {memory.scope}") + numbered(lines) + to_continue("get_all_memories", items.next)
    return Answer(text, {"memories": data} | next_page(items.next))


@tool(
    "memory",
    "Correct a memory that is no longer true: replaces its text. Find its ID with search_memories.",
    {**_BY_ID, "data": "Moved to Porto"},
    destructive=True,
)
def _update_memory(memory: Memory, arguments: UpdateMemory) -> Answer:
    memory_id, data, metadata, pinned = arguments.memory_id, arguments.data, arguments.metadata, arguments.pinned
    if data is not None and pinned is None:
        item = memory.update(memory_id, data, metadata=metadata)
    else:
        item = memory.get(memory_id)
        if data not in (None, item.text):
            item = memory.update(memory_id, data, metadata=metadata)
        elif metadata is not None:
            # Without the text, which others may change meanwhile.
            change = UpdateItem(memory_id=memory_id, metadata=metadata)
            item = memory._engine.run(memory.scope, change)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if pinned is not None:
        item = memory.pin(item.id) if pinned else memory.unpin(item.id)
    text = f"Memory {item.id} updated successfully"
    if item.superseded_by is not None:
        text += f", but it is no longer true: {item.superseded_by} is in its place. Correct that one if it is wrong"
    return Answer(text, {"memory": _listed(memory, [item])[1][0]})


@tool(
    "memory",
    "Forget one memory by its ID, with its earlier versions and what it replaced, when the user asks to or it is "
    "wrong. It cannot be undone.",
    _BY_ID,
    destructive=True,
)
def _delete_memory(memory: Memory, arguments: MemoryIdArguments) -> Answer:
    memory.delete(arguments.memory_id)
    text = f"Memory {named(arguments.memory_id)} deleted successfully from {_stores(memory)}"
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
    "Forget the memories that meet all conditions; without one every memory. Only when the user plainly asks for it. "
    "It cannot be undone.",
    {"session_id": "chat-1", "before": "2025-01-31"},
    destructive=True,
)
def _delete_all_memories(memory: Memory, arguments: DeleteAllMemories) -> Answer:
    given = {name: value for name, value in arguments.conditions.items() if value is not None}
    count = memory.delete_all(**given) if given else memory.clear()
    later = "" if memory.settle_graph() else _LATER
    return Answer(f"Deleted {count} memories for {memory.scope}{later}", {"deleted": count})


MEMORY_TOOLS = (
    _add_memory,
    _search_memories,
    _get_profile,
    _get_memory,
    _get_all_memories,
    _update_memory,
    _delete_memory,
    _delete_all_memories,
)

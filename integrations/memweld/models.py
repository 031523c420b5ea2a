"""What memory holds: items and hits, task outcomes, chat messages, receipts. Plain frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

__all__ = [
    "JSON",
    "Captured",
    "ChatMessage",
    "EraseReceipt",
    "Extraction",
    "GraphState",
    "Hit",
    "Kind",
    "MemoryItem",
    "Related",
    "Role",
    "Session",
    "TaskOutcome",
    "ToolCall",
    "ValueEntry",
    "ValueWrite",
]

JSON: TypeAlias = Any
"""Any value of JSON: None, bool, int, finite float, str, list and dict of these with string keys."""

Kind: TypeAlias = Literal["item", "preference", "task", "record"]
"""What a memory is: a free fact, a fact with a key (a preference, a task's outcome), or the text of a state value."""

Extraction: TypeAlias = Literal["verbatim", "extracted", "failed"]
"""How the text came to be: as given; written by the LLM; or as given because the LLM's answer was unusable."""

Captured: TypeAlias = Literal["turn", "history", "facts"]
"""What is kept of a turn: its messages in the history and its facts as memories, or one of the two."""

GraphState: TypeAlias = Literal["none", "done", "pending"]
"""Whether a graph was told of a change: there is none; it was; it will be when it can be reached."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
"""Who speaks in a chat message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryItem:
    """One remembered fact.

    Attributes:
        id: Opaque id, unique in the backend.
        text: The fact.
        user_id: Whose memory it is; None for an agent's own.
        agent_id: The agent that keeps it, if one does.
        kind: ``item``, ``preference``, ``task`` or ``record`` (the text of a state value).
        key: The key of a preference, task or record; None for an item.
        session_id: The conversation it belongs to, if known.
        role: Who said it (``user``, ``assistant``), if it came from a message.
        name: The name of who said it, if the message had one.
        metadata: The caller's own JSON data, exactly as given.
        created_at: When it was made (UTC), or the time given on import.
        updated_at: When the text last changed (UTC).
        extraction: ``verbatim``, ``extracted`` (by the LLM) or ``failed``: the LLM's answer was unusable and the
            text was kept as given.
        extraction_error: Why extraction failed, in one line; else None.
    """

    id: str
    text: str
    created_at: datetime
    updated_at: datetime
    user_id: str | None = None
    agent_id: str | None = None
    kind: Kind = "item"
    key: str | None = None
    session_id: str | None = None
    role: str | None = None
    name: str | None = None
    metadata: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    extraction: Extraction = "verbatim"
    extraction_error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(MemoryItem):
    """A memory item found by a search.

    Attributes:
        score: How well it fits the query, from 0 to 1; it means the same in every search and for every user.
    """

    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Related(MemoryItem):
    """A memory item that the graph links to an entity or to another item.

    Attributes:
        score: How much links them, from 0 to 1: an entity that few memories mention links more than one of many.
        entities: The names of the entities in common, the rarest first; empty for what is linked over another memory.
        path: The names of the entities that lead to it, one for each step.
    """

    score: float
    entities: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """What came of a task.

    Attributes:
        task_id: The key under which it was recorded.
        outcome: What happened, in words.
        success: Whether it went well; None if it was not said.
        metadata: The caller's own JSON data.
        recorded_at: When it was last recorded (UTC).
        score: 1.0 for the task that was asked for, else how similar this one is (0 to 1).
    """

    task_id: str
    outcome: str
    success: bool | None
    recorded_at: datetime
    metadata: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that an assistant message asks for."""

    id: str
    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a conversation, in no framework's dialect.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        content: Text, or a list of content parts (``{"type": "text", "text": …}``, ``{"type": "image_url", …}``).
        id: Unique within a session; given by memweld where the caller gives none. A message with an id that the
            session already has replaces that message, so a retried append doubles nothing.
        name: The speaker's name, if any.
        tool_calls: What an assistant message asks tools to do.
        tool_call_id: Which call a tool message answers.
        created_at: When it was said (UTC); the time of the append where the caller gives none.
        native: The framework's own dump, ``{"framework": name, "message": …}``, from which that framework reads the
            message back without loss. Other frameworks ignore it.
    """

    role: Role
    content: str | list[dict[str, JSON]] = ""
    id: str | None = None
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    created_at: datetime | None = None
    native: Mapping[str, JSON] | None = None

    @property
    def text(self) -> str:
        """The text of the content; parts of other types (images, audio) are left out."""
        if isinstance(self.content, str):
            return self.content
        texts = (part.get("text") for part in self.content)
        return "\n".join(text for text in texts if isinstance(text, str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation that has a history.

    Attributes:
        session_id: Its id.
        messages: How many messages it holds.
        started_at: When its first message was appended (UTC).
        updated_at: When its last message was appended (UTC).
    """

    session_id: str
    messages: int
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueEntry:
    """A state value with its place and times (UTC). ``expires_at`` is None for a value that is kept for ever."""

    namespace: str
    key: str
    value: JSON
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueWrite:
    """One write of several that are done together: a value as `State.set` stores it, or a deletion."""

    namespace: str
    key: str
    value: JSON = None
    delete: bool = False
    text: str | None = None
    ttl: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseReceipt:
    """What an erasure took away.

    Attributes:
        user_id: Whose data it was, if a user's.
        agent_id: The agent whose data it was, if the scope had one.
        counts: Rows erased in each store, e.g. ``{"items": 3, "values": 1, "messages": 8, "sessions": 2}``.
        erased_at: When (UTC).
        overwritten: Whether the place where they stood is overwritten already; False where somebody else was reading
            an older state of the file, or the disk is full, then it happens soon after; always False on Postgres
            (docs/postgres.md).
        graph: ``none`` where there is none; ``done``: nothing of it is left there either; ``pending``: it was not told
            yet, and will be by a process with ``graph=`` as soon as it can be reached.
    """

    user_id: str | None
    agent_id: str | None
    counts: Mapping[str, int]
    erased_at: datetime
    overwritten: bool = True
    graph: GraphState = "none"

    @property
    def total(self) -> int:
        """All rows that were erased."""
        return sum(self.counts.values())

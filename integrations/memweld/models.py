"""The public data classes, plain and frozen: items, hits, task outcomes, chat messages, state values, receipts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

from .display import Readable, ResultList
from .explanation import Explanation
from .placeholders import redacted_in

__all__ = [
    "JSON",
    "Captured",
    "Change",
    "ChatMessage",
    "Conflict",
    "EraseReceipt",
    "Extraction",
    "GraphState",
    "Hit",
    "Kind",
    "MemoryItem",
    "Page",
    "Related",
    "Role",
    "Session",
    "Source",
    "Sources",
    "TaskOutcome",
    "ToolCall",
    "ValueEntry",
    "ValueHit",
    "ValueWrite",
]

JSON: TypeAlias = Any
"""Any JSON value: None, bool, int, finite float, str, list and dict of these with string keys."""

Kind: TypeAlias = Literal["item", "source", "preference", "task", "record"]
"""The kind of a memory: a free fact, a text from which an LLM extracted facts, a fact with a key (preference, task
outcome), or the text of a state value."""

Extraction: TypeAlias = Literal["verbatim", "extracted", "failed"]
"""The origin of a text: the caller; the LLM; or the caller, because the LLM's answer was unusable."""

Captured: TypeAlias = Literal["turn", "history", "facts"]
"""The parts of a turn to keep: messages in the history and facts as memories, or one of the two."""

GraphState: TypeAlias = Literal["none", "done", "pending"]
"""Whether a change has reached the graph: there is no graph; yes; not yet."""

Source: TypeAlias = Literal["user", "assistant", "tool", "document", "import", "agent"]
"""The origin of a memory: the words of the user or the assistant, a tool, a document, an import, or an agent's tool
call."""

Sources: TypeAlias = Source | Sequence[Source] | Literal["trusted"]
"""The sources of the memories to look at. ``trusted``: all memories but those that an LLM extracted from an answer of
the assistant, or from the words of a tool."""

Change: TypeAlias = Literal["update", "set", "supersedes", "rule", "llm", "consolidate"]
"""What replaced a memory's text: `Memory.update`; a new value under its key; ``supersedes`` of the caller; a rule of
memweld; the LLM; `Memory.consolidate`."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
"""The speaker of a chat message."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MemoryItem(Readable):
    """One remembered fact.

    Attributes:
        id: Opaque id, unique in the backend.
        text: The fact.
        user_id: The user that the memory is about; None for an agent's own.
        agent_id: The agent that keeps it, if any.
        kind: ``item``, ``source`` (a text from which an LLM extracted facts), ``preference``, ``task`` or ``record``
            (the text of a state value).
        key: The key of a preference, task or record; None for an item.
        session_id: The conversation it belongs to, if known; of several the first.
        role: The speaker (``user``, ``assistant``), if it came from a message.
        name: The speaker's name, if the message had one.
        metadata: The caller's own JSON data, exactly as given. If an equal text was added with other data, all of it
            together; of a key with several values the latest.
        created_at: When it was first added (UTC); or the earliest time given on import, with its offset from UTC.
        updated_at: When the text last changed or was added again with other data; else ``created_at``.
        extraction: ``verbatim``, ``extracted`` (by the LLM), or ``failed``: the LLM's answer was unusable, and the text
            is as given.
        extraction_error: The reason of a failed extraction, in one line; else None.
        message_id: The message of the session that says it, or from which an LLM has learnt most of it, if known. An
            edit of that message removes it, unless others say it, too.
        occurrences: Empty for a text that was added once. Else each time with other data, the first included:
            ``session_id``, ``message_id``, ``metadata`` and ``created_at`` (ISO 8601), without those that are empty.
        links: Ids: of a source its facts, of an extracted fact its sources, of a fact those that `keep_both` named.
        valid_from: When it becomes true (UTC), if the caller said so, or since when it has this text; else None.
        valid_until: When it stops being true (UTC), because the caller said so or another memory supersedes it; None:
            it has no end.
        superseded_by: The id of the memory that replaced it, or None. An earlier text of a memory has that memory's id.
        changed_by: What replaced it: ``update``, ``set`` (a new value under its key), ``supersedes``, ``rule``, ``llm``
            or ``consolidate``; None if nothing did.
        source: Where it comes from: ``user`` (the user's words, or what your program adds), ``assistant`` (an answer),
            ``agent`` (a model that called a tool), ``tool`` (a tool of an MCP server), ``document`` or ``import``. If
            several say it, the most trusted: ``user``, then ``import``, ``document``, ``agent``, ``tool``.
        expires_at: When it is deleted (UTC), with its versions; None: never.
        pinned_at: When it was pinned (UTC), or None.
        conflicts: Of what `Memory.add` returns: the ids of valid memories that give the same relation another value, at
            most 10, newest first. `Memory.conflicts` lists them later.
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
    message_id: str | None = None
    occurrences: tuple[Mapping[str, JSON], ...] = ()
    links: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    superseded_by: str | None = None
    changed_by: Change | None = None
    source: Source = "user"
    expires_at: datetime | None = None
    pinned_at: datetime | None = None

    conflicts: tuple[str, ...] = ()

    @property
    def sessions(self) -> tuple[str, ...]:
        """The ids of all conversations it belongs to, in the order of adding."""
        occurred = (each.get("session_id") for each in self.occurrences)
        return tuple(dict.fromkeys(each for each in (self.session_id, *occurred) if each is not None))

    @property
    def redacted(self) -> tuple[str, ...]:
        """The kinds of what a redaction took out, such as ``card number``: the names in ``[redacted: card number]``."""
        return redacted_in(_texts_of([self.text, self.metadata]))


def _texts_of(value: JSON) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        parts = cast("Mapping[str, JSON] | Sequence[JSON]", value)
        for each in parts.values() if isinstance(parts, Mapping) else parts:
            yield from _texts_of(each)


class Page(ResultList[MemoryItem]):
    """Memories, and the cursor of the page behind them.

    Attributes:
        next: The cursor for ``Memory.all(cursor=…)``; None where no more memories follow.
    """

    def __init__(self, items: Iterable[MemoryItem] = (), *, next: str | None = None) -> None:  # noqa: A002
        super().__init__(items)
        self.next = next


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Conflict(Readable):
    """Two memories of which perhaps one is no longer true.

    Attributes:
        newer: The memory that was stored later.
        older: The other one.
    """

    newer: MemoryItem
    older: MemoryItem


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Hit(MemoryItem):
    """A memory item found by a search.

    Attributes:
        score: The fit with the query, from 0 to 1. It means the same in every search and for every user.
        explanation: The parts of the score; None without ``search(…, explain=True)``.
    """

    score: float
    explanation: Explanation | None = None

    def with_score(self, score: float) -> Hit:
        """The hit with another score, which its explanation follows."""
        return replace(self, score=score, explanation=self.explanation and self.explanation.with_score(score))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Related(MemoryItem):
    """A memory item that the graph connects with an entity or another item.

    Attributes:
        score: The strength of the connection, from 0 to 1. An entity that few memories mention connects more strongly.
        entities: The names of the shared entities, the rarest first; empty if another memory lies between.
        path: The names of the entities that lead to it, one for each step.
    """

    score: float
    entities: tuple[str, ...] = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TaskOutcome(Readable):
    """The outcome of a task.

    Attributes:
        task_id: Its key.
        outcome: What happened, as text.
        success: Whether it succeeded; None if unknown.
        metadata: The caller's own JSON data.
        recorded_at: When it was last recorded (UTC).
        score: 1.0 for the requested task, else the similarity of this one (0 to 1).
    """

    task_id: str
    outcome: str
    success: bool | None
    recorded_at: datetime
    metadata: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call in an assistant message."""

    id: str
    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChatMessage(Readable):
    """One message of a conversation, independent of frameworks.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        content: Text, or a list of content parts (``{"type": "text", "text": …}``, ``{"type": "image_url", …}``).
        id: Unique within a session; by default memweld makes one. A message whose id the session already has replaces
            that message, so a retried append doubles nothing.
        name: The speaker's name, if any.
        tool_calls: The tool calls of an assistant message.
        tool_call_id: The call that a tool message answers.
        created_at: When it was said; by default the time of the append (UTC). An offset from UTC is kept; without one
            it is a time of the memory's zone.
        native: The framework's own dump, ``{"framework": name, "message": …}``. That framework reads the message back
            from it without loss; others ignore it.
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
        """The text of the content, without parts of other types (images, audio)."""
        if isinstance(self.content, str):
            return self.content
        texts = (part.get("text") for part in self.content)
        return "\n".join(text for text in texts if isinstance(text, str))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Session(Readable):
    """A conversation that has a history.

    Attributes:
        session_id: Its id.
        messages: The number of its messages.
        started_at: When its first message was appended (UTC).
        updated_at: When its last message was appended (UTC).
    """

    session_id: str
    messages: int
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValueEntry(Readable):
    """A state value with its namespace, key and times (UTC). ``expires_at`` is None if it never expires."""

    namespace: str
    key: str
    value: JSON
    version: int
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ValueHit(Readable):
    """A state value that a search found.

    Attributes:
        entry: The value.
        score: The fit of its text with the query, from 0 to 1; None for a value without a text.
    """

    entry: ValueEntry
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ValueWrite(Readable):
    """One of several writes in one transaction: a value as `State.set` stores it, or a deletion."""

    namespace: str
    key: str
    value: JSON = None
    delete: bool = False
    text: str | None = None
    ttl: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EraseReceipt(Readable):
    """The result of an erasure.

    Attributes:
        user_id: The user of the erased scope, if any.
        agent_id: The agent of the erased scope, if any.
        counts: Rows erased in each store, e.g. ``{"items": 3, "values": 1, "messages": 8, "sessions": 2}``.
        erased_at: When (UTC).
        overwritten: Whether the bytes are overwritten already. False if another process was reading an older state of
            the file, or the disk is full; a later write then overwrites them. Always False on Postgres
            (docs/how-to/postgres.md).
        graph: ``none``: there is no graph; ``done``: the graph holds nothing of the scope either; ``pending``: a
            process with ``graph=`` will remove the rest as soon as it reaches the graph.
    """

    user_id: str | None
    agent_id: str | None
    counts: Mapping[str, int]
    erased_at: datetime
    overwritten: bool = True
    graph: GraphState = "none"

    @property
    def total(self) -> int:
        """The number of all erased rows."""
        return sum(self.counts.values())

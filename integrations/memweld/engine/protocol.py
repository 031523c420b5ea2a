"""The seam below: what an engine must do. Everything that users see is derived from these primitives.

An engine never sees a framework and never chooses a user: each call carries the `Scope`, always first. Arguments come
checked (see ``checks.py``); rows that come back belong to the scope, and an engine makes sure of it itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ..models import JSON, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Related, Session, ValueEntry, ValueWrite
from ..scope import Scope

__all__ = [
    "Engine",
    "ExportData",
    "ExportPage",
    "ExportedSession",
    "ExportedValue",
    "ItemDraft",
    "KeyedDraft",
    "StoredValue",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """A fact to be stored as it stands, or one message of a turn from which an LLM extracts facts."""

    text: str
    role: str = "user"
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedDraft:
    """A preference or task outcome: stored under its key, replacing what was there."""

    kind: Kind
    key: str
    text: str
    metadata: Mapping[str, JSON] = field(default_factory=dict[str, JSON])


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A state value with the version that a conditional write must name."""

    value: JSON
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedValue:
    """A state value as an export has it. Its record, if it has one, is among the items."""

    namespace: str
    key: str
    value: JSON
    created_at: datetime
    updated_at: datetime
    agent_id: str | None = None
    ttl: float | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSession:
    """A session as an export has it; its messages have ids and times."""

    session_id: str
    started_at: datetime
    updated_at: datetime
    messages: tuple[ChatMessage, ...]
    agent_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportData:
    """What an export holds, to be restored. Whose each part is, within the scope, says its ``agent_id`` alone."""

    items: tuple[MemoryItem, ...] = ()
    values: tuple[ExportedValue, ...] = ()
    sessions: tuple[ExportedSession, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some of an export, in the form in which `Engine.restore` takes it; ``next`` is None on the last page."""

    kept: ExportData
    next: str | None = None


class Engine(Protocol):
    """The primitives over one store. Thread-safe; every method blocks.

    Any method raises `BackendUnavailableError` when the store cannot be reached, and `MemoryNotFoundError` for an item
    id that does not exist **in this scope**.
    """

    @property
    def has_graph(self) -> bool:
        """Whether items are projected into a graph store besides the vectors."""
        ...

    @property
    def can_extract(self) -> bool:
        """Whether an LLM is configured, so that ``infer`` has something to infer with."""
        ...

    # items

    def add_items(
        self,
        scope: Scope,
        drafts: Sequence[ItemDraft],
        *,
        infer: bool,
        metadata: Mapping[str, JSON],
        session_id: str | None,
        created_at: datetime | None,
        epoch: int | None = None,
    ) -> list[MemoryItem]:
        """Store the drafts, or what the LLM makes of them; an equal text in the same scope is stored once.

        An erasure also ends what waits for the LLM: nothing is stored of it. With ``epoch`` nothing is stored if the
        scope was erased after `get_epoch` has answered that.

        Returns:
            The stored items in order; for a text that was there already, the item that holds it. Empty only if the
            LLM answered, well-formed, that there is nothing to keep, or if the scope was erased meanwhile.
        """
        ...

    def get_epoch(self, scope: Scope) -> int:
        """A number that is another one after each erasure of the scope."""
        ...

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a preference or task outcome under its key in exactly this scope."""
        ...

    def get_keyed(self, scope: Scope, kind: Kind, key: str) -> MemoryItem | None:
        """The item under a key in exactly this scope, or None."""
        ...

    def search_items(
        self,
        scope: Scope,
        query: str,
        *,
        limit: int,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
        half_life: float | None = None,
    ) -> list[Hit]:
        """The items of the scope that fit best, best first.

        Args:
            scope: Whose.
            query: What to look for; of a long text its last 4,000 characters.
            limit: How many at most.
            kinds: Only these kinds; None: all.
            filters: What metadata must equal.
            half_life: Seconds of age after which a score counts half; None: age does not count.
        """
        ...

    def get_item(self, scope: Scope, memory_id: str) -> MemoryItem:
        """The item with this id."""
        ...

    def list_items(
        self,
        scope: Scope,
        *,
        limit: int,
        after: str | None,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
    ) -> list[MemoryItem]:
        """Items in the order in which they were stored, oldest first, from behind the id ``after``.

        A page that ended with ``after`` is followed by the next one although that item is gone meanwhile.
        """
        ...

    def update_item(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text, and the metadata unless it is None."""
        ...

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item, its vector and its keywords; of a record its value, too."""
        ...

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope, whatever their kind; how many there were.

        The values of the records among them go with them.
        """
        ...

    # the graph, where there is one

    def related_items(self, scope: Scope, about: str, *, limit: int) -> list[Related]:
        """The items of the scope that the graph links to an entity or to an item, the closest first.

        Args:
            scope: Whose.
            about: The id of an item of the scope, or else the name of an entity.
            limit: How many at most.

        Raises:
            ConfigurationError: There is no graph.
        """
        ...

    def settle_graph(self, scope: Scope, *, timeout: float | None) -> bool:
        """Wait until the graph was told of all that was changed in the scope before.

        Args:
            scope: Whose.
            timeout: Seconds to wait at most, and to try meanwhile where the graph is down. None: some seconds, and none
                where it is known to be down.

        Returns:
            Whether it was; True where there is no graph.
        """
        ...

    # values: state, exact by namespace and key in exactly this scope
    #
    # A value with a text has an item of the kind ``record``, by which it is found; its metadata are the value's
    # namespace and key. Value and record are written, changed, expired and deleted together. A value whose time has
    # come is absent from every answer, and so is its record, whether it was swept or not.

    def get_value(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value, or None where there is none (a stored null is ``StoredValue(None, …)``)."""
        ...

    def put_value(
        self,
        scope: Scope,
        namespace: str,
        key: str,
        value: JSON,
        *,
        if_version: int | None = None,
        text: str | None = None,
        ttl: float | None = None,
    ) -> int | None:
        """Store the value, with the text of its record and the seconds until it expires if it has them.

        What was stored before goes whole: without ``text`` its record, without ``ttl`` its end. With ``if_version``
        the write happens only if the stored version is that one (0: nothing is stored).

        Returns:
            The new version; None where the stored one is not ``if_version``.
        """
        ...

    def write_values(self, scope: Scope, writes: Sequence[ValueWrite]) -> None:
        """Do all writes in order, or none of them."""
        ...

    def delete_value(self, scope: Scope, namespace: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete the value; with ``if_version`` only if the stored version is that one. Whether it was deleted."""
        ...

    def list_keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of the namespace, sorted."""
        ...

    def list_namespaces(self, scope: Scope, *, under: str) -> list[str]:
        """The namespaces that hold values, in the order of the oldest value that each holds.

        Args:
            scope: Whose.
            under: Only this namespace and those below it, where a slash separates levels; all if it is empty.
        """
        ...

    def read_values(
        self, scope: Scope, wanted: Sequence[tuple[str, str]], *, refresh: bool = False
    ) -> list[ValueEntry | None]:
        """The values at these places (namespace, key), in this order, None where there is none.

        With ``refresh`` each that expires lives its whole time again from now.
        """
        ...

    def scan_values(
        self, scope: Scope, namespace: str, *, prefix: str = "", after: str | None = None, limit: int
    ) -> list[ValueEntry]:
        """The values of a namespace whose keys begin with ``prefix``, sorted by key, from behind the key ``after``."""
        ...

    def find_values(
        self,
        scope: Scope,
        *,
        under: str,
        where: Mapping[str, JSON] | None = None,
        offset: int = 0,
        limit: int | None = None,
        refresh: bool = False,
    ) -> list[ValueEntry]:
        """The values of all namespaces under ``under``, in the order of `list_namespaces`, the oldest of each first.

        Args:
            scope: Whose.
            under: See `list_namespaces`.
            where: What the values must be (see ``conditions.py``).
            offset: How many of those that fit are left out at the beginning.
            limit: How many at most; None: all.
            refresh: See `read_values`; for the values that are returned.
        """
        ...

    def sweep_values(self, scope: Scope | None = None) -> int:
        """Delete what has expired, of a scope or of all; how many values.

        Nothing depends on it but the room that they take. Engines also do it by themselves on occasion.
        """
        ...

    # messages: history, exact by session in exactly this scope

    def append_messages(self, scope: Scope, session_id: str, messages: Sequence[ChatMessage]) -> None:
        """Append messages (each with id and time); one whose id the session has replaces that message in place."""
        ...

    def read_messages(
        self, scope: Scope, session_id: str, *, limit: int | None, before: str | None = None
    ) -> list[ChatMessage]:
        """The last ``limit`` messages (None: all) of those that stand before the id ``before``, oldest first.

        Raises:
            MemoryNotFoundError: The session has no message with the id ``before``.
        """
        ...

    def clear_messages(self, scope: Scope, session_id: str) -> int:
        """Delete the session; how many messages it had."""
        ...

    def list_sessions(self, scope: Scope) -> list[Session]:
        """The sessions of exactly this scope, the latest used first."""
        ...

    # everything

    def export(self, scope: Scope) -> dict[str, JSON]:
        """All that the scope contains, as one JSON object."""
        ...

    def export_page(self, scope: Scope, *, after: str | None, limit: int) -> ExportPage:
        """Some of all that the scope contains, in an order that stays: free and keyed facts, values, messages.

        A value's record is on its page. A session that goes over several pages is on each of them with its times and
        some of its messages.

        Args:
            scope: Whose.
            after: The ``next`` of the page before; None for the first.
            limit: How many facts, values and messages at most; fewer where they are large.

        Raises:
            InvalidInputError: ``after`` is of no page.
        """
        ...

    def restore(self, scope: Scope, kept: ExportData) -> dict[str, int]:
        """Store what an export holds, with its ids and times, all of it or nothing; to do it again changes nothing.

        Where the scope has something under the same id, key or place, the one that was changed last stays. A free fact
        whose text is there, and a message whose id its session has, are left out; so is what has expired. An id that
        another scope has is replaced by a new one.

        Returns:
            How many ``items``, ``values``, ``sessions`` and ``messages`` are new or changed.

        Raises:
            InvalidInputError: A part is an agent's that the scope does not contain.
        """
        ...

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, and what waits to be added to it."""
        ...

    # the store: for those who run it, and never for a model or a `Memory`

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored, in an order that stays, from behind ``after``.

        Where one agent keeps something of a user, both the user and the part of that agent are in the list.

        Raises:
            AccessDeniedError: The caller may not know whose memories are kept here.
        """
        ...

    def close(self) -> None:
        """Release files, connections and threads. Further calls raise `BackendUnavailableError`."""
        ...

"""The embedded engine: one SQLite file that holds items, state and history."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, MemoryNotFoundError
from ..models import JSON, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Related, Session, ValueEntry, ValueWrite
from ..scope import Scope
from ..validation import utc_now
from .lazy_lock import Loading
from .protocol import ExportData, ExportPage, ItemDraft, KeyedDraft, StoredValue
from .sql import owners
from .sql.database import Database
from .sql.erase import erase
from .sql.export import export_page, list_scopes
from .sql.items import Items
from .sql.mem0_entities import unlink, unlink_all
from .sql.outbox import Outbox
from .sql.page_cursors import PageEnds
from .sql.restore import Packed, restore
from .sql.sessions import Chat
from .sql.state import Keep, Values
from .sql.state_queries import Catalogue
from .sqlite.pool import Durability
from .sqlite.transactions import SqliteDatabase, path_of

if TYPE_CHECKING:
    from .facts import Facts

__all__ = ["SqlEngine"]

_EARLIER = 10


class SqlEngine:
    """Memory in one SQLite file. Opens the file, mem0 and the embedder when each is first needed.

    Args:
        url: ``sqlite://…`` (see ``stores.sqlite.path_of``).
        llm: What extracts facts, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `memweld.connect` takes it.
        durability: What an acknowledged write survives, as `memweld.connect` takes it.
        cache_mb: How much RAM the vectors and words of the users that searched last may take.
    """

    def __init__(
        self,
        url: str,
        *,
        llm: Any,
        llm_timeout: float,
        embedder: Any,
        durability: Durability = "normal",
        cache_mb: int = 512,
    ) -> None:
        self._database = self._open(url, durability)
        self._values = Values(self._database)
        self._catalogue = Catalogue(self._database)
        self._chat = Chat(self._database)
        self._items = Items(self._database)
        self._options: dict[str, Any] = {
            "llm": llm,
            "llm_timeout": llm_timeout,
            "embedder": embedder,
            "cache_mb": cache_mb,
        }
        self._loaded: Facts | None = None
        self._ends = PageEnds()
        self._database.after_fork.append(self._ends.begin)
        self._loading = Loading()

    def _open(self, url: str, durability: Durability) -> Any:
        return SqliteDatabase(path_of(url), durability=durability)

    @property
    def in_ram(self) -> bool:
        """Whether all of it ends with this object."""
        return getattr(self._database, "path", "") is None

    @property
    def database(self) -> Database:
        """The tables, for what is kept beside the memory."""
        return self._database

    @property
    def has_graph(self) -> bool:
        """There is none in one file."""
        return False

    @property
    def can_extract(self) -> bool:
        """Whether an LLM was given."""
        return self._options["llm"] is not None

    @property
    def _facts(self) -> Facts:
        with self._loading:
            if self._loaded is None:
                from .facts import Facts

                self._loaded = Facts(self._database, **self._options)
            return self._loaded

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
        """Store drafts, verbatim or as the facts that the LLM finds in them."""
        if infer and epoch is None:
            epoch = self.get_epoch(scope)
        earlier = self._earlier(scope, session_id, drafts) if infer and session_id is not None else []
        return self._facts.add(
            scope,
            drafts,
            infer=infer,
            metadata=metadata,
            session_id=session_id,
            created_at=created_at,
            earlier=earlier,
            epoch=epoch,
        )

    def get_epoch(self, scope: Scope) -> int:
        """The number of the scope's row, which is never used again: an erasure removes it."""
        with self._database.reading() as connection:
            owner = owners.find(connection, scope)
        if owner is None:
            with self._database.writing() as connection:
                owner = owners.claim(connection, scope)
        return owner.id

    def _earlier(self, scope: Scope, session_id: str, drafts: Sequence[ItemDraft]) -> list[dict[str, str]]:
        """The session before this turn, whose own messages may stand in the history already."""
        messages = self._chat.read(scope, session_id, limit=_EARLIER + len(drafts))
        said = ((message.role, message.text.strip()) for message in messages if message.role in ("user", "assistant"))
        spoken = [(role, text) for role, text in said if text]
        turn = [(draft.role, draft.text) for draft in drafts]
        # Not only at the end: the next turn may be there already where facts are extracted in the background.
        starts = range(len(spoken) - len(turn), -1, -1)
        place = next((start for start in starts if spoken[start : start + len(turn)] == turn), len(spoken))
        spoken = spoken[:place]
        return [{"role": role, "content": text} for role, text in spoken[-_EARLIER:]]

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a preference or task outcome under its key."""
        return self._facts.put_keyed(scope, draft)

    def get_keyed(self, scope: Scope, kind: Kind, key: str) -> MemoryItem | None:
        """The item under a key, or None."""
        row = self._items.by_key(scope, kind, key)
        return None if row is None else row.item()

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
        """The items that fit best, best first."""
        return self._facts.search(scope, query, limit=limit, kinds=kinds, filters=filters, half_life=half_life)

    def get_item(self, scope: Scope, memory_id: str) -> MemoryItem:
        """The item with this id."""
        row = self._items.get(scope, memory_id)
        if row is None:
            raise MemoryNotFoundError(memory_id)
        return row.item()

    def list_items(
        self,
        scope: Scope,
        *,
        limit: int,
        after: str | None,
        kinds: Sequence[Kind] | None,
        filters: Mapping[str, JSON],
    ) -> list[MemoryItem]:
        """Items in the order in which they were stored."""
        place = 0 if after is None else self._place(scope, after)
        rows = self._items.page(scope, limit=limit, after=place, kinds=kinds, filters=filters)
        if rows:
            self._ends.note(scope, rows[-1].id, rows[-1].seq)
        return [row.item() for row in rows]

    def _place(self, scope: Scope, memory_id: str) -> int:
        row = self._items.get(scope, memory_id)
        # Who reads page after page may delete, and so may others meanwhile.
        place = self._ends.find(scope, memory_id) if row is None else row.seq
        if place is None:
            raise MemoryNotFoundError(memory_id)
        return place

    def update_item(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text, and the metadata unless it is None."""
        return self._facts.update(scope, memory_id, text, metadata)

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item."""
        # Neither this nor clearing needs mem0 or an embedder: to forget must always be possible.
        with self._database.writing() as connection:
            self._values.sweep(scope)
            if not self._items.remove(scope, memory_id):
                raise MemoryNotFoundError(memory_id)
            self._values.delete_record(connection, memory_id)
            unlink(connection, scope, memory_id)

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope."""
        with self._database.writing() as connection:
            self._values.sweep(scope)
            self._values.delete_records(connection, scope)
            unlink_all(connection, scope)
            return self._items.clear(scope)

    # the graph

    def related_items(self, scope: Scope, about: str, *, limit: int) -> list[Related]:  # noqa: ARG002
        """Refused: nothing is linked without a graph."""
        raise ConfigurationError(
            "There is no graph that links memories: connect with one, "
            "connect(…, graph='neo4j://user:password@host:7687'), or set MEMWELD_GRAPH."
        )

    def settle_graph(self, scope: Scope, *, timeout: float | None) -> bool:  # noqa: ARG002
        """Nothing is to be told to anybody."""
        return True

    def graph_waiting(self) -> int | None:
        """How many changes wait for a graph; None where none was ever told, or where this role may not see it."""
        if getattr(self._database, "is_secured", False):
            return None
        outbox = Outbox(self._database)
        waiting = outbox.pending().count
        return waiting if waiting or outbox.store() is not None else None

    def forget_graph(self) -> int:
        """Keep no changes for a graph any more; how many waited.

        Raises:
            ConfigurationError: The role of the URL may not do this.
        """
        if getattr(self._database, "is_secured", False):
            raise ConfigurationError(
                f"{self._database.where}: row-level security is in force for this role. Forget the graph with one that "
                "sees all users (a superuser, or BYPASSRLS)."
            )
        return Outbox(self._database).detach()

    # values

    def get_value(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value and its version."""
        return self._values.get(scope, namespace, key)

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
        """Store the value; its new version."""
        write = ValueWrite(namespace=namespace, key=key, value=value, text=text, ttl=ttl)
        with self._keeping(scope, [write]) as keep:
            return self._values.put(scope, write, keep, if_version=if_version)

    def write_values(self, scope: Scope, writes: Sequence[ValueWrite]) -> None:
        """Do all writes in order, or none of them."""
        with self._keeping(scope, writes) as keep:
            self._values.write(scope, writes, keep)

    def _keeping(self, scope: Scope, writes: Sequence[ValueWrite]) -> AbstractContextManager[Keep]:
        # Values without texts need neither mem0 nor an embedder.
        if all(write.text is None for write in writes):
            return nullcontext(_keep_nothing)
        return self._facts.records.keeping(scope, writes)

    def delete_value(self, scope: Scope, namespace: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete the value."""
        return self._values.delete(scope, namespace, key, if_version=if_version)

    def list_keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of the namespace."""
        return self._catalogue.keys(scope, namespace)

    def list_namespaces(self, scope: Scope, *, under: str) -> list[str]:
        """The namespaces that hold values."""
        return self._catalogue.namespaces(scope, under)

    def read_values(
        self, scope: Scope, wanted: Sequence[tuple[str, str]], *, refresh: bool = False
    ) -> list[ValueEntry | None]:
        """The values at these places."""
        return self._catalogue.read(scope, wanted, refresh=refresh)

    def scan_values(
        self, scope: Scope, namespace: str, *, prefix: str = "", after: str | None = None, limit: int
    ) -> list[ValueEntry]:
        """The values of a namespace, sorted by key."""
        return self._catalogue.scan(scope, namespace, prefix=prefix, after=after, limit=limit)

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
        """The values of all namespaces under ``under`` that fit."""
        return self._catalogue.find(scope, under=under, where=where, offset=offset, limit=limit, refresh=refresh)

    def sweep_values(self, scope: Scope | None = None) -> int:
        """Delete what has expired."""
        return self._values.sweep(scope)

    # messages

    def append_messages(self, scope: Scope, session_id: str, messages: Sequence[ChatMessage]) -> None:
        """Append messages to the session."""
        self._chat.append(scope, session_id, messages)

    def read_messages(
        self, scope: Scope, session_id: str, *, limit: int | None, before: str | None = None
    ) -> list[ChatMessage]:
        """The last messages of the session, or of its part before a message."""
        return self._chat.read(scope, session_id, limit=limit, before=before)

    def clear_messages(self, scope: Scope, session_id: str) -> int:
        """Delete the session."""
        return self._chat.clear(scope, session_id)

    def list_sessions(self, scope: Scope) -> list[Session]:
        """The sessions, the latest used first."""
        return self._chat.sessions(scope)

    # everything

    def export(self, scope: Scope) -> dict[str, JSON]:
        """All that the scope contains, as it was at one moment."""
        with self._database.reading():
            items = self._items.page(scope, limit=-1, after=0, kinds=None, filters={})
            return {
                "format": "memweld-export",
                "version": 1,
                "user_id": scope.user_id,
                "agent_id": scope.agent_id,
                "exported_at": utc_now().isoformat(),
                "items": [_exported(row.item()) for row in items],
                "state": self._values.export(scope),
                "sessions": self._chat.export_sessions(scope),
                "messages": self._chat.export(scope),
            }

    def export_page(self, scope: Scope, *, after: str | None, limit: int) -> ExportPage:
        """Some of all that the scope contains."""
        return export_page(self._database, scope, after=after, limit=limit)

    def restore(self, scope: Scope, kept: ExportData) -> dict[str, int]:
        """Store what an export holds, all of it or nothing."""
        # Only memories need an embedder.
        packed = self._facts.pack([item.text for item in kept.items]) if kept.items else Packed()
        return restore(self._database, scope, kept, packed)

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, and overwrite where it stood."""
        graph = Outbox(self._database).state_after(scope)
        removed, overwritten = erase(self._database, scope)
        self._ends.forget(scope)
        if self._loaded is not None:
            self._loaded.forget(removed.root)
        return EraseReceipt(
            user_id=scope.user_id,
            agent_id=scope.agent_id,
            counts=removed.counts,
            erased_at=utc_now(),
            overwritten=overwritten,
            graph=graph(removed.counts["items"]),
        )

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored."""
        return list_scopes(self._database, after=after, limit=limit)

    def reindex(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Embed all memories of the file again with this embedder; how many, 0 if they are of it already."""
        return self._facts.reindex(progress)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _keep_nothing(write: ValueWrite, _held: str | None) -> str:
    raise AssertionError(f"{write.key!r} has a text, and nothing was prepared to keep it")


def _exported(item: MemoryItem) -> dict[str, JSON]:
    fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    fields |= {name: fields[name].isoformat() for name in ("created_at", "updated_at")}
    return {name: value for name, value in fields.items() if value is not None}

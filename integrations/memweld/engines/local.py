"""The embedded engine: one SQLite file that holds items, state and history."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..checks import utc_now
from ..engine import ItemDraft, KeyedDraft, StoredValue
from ..errors import MemoryNotFoundError
from ..models import JSON, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Session
from ..scope import Scope
from .stores.chat import Chat
from .stores.erasure import erase
from .stores.items import Items
from .stores.linked import unlink, unlink_all
from .stores.sqlite import SqliteDatabase, path_of
from .stores.values import Values

if TYPE_CHECKING:
    from .facts.facts import Facts

__all__ = ["LocalEngine"]

_EARLIER = 10


class LocalEngine:
    """Memory in one SQLite file. Opens the file, mem0 and the embedder when each is first needed.

    Args:
        url: ``sqlite://…`` (see ``stores.sqlite.path_of``).
        llm: What extracts facts, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `memweld.connect` takes it.
    """

    def __init__(self, url: str, *, llm: Any, llm_timeout: float, embedder: Any) -> None:
        self._database = SqliteDatabase(path_of(url))
        self._values = Values(self._database)
        self._chat = Chat(self._database)
        self._items = Items(self._database)
        self._options = {"llm": llm, "llm_timeout": llm_timeout, "embedder": embedder}
        self._loaded: Facts | None = None
        self._reset_lock()
        self._database.after_fork.append(self._reset_lock)

    def _reset_lock(self) -> None:
        self._loading = threading.Lock()

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
                from .facts.facts import Facts

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
    ) -> list[MemoryItem]:
        """Store drafts, verbatim or as the facts that the LLM finds in them."""
        earlier = self._earlier(scope, session_id, drafts) if infer and session_id is not None else []
        return self._facts.add(
            scope,
            drafts,
            infer=infer,
            metadata=metadata,
            session_id=session_id,
            created_at=created_at,
            earlier=earlier,
        )

    def _earlier(self, scope: Scope, session_id: str, drafts: Sequence[ItemDraft]) -> list[dict[str, str]]:
        """The session before this turn, whose own messages may stand in the history already."""
        messages = self._chat.read(scope, session_id, limit=_EARLIER + len(drafts))
        spoken = [(message.role, message.text.strip()) for message in messages if message.text.strip()]
        turn = [(draft.role, draft.text) for draft in drafts]
        if spoken[-len(turn) :] == turn:
            spoken = spoken[: -len(turn)]
        return [{"role": role, "content": text} for role, text in spoken[-_EARLIER:]]

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a preference or task outcome under its key."""
        return self._facts.put_keyed(scope, draft)

    def get_keyed(self, scope: Scope, kind: Kind, key: str) -> MemoryItem | None:
        """The item under a key, or None."""
        row = self._items.by_key(scope, kind, key)
        return None if row is None else row.item()

    def search_items(
        self, scope: Scope, query: str, *, limit: int, kinds: Sequence[Kind] | None, filters: Mapping[str, JSON]
    ) -> list[Hit]:
        """The items that fit best, best first."""
        return self._facts.search(scope, query, limit=limit, kinds=kinds, filters=filters)

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
        place = 0
        if after is not None:
            row = self._items.get(scope, after)
            if row is None:
                raise MemoryNotFoundError(after)
            place = row.seq
        rows = self._items.page(scope, limit=limit, after=place, kinds=kinds, filters=filters)
        return [row.item() for row in rows]

    def update_item(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text, and the metadata unless it is None."""
        return self._facts.update(scope, memory_id, text, metadata)

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item."""
        # Neither this nor clearing needs mem0 or an embedder: to forget must always be possible.
        with self._database.writing() as connection:
            if not self._items.remove(scope, memory_id):
                raise MemoryNotFoundError(memory_id)
            unlink(connection, scope, memory_id)

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope."""
        with self._database.writing() as connection:
            unlink_all(connection, scope)
            return self._items.clear(scope)

    # values

    def get_value(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value and its version."""
        return self._values.get(scope, namespace, key)

    def put_value(
        self, scope: Scope, namespace: str, key: str, value: JSON, *, if_version: int | None = None
    ) -> int | None:
        """Store the value; its new version."""
        return self._values.put(scope, namespace, key, value, if_version=if_version)

    def delete_value(self, scope: Scope, namespace: str, key: str) -> bool:
        """Delete the value."""
        return self._values.delete(scope, namespace, key)

    def list_keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of the namespace."""
        return self._values.keys(scope, namespace)

    # messages

    def append_messages(self, scope: Scope, session_id: str, messages: Sequence[ChatMessage]) -> None:
        """Append messages to the session."""
        self._chat.append(scope, session_id, messages)

    def read_messages(self, scope: Scope, session_id: str, *, limit: int | None) -> list[ChatMessage]:
        """The last messages of the session."""
        return self._chat.read(scope, session_id, limit=limit)

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
                "messages": self._chat.export(scope),
            }

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, and overwrite where it stood."""
        counts, overwritten = erase(self._database, scope)
        if self._loaded is not None:
            self._loaded.forget()
        return EraseReceipt(
            user_id=scope.user_id,
            agent_id=scope.agent_id,
            counts=counts,
            erased_at=utc_now(),
            overwritten=overwritten,
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _exported(item: MemoryItem) -> dict[str, JSON]:
    fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    fields |= {name: fields[name].isoformat() for name in ("created_at", "updated_at")}
    return {name: value for name, value in fields.items() if value is not None}

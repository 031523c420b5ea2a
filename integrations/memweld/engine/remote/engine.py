"""The primitives over a memweld server: each call is encoded, sent through the link, and its answer decoded."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from ...errors import BackendUnavailableError, InvalidInputError, MemoryNotFoundError, missing_extra
from ...models import JSON, ChatMessage, EraseReceipt, Hit, Kind, MemoryItem, Related, Session, ValueEntry, ValueWrite
from ...scope import Scope
from ..protocol import ExportData, ExportPage, ItemDraft, KeyedDraft, StoredValue

if TYPE_CHECKING:
    from .mcp_client.client import McpClient

__all__ = ["RemoteEngine"]

_DOUBT = "Whether the value was written is not known: read it before you write it again."


def _require_mcp() -> None:
    try:
        found = find_spec("mcp")
    except ImportError:
        found = None
    if found is None:
        raise missing_extra("mcp", "mcp")


class RemoteEngine:
    """Memory on a memweld server. Connects, or starts the server's process, when it is first asked something.

    A call whose answer was lost with the connection is repeated on the next one, because it can be: reads change
    nothing; an equal text, a key and a message's id are stored once; what is gone stays gone (a repeated deletion or
    erasure counts what it still found). A write under the condition of a version is the exception: it would not
    know its own first attempt from somebody else's write. It is repeated only if it cannot have reached the server.

    Args:
        url: ``http://host:8710/mcp``, ``https://…`` or ``stdio:`` and a command that serves MCP on its stdio.
        token: The bearer token for HTTP.
        timeout: Seconds to wait for an answer.

    Raises:
        MissingExtraError: The package ``mcp`` is not installed.
        ConfigurationError: The URL cannot be used, or a token does not go with it.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout: float = 90.0) -> None:
        _require_mcp()
        from .mcp_client.url import read_address

        self._address = read_address(url, token)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._opened: McpClient | None = None
        self._closed = False
        self._said: Mapping[str, JSON] | None = None

    @property
    def _client(self) -> McpClient:
        with self._lock:
            if self._closed:
                raise BackendUnavailableError("The backend is closed: connect anew.")
            if self._opened is None:
                from .mcp_client.client import McpClient

                self._opened = McpClient(
                    self._address, timeout=self._timeout, client_name="memweld-engine", doubt=_DOUBT
                )
            return self._opened

    def _ask(
        self, primitive: str, scope: Scope, /, *, repeatable: bool = True, deletes: bool = False, **arguments: Any
    ) -> Any:
        from ..codec import decode_answer, encode_arguments

        data = encode_arguments(primitive, arguments)
        data |= {"user_id": scope.user_id} if scope.user_id is not None else {}
        data |= {"agent_id": scope.agent_id} if scope.agent_id is not None else {}
        answer = self._call(f"engine_{primitive}", data, repeatable=repeatable, deletes=deletes)
        try:
            return decode_answer(primitive, answer)
        except InvalidInputError as error:
            raise BackendUnavailableError(f"{self._address.name} answers in another version's form: {error}") from error

    def _call(self, tool: str, arguments: Mapping[str, Any], *, repeatable: bool = True, deletes: bool = False) -> JSON:
        from .errors import answer_of

        reply = self._client.call(tool, arguments, repeatable=repeatable)
        try:
            return answer_of(reply.outcome, self._address)
        except MemoryNotFoundError:
            # A deletion that was repeated and finds nothing has succeeded.
            if deletes and reply.repeated:
                return None
            raise

    def _capability(self, name: str) -> bool:
        said = self._said
        if said is None:
            said = self._said = cast("dict[str, JSON]", self._call("engine_info", {}))
        return bool(said.get(name))

    @property
    def has_graph(self) -> bool:
        """Whether the server keeps a graph; asked once."""
        return self._capability("has_graph")

    @property
    def can_extract(self) -> bool:
        """Whether the server has an LLM; asked once."""
        return self._capability("can_extract")

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
        """Store drafts, verbatim or as the facts that the server's LLM finds in them."""
        return self._ask(
            "add_items",
            scope,
            drafts=drafts,
            infer=infer,
            metadata=metadata,
            session_id=session_id,
            created_at=created_at,
            epoch=epoch,
        )

    def get_epoch(self, scope: Scope) -> int:
        """What changes when the scope is erased."""
        return self._ask("get_epoch", scope)

    def put_keyed(self, scope: Scope, draft: KeyedDraft) -> MemoryItem:
        """Store a preference or task outcome under its key."""
        return self._ask("put_keyed", scope, draft=draft)

    def get_keyed(self, scope: Scope, kind: Kind, key: str) -> MemoryItem | None:
        """The item under a key, or None."""
        return self._ask("get_keyed", scope, kind=kind, key=key)

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
        return self._ask(
            "search_items",
            scope,
            query=query,
            limit=limit,
            kinds=kinds,
            filters=filters,
            half_life=half_life,
        )

    def get_item(self, scope: Scope, memory_id: str) -> MemoryItem:
        """The item with this id."""
        return self._ask("get_item", scope, memory_id=memory_id)

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
        return self._ask("list_items", scope, limit=limit, after=after, kinds=kinds, filters=filters)

    def update_item(self, scope: Scope, memory_id: str, text: str, metadata: Mapping[str, JSON] | None) -> MemoryItem:
        """Replace the text, and the metadata unless it is None."""
        return self._ask("update_item", scope, memory_id=memory_id, text=text, metadata=metadata)

    def delete_item(self, scope: Scope, memory_id: str) -> None:
        """Delete the item."""
        self._ask("delete_item", scope, deletes=True, memory_id=memory_id)

    def clear_items(self, scope: Scope) -> int:
        """Delete all items of the scope."""
        return self._ask("clear_items", scope)

    # the graph

    def related_items(self, scope: Scope, about: str, *, limit: int) -> list[Related]:
        """What the server's graph links to an entity or to an item."""
        return self._ask("related_items", scope, about=about, limit=limit)

    def settle_graph(self, scope: Scope, *, timeout: float | None) -> bool:
        """Wait until the server's graph was told; nobody is asked where it has none."""
        return not self.has_graph or self._ask("settle_graph", scope, timeout=timeout)

    # values

    def get_value(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value and its version."""
        return self._ask("get_value", scope, namespace=namespace, key=key)

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
        return self._ask(
            "put_value",
            scope,
            repeatable=if_version is None,
            namespace=namespace,
            key=key,
            value=value,
            if_version=if_version,
            text=text,
            ttl=ttl,
        )

    def write_values(self, scope: Scope, writes: Sequence[ValueWrite]) -> None:
        """Do all writes in order, or none of them."""
        self._ask("write_values", scope, writes=writes)

    def delete_value(self, scope: Scope, namespace: str, key: str, *, if_version: int | None = None) -> bool:
        """Delete the value."""
        repeatable = if_version is None
        return self._ask(
            "delete_value", scope, repeatable=repeatable, namespace=namespace, key=key, if_version=if_version
        )

    def list_keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of the namespace."""
        return self._ask("list_keys", scope, namespace=namespace)

    def list_namespaces(self, scope: Scope, *, under: str) -> list[str]:
        """The namespaces that hold values."""
        return self._ask("list_namespaces", scope, under=under)

    def read_values(
        self, scope: Scope, wanted: Sequence[tuple[str, str]], *, refresh: bool = False
    ) -> list[ValueEntry | None]:
        """The values at these places."""
        return self._ask("read_values", scope, wanted=wanted, refresh=refresh)

    def scan_values(
        self, scope: Scope, namespace: str, *, prefix: str = "", after: str | None = None, limit: int
    ) -> list[ValueEntry]:
        """The values of a namespace, sorted by key."""
        return self._ask("scan_values", scope, namespace=namespace, prefix=prefix, after=after, limit=limit)

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
        return self._ask("find_values", scope, under=under, where=where, offset=offset, limit=limit, refresh=refresh)

    def sweep_values(self, scope: Scope | None = None) -> int:
        """Delete what has expired of a scope. What has expired of all is for the server to sweep."""
        return 0 if scope is None else self._ask("sweep_values", scope)

    # messages

    def append_messages(self, scope: Scope, session_id: str, messages: Sequence[ChatMessage]) -> None:
        """Append messages to the session."""
        self._ask("append_messages", scope, session_id=session_id, messages=messages)

    def read_messages(
        self, scope: Scope, session_id: str, *, limit: int | None, before: str | None = None
    ) -> list[ChatMessage]:
        """The last messages of the session, or of its part before a message."""
        return self._ask("read_messages", scope, session_id=session_id, limit=limit, before=before)

    def clear_messages(self, scope: Scope, session_id: str) -> int:
        """Delete the session."""
        return self._ask("clear_messages", scope, session_id=session_id)

    def list_sessions(self, scope: Scope) -> list[Session]:
        """The sessions, the latest used first."""
        return self._ask("list_sessions", scope)

    # everything

    def export(self, scope: Scope) -> dict[str, JSON]:
        """All that the scope contains."""
        return self._ask("export", scope)

    def export_page(self, scope: Scope, *, after: str | None, limit: int) -> ExportPage:
        """Some of all that the scope contains."""
        return self._ask("export_page", scope, after=after, limit=limit)

    def restore(self, scope: Scope, kept: ExportData) -> dict[str, int]:
        """Store what an export holds, all of it or nothing."""
        return self._ask("restore", scope, kept=kept)

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains."""
        return self._ask("erase", scope)

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which the server has stored something and which this caller may touch."""
        place = None if after is None else [after.user_id, after.agent_id]
        listed = self._call("engine_list_scopes", {"after": place, "limit": limit})
        return [Scope.stored(*names) for names in cast("list[tuple[str | None, str | None]]", listed)]

    def close(self) -> None:
        """End the session, its thread and, on stdio, the server's process."""
        with self._lock:
            self._closed = True
            client = self._opened
        if client is not None:
            client.close()

"""The engine on a memweld server: each operation is encoded, sent over MCP, and its answer decoded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ...errors import BackendUnavailableError, ConfigurationError, InvalidInputError, MemoryNotFoundError, missing_extra
from ...models import JSON
from ...scope import Scope
from ..export_batches import batches
from ..export_data import owner_scope
from ..operations import DeleteItem, Operation, RelatedItems, Restore, SettleGraph
from ..protocol import EngineAdmin

if TYPE_CHECKING:
    from .mcp_client.client import McpClient

__all__ = ["RemoteEngine"]

T = TypeVar("T")

# A server takes messages of 4 MiB.
_RESTORED_ROWS, _RESTORED_BYTES = 2_000, 2 * 2**20
_DOUBT = "Whether the value was written is not known: read it before you write it again."


def _require_mcp() -> None:
    try:
        found = find_spec("mcp")
    except ImportError:
        found = None
    if found is None:
        raise missing_extra("mcp", "mcp")


class RemoteEngine:
    """Memory on a memweld server. Connects, or starts the server's process, at the first operation.

    A call is sent again on the next connection when its answer was lost with the last one: reads change nothing; equal
    texts, keys and messages' ids are stored once; what is deleted stays deleted (a second deletion or erasure counts
    what it still found). An operation that is not repeatable is sent again only if it cannot have reached the server.

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

        self._address = replace(read_address(url, token), is_backend=True)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._opened: McpClient | None = None
        self._closed = False
        self._info: Mapping[str, JSON] | None = None

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

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Have the server do one operation for the scope."""
        # Without a graph there is nothing to ask the server for.
        if operation.name in (SettleGraph.name, RelatedItems.name) and not self.has_graph:
            if operation.name == SettleGraph.name:
                return cast("T", True)
            raise ConfigurationError(f"There is no graph that links memories: {self._address.name} has none.")
        if isinstance(operation, Restore):
            return cast("T", self._restore(scope, operation))
        return self._send(scope, operation)

    def _restore(self, scope: Scope, operation: Restore) -> dict[str, int]:
        """Restore in as many messages as the server takes; nothing is sent if a part is not the scope's."""
        from ..codec import encoded_size

        data = operation.data
        for part in (*data.items, *data.values, *data.sessions):
            owner_scope(scope, part.agent_id)
        counts, long_sessions = Counter[str](), set[tuple[str | None, str]]()
        for part in batches(data, rows=_RESTORED_ROWS, size=_RESTORED_BYTES, size_of=encoded_size):
            restored = self._send(scope, replace(operation, data=part))
            if len(part.sessions) == 1 and restored["sessions"]:
                # A piece of a long session stands alone, and the session counts once.
                place = part.sessions[0].agent_id, part.sessions[0].session_id
                restored = {**restored, "sessions": int(place not in long_sessions)}
                long_sessions.add(place)
            counts.update(restored)
        return dict(counts)

    def _send(self, scope: Scope, operation: Operation[T]) -> T:
        from ..codec import decode_answer, encode_operation

        kind: type[Operation[T]] = type(operation)
        arguments = encode_operation(operation)
        owner = {"user_id": scope.user_id, "agent_id": scope.agent_id}
        arguments |= {name: identity for name, identity in owner.items() if identity is not None}
        answer = self.call(
            operation.name,
            arguments,
            is_repeatable=operation.is_repeatable,
            deletes=operation.name == DeleteItem.name,
        )
        try:
            return decode_answer(kind, answer)
        except InvalidInputError as error:
            raise BackendUnavailableError(f"{self._address.name} answers in another version's form: {error}") from error

    def call(
        self, name: str, arguments: Mapping[str, Any], *, is_repeatable: bool = True, deletes: bool = False
    ) -> JSON:
        """Call one of the server's tools for engines; its answer as JSON."""
        from .errors import answer_of

        reply = self._client.call(f"engine_{name}", arguments, repeatable=is_repeatable)
        try:
            return answer_of(reply.outcome, self._address)
        except MemoryNotFoundError:
            # A deletion that was sent again and finds nothing has succeeded.
            if deletes and reply.repeated:
                return None
            raise

    def _has(self, capability: str) -> bool:
        info = self._info
        if info is None:
            info = self._info = cast("dict[str, JSON]", self.call("info", {}))
        return bool(info.get(capability))

    @property
    def has_graph(self) -> bool:
        """Whether the server has a graph; asked once."""
        return self._has("has_graph")

    @property
    def can_extract(self) -> bool:
        """Whether the server has an LLM; asked once."""
        return self._has("can_extract")

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view, as far as the server shows it."""
        return RemoteAdmin(self)

    def close(self) -> None:
        """End the session, its thread and, on stdio, the server's process."""
        with self._lock:
            self._closed = True
            client = self._opened
        if client is not None:
            client.close()


class RemoteAdmin(EngineAdmin):
    """The operator's view of a server, which maintains its memory itself."""

    def __init__(self, engine: RemoteEngine) -> None:
        self._engine = engine

    def ping(self) -> None:
        """Ask the server what it can do."""
        self._engine.call("info", {})

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which the server has stored something and which this caller may use."""
        place = None if after is None else [after.user_id, after.agent_id]
        listed = self._engine.call("list_scopes", {"after": place, "limit": limit})
        return [Scope.stored(*names) for names in cast("list[tuple[str | None, str | None]]", listed)]

    @property
    def _kind(self) -> str:
        return "A memweld server"

"""The engine over the tables of a SQL database, which holds items, state and history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..consolidation import ConsolidationPlan, ConsolidationReceipt
from ..errors import BackendUnavailableError, ConfigurationError
from ..models import EraseReceipt, MemoryItem, Source, ValueWrite
from ..scope import Scope
from ..validation import utc_now
from . import operations as ops
from .extraction.options import ExtractionOptions
from .fork import RenewedLock
from .operations import ItemDraft, Operation, PutValue
from .protocol import EngineAdmin, Progress
from .session_summaries import summarize_sessions
from .sql import owners
from .sql.admin import SqlAdmin
from .sql.consolidation import Consolidation, Summary
from .sql.consolidation_plan import plan_consolidation
from .sql.counts import count_stored
from .sql.cursors import Cursors
from .sql.database import Database
from .sql.erase import erase
from .sql.export import export_page
from .sql.item_operations import ItemOperations
from .sql.items import Items
from .sql.outbox import Outbox
from .sql.profile import count_recalls, pin, read_profile
from .sql.relation_rule import list_conflicts
from .sql.restore import EmbeddedTexts, restore
from .sql.sessions import SessionStore
from .sql.state import StateStore, TextWriter
from .sql.state_queries import StateQueries
from .sql.state_search import StateSearch
from .sql.supersession import keep_both, supersede_items
from .sql.ttl import purge

if TYPE_CHECKING:
    from .facts import Facts

__all__ = ["SqlEngine"]

T = TypeVar("T")
Kind = TypeVar("Kind", bound=Operation[Any])
Handler = Callable[["SqlEngine", Scope, Any], Any]

_EARLIER = 10
_HANDLERS: dict[type[Operation[Any]], Handler] = {}


def _handles(kind: type[Kind]) -> Callable[[Callable[[SqlEngine, Scope, Kind], Any]], Any]:
    """Register what runs operations of one kind."""

    def register(handler: Callable[[SqlEngine, Scope, Kind], Any]) -> Any:
        _HANDLERS[kind] = handler
        return handler

    return register


class SqlEngine:
    """Memory in one SQL database. Opens it and loads the embedder when each is first needed.

    Args:
        database: The tables: SQLite's or Postgres'.
        extraction: The LLM that extracts facts, and how.
        embedder: Makes vectors; the argument of `memweld.connect`.
        cache_mb: How much RAM the vectors and words of the users that searched last may take, in millions of bytes.
        mem0: The ``Mem0Configuration`` of the store that holds the vectors; None: the tables do.

    Attributes:
        database: The tables.
        items: Memory items by scope, id and key.
        values: State, for writers.
        state_queries: State, for readers.
        sessions: The messages of all sessions.
        cursors: Makes and reads page cursors.
        item_operations: Items, read and deleted without an embedder.
    """

    def __init__(
        self,
        database: Database,
        *,
        extraction: ExtractionOptions,
        embedder: Any,
        cache_mb: int = 512,
        mem0: Any = None,
    ) -> None:
        self._database = database
        self.values = StateStore(database)
        self.state_queries = StateQueries(database)
        self._state_search = StateSearch(database, self.state_queries)
        self.sessions = SessionStore(database)
        self.items = Items(database)
        self._options: dict[str, Any] = {
            "extraction": extraction,
            "embedder": embedder,
            "cache_mb": cache_mb,
            "mem0_store": mem0,
        }
        self._loaded: Facts | None = None
        self._ended = False
        self.cursors = Cursors(database)
        self.item_operations = ItemOperations(database, self.items, self.values, self.cursors)
        self._loading = RenewedLock()

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope."""
        answer = cast("T", _HANDLERS[type(operation)](self, scope, operation))
        if operation.overwrites:
            self._database.shorten_log()
        if operation.changes_items and not isinstance(operation, ops.PurgeExpired):
            self.values.purging.follow(scope)
        return answer

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the store."""
        return SqlAdmin(self._database, self._reindex, self._index_bytes)

    @property
    def in_ram(self) -> bool:
        """Whether all of it ends with this object."""
        return self._database.in_ram

    @property
    def database(self) -> Database:
        """The tables, for what is stored beside the memory."""
        return self._database

    @property
    def has_graph(self) -> bool:
        """Tables alone have no graph."""
        return False

    @property
    def can_extract(self) -> bool:
        """Whether an LLM was given."""
        return self._options["extraction"].llm is not None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._database.closed

    @property
    def facts(self) -> Facts:
        """Items with their vectors; the first use loads the embedder."""
        with self._loading:
            if self._ended:
                raise BackendUnavailableError(f"{self._database.where} is closed; connect again.")
            if self._loaded is None:
                from .facts import Facts

                self._loaded = Facts(self._database, **self._options)
            return self._loaded

    @property
    def has_mem0_store(self) -> bool:
        """Whether a store of mem0's holds the vectors."""
        return self._options["mem0_store"] is not None

    @property
    def is_loaded(self) -> bool:
        """Whether `facts` was used."""
        return self._loaded is not None

    def release_facts(self, *, is_end: bool = False) -> Facts | None:
        """Give `facts` out of hand; None if they were not loaded. The next use loads them anew, or finds all closed."""
        with self._loading:
            self._ended = is_end
            loaded, self._loaded = self._loaded, None
        return loaded

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _index_bytes(self) -> int:
        return 0 if self._loaded is None else self._loaded.index_bytes

    def _reindex(self, progress: Progress | None) -> int:
        return self.facts.reindex(progress)

    # items

    @_handles(ops.AddItems)
    def _add_items(self, scope: Scope, operation: ops.AddItems) -> list[MemoryItem]:
        if not operation.infer:
            return self.facts.add(scope, operation)
        if operation.epoch is None:
            operation = replace(operation, epoch=self._epoch(scope))
        session_id = operation.session_id
        earlier = [] if session_id is None else self._earlier(scope, session_id, operation.drafts)
        return self.facts.add(scope, operation, earlier=earlier)

    def _epoch(self, scope: Scope) -> int:
        """A number for the scope's row. It is never used again: an erasure removes the row."""
        with self._database.reading(scope) as connection:
            owner = owners.find(connection, scope)
        if owner is None:
            with self._database.writing(scope) as connection:
                owner = owners.get_or_create(connection, scope)
        return self.cursors.epoch(scope, owner.id)

    def _earlier(self, scope: Scope, session_id: str, drafts: Sequence[ItemDraft]) -> list[dict[str, str]]:
        """The session before this turn; the turn's own messages may stand in the history already."""
        messages = self.sessions.read(scope, ops.ReadMessages(session_id=session_id, limit=_EARLIER + len(drafts)))
        texts = ((message.role, message.text) for message in messages if message.role in ("user", "assistant"))
        spoken = [(role, text) for role, text in texts if text.strip()]
        turn = [(draft.role, draft.text) for draft in drafts]
        # Not only at the end: the next turn may be there already where facts are extracted in the background.
        starts = range(len(spoken) - len(turn), -1, -1)
        end = next((start for start in starts if spoken[start : start + len(turn)] == turn), len(spoken))
        return [{"role": role, "content": text} for role, text in spoken[:end][-_EARLIER:]]

    # the graph

    @_handles(ops.RelatedItems)
    def _related_items(self, _scope: Scope, _operation: ops.RelatedItems) -> Any:
        raise ConfigurationError(
            "There is no graph that links memories: connect with one, "
            "connect(…, graph='neo4j://user:password@host:7687'), or set MEMWELD_GRAPH."
        )

    # messages

    @_handles(ops.AppendMessages)
    def _append_messages(self, scope: Scope, operation: ops.AppendMessages) -> list[str]:
        with self._database.writing(scope):
            edited = self.sessions.append(scope, operation)
            for message_id in edited:
                self.item_operations.forget_message(scope, operation.session_id, message_id)
        return edited

    @_handles(ops.ClearMessages)
    def _clear_messages(self, scope: Scope, operation: ops.ClearMessages) -> int:
        with self._database.writing(scope):
            if operation.facts:
                self.item_operations.forget_session(scope, operation.session_id)
            return self.sessions.clear(scope, operation)

    # values

    @_handles(PutValue)
    def _put_value(self, scope: Scope, operation: PutValue) -> int | None:
        with self._text_writer(scope, [operation], operation.source) as write_text:
            return self.values.put(scope, operation, write_text)

    @_handles(ops.WriteValues)
    def _write_values(self, scope: Scope, operation: ops.WriteValues) -> None:
        with self._text_writer(scope, operation.writes, operation.source) as write_text:
            self.values.write(scope, operation, write_text)

    def _text_writer(
        self, scope: Scope, writes: Sequence[PutValue | ValueWrite], source: Source | None
    ) -> AbstractContextManager[TextWriter]:
        # Values without texts need no embedder.
        if all(write.text is None for write in writes):
            return nullcontext(_keep_nothing)
        return self.facts.records.text_writer(scope, writes, source)

    # everything

    @_handles(ops.Restore)
    def _restore(self, scope: Scope, operation: ops.Restore) -> dict[str, int]:
        data = operation.data
        embedded = self._embedded([item.text for item in data.items])
        return restore(self._database, scope, data, embedded, settles=operation.settles)

    def _embedded(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Texts with their vectors; where there is none, no embedder is loaded."""
        return self.facts.embed_texts(texts) if texts else EmbeddedTexts()

    @_handles(ops.PlanConsolidation)
    def _plan_consolidation(self, scope: Scope, operation: ops.PlanConsolidation) -> ConsolidationPlan:
        return plan_consolidation(self._database, scope, operation, can_summarize=self.can_extract)

    @_handles(ops.Consolidate)
    def _consolidate(self, scope: Scope, operation: ops.Consolidate) -> ConsolidationReceipt:
        summaries = dict[str, Summary]()
        epoch: int | None = None
        if operation.lane == "llm":
            epoch = self._epoch(scope)
            summaries = summarize_sessions(scope, operation.plan, self.items, self.sessions, self.facts.summarize)
        embedded = self._embedded([each.text for each in summaries.values() if each.text])
        return Consolidation(self._database, scope, embedded).run(
            operation, summaries, lambda: epoch is None or self._epoch(scope) == epoch
        )

    @_handles(ops.UndoConsolidation)
    def _undo_consolidation(self, scope: Scope, operation: ops.UndoConsolidation) -> ConsolidationReceipt:
        changes = [change for step in operation.receipt.done for change in step.changes]
        inserted = [each.before.text for each in changes if each.before is not None and each.after is None]
        return Consolidation(self._database, scope, self._embedded(inserted)).undo(operation.receipt)

    @_handles(ops.Erase)
    def _erase(self, scope: Scope, _operation: ops.Erase) -> EraseReceipt:
        return self.erase(scope)

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all that the scope contains, and overwrite where it stood."""
        graph = Outbox(self._database).state_after(scope)
        erased = erase(self._database, scope)
        if self._loaded is not None:
            self._loaded.forget(erased.root)
        return EraseReceipt(
            user_id=scope.user_id,
            agent_id=scope.agent_id,
            counts=erased.counts,
            erased_at=utc_now(),
            overwritten=erased.overwritten,
            graph=graph(erased.counts["items"]),
        )


def _keep_nothing(_texts: object) -> list[str]:
    raise AssertionError("a value has a text, and nothing was prepared to store it")


# What one part of the engine does alone.
_handles(ops.GetEpoch)(lambda engine, scope, _: engine._epoch(scope))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
_handles(ops.PutKeyed)(lambda engine, scope, op: engine.facts.put_keyed(scope, op))
_handles(ops.Search)(lambda engine, scope, op: engine.facts.search(scope, op))
_handles(ops.GetItem)(lambda engine, scope, op: engine.item_operations.get(scope, op))
_handles(ops.GetKeyed)(lambda engine, scope, op: engine.item_operations.get_keyed(scope, op))
_handles(ops.ListItems)(lambda engine, scope, op: engine.item_operations.page(scope, op))
_handles(ops.ItemVersions)(lambda engine, scope, op: engine.item_operations.versions(scope, op))
_handles(ops.DeleteItem)(lambda engine, scope, op: engine.item_operations.delete(scope, op))
_handles(ops.DeleteMatching)(lambda engine, scope, op: engine.item_operations.delete_matching(scope, op))
_handles(ops.DeleteItems)(lambda engine, scope, op: engine.item_operations.delete_many(scope, op))
_handles(ops.DeleteKeyed)(lambda engine, scope, op: engine.item_operations.delete_keyed(scope, op))
_handles(ops.ClearItems)(lambda engine, scope, op: engine.item_operations.clear(scope, op))
_handles(ops.UpdateItem)(lambda engine, scope, op: engine.facts.update(scope, op))
_handles(ops.PinItem)(lambda engine, scope, op: pin(engine.items, scope, op).item())
_handles(ops.CountRecalls)(lambda engine, scope, op: count_recalls(engine.items, scope, op.counts))
_handles(ops.ReadProfile)(lambda engine, scope, op: read_profile(engine.items, scope, op))
_handles(ops.SupersedeItems)(lambda engine, scope, op: supersede_items(engine.items, scope, op))
_handles(ops.KeepBoth)(lambda engine, scope, op: keep_both(engine.items, scope, op))
_handles(ops.ListConflicts)(lambda engine, scope, op: list_conflicts(engine.items, scope, op))
_handles(ops.SettleGraph)(lambda _engine, _scope, _op: True)
_handles(ops.GetValue)(lambda engine, scope, op: engine.values.get(scope, op))
_handles(ops.DeleteValue)(lambda engine, scope, op: engine.values.delete(scope, op))
_handles(ops.PurgeExpired)(lambda engine, scope, _: purge(engine.database, scope))
_handles(ops.ListKeys)(lambda engine, scope, op: engine.state_queries.keys(scope, op))
_handles(ops.ListNamespaces)(lambda engine, scope, op: engine.state_queries.namespaces(scope, op))
_handles(ops.ReadValues)(lambda engine, scope, op: engine.state_queries.read(scope, op))
_handles(ops.ScanValues)(lambda engine, scope, op: engine.state_queries.scan(scope, op))
_handles(ops.SearchValues)(
    lambda engine, scope, op: engine._state_search.run(scope, op, engine.facts.rank)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
)
_handles(ops.FindValues)(lambda engine, scope, op: engine.state_queries.find(scope, op))
_handles(ops.ReadMessages)(lambda engine, scope, op: engine.sessions.read(scope, op))
_handles(ops.ListSessions)(lambda engine, scope, op: engine.sessions.sessions(scope, op))
_handles(ops.CountStored)(
    lambda engine, scope, count: count_stored(engine.database, scope, with_bytes=count.with_bytes)
)
_handles(ops.Export)(lambda engine, scope, op: export_page(engine.database, engine.cursors, scope, op))

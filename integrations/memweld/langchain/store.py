"""LangGraph's long-term store on a user's memory: exact by namespace and key, searched by meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from ..adapters.binding import MemorySource, validate_source
from ..engine.filters import validate_conditions
from ..errors import invalid
from ..memory.asynchronous import in_thread
from ..memory.memory import Memory
from ..models import JSON, ValueEntry, ValueWrite
from ..validation import validate_json, validate_limit
from .binding import memory_of_run
from .store_batches import Batches
from .store_index import WHOLE, check_fields, item_text
from .store_keys import decode_key, decode_namespace, encode_key, encode_namespace
from .store_sweeper import Sweeper

__all__ = ["MemweldStore"]

_MOST = 1_000_000
_SWEEP_MINUTES = 5.0
WHOLE_ITEM = IndexConfig(fields=[WHOLE])


class MemweldStore(BaseStore):
    """A store for ``create_agent(store=…)``, ``graph.compile(store=…)`` and all code that takes a LangGraph store.

    ``put``, ``get`` and ``search`` without a query are exact, as in LangGraph's own stores. Items are also found
    by meaning: by ``search(query=…)`` here, and by the memory's own search and recall in every other framework. Items
    are state of the memory: ``("trips", "porto")``, ``"plan"`` is ``memory.state("langgraph/trips/porto")["plan"]``.

    The namespace never chooses a user: each user has a store of their own. Thread-safe; usable with and without an
    event loop, and with several.

    Args:
        memory: A memory; or a backend, then each call is for the user whom the surrounding run or
            `memweld.user_scope` names.
        index: ``{"fields": […]}``: by which parts of an item it is found, unless its put says otherwise; the whole of
            it by default. None: by none, then ``search`` pays no attention to its query.
        ttl: ``default_ttl`` and ``sweep_interval_minutes`` in minutes, ``refresh_on_read``. What has expired is never
            returned, whether it was swept or not.

    Raises:
        InvalidInputError: An argument breaks a rule, or ``index`` names an embedder, which the backend has already.
    """

    __slots__ = ("_batches", "_fields", "_source", "_sweeper", "ttl_config")

    supports_ttl = True

    def __init__(
        self, memory: MemorySource, *, index: IndexConfig | None = WHOLE_ITEM, ttl: TTLConfig | None = None
    ) -> None:
        super().__init__()
        self._source = validate_source(memory)
        self._fields = _checked_index(index)
        self.ttl_config = ttl
        self._batches = Batches(self._execute)
        self._sweeper = Sweeper(self.sweep_ttl, lambda: self._source.closed)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations at once: first all reads, which see nothing of the batch's puts, then all puts.

        Of two puts to one key the last counts. All puts are stored, or none.

        Raises:
            InvalidNamespaceError: A namespace breaks LangGraph's rules.
            InvalidInputError: An operation breaks a rule; nothing was written.
            ConfigurationError: A backend was given, and nothing names a user.
        """
        return self._execute(memory_of_run(self._source), list(ops))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """The same without blocking the event loop. What one task gathers is one batch for the database."""
        return await self._batches.run(memory_of_run(self._source), list(ops))

    def sweep_ttl(self) -> int:
        """Delete expired items; how many. With a backend those of all users, unless a server keeps them."""
        return (
            self._source.values.purge_expired()
            if isinstance(self._source, Memory)
            else self._source.admin.purge_expired()
        )

    async def asweep_ttl(self) -> int:
        """The same without blocking the event loop."""
        return await in_thread(self.sweep_ttl)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Delete expired items from time to time, in a thread.

        Args:
            sweep_interval_minutes: How often; ``sweep_interval_minutes`` of the store's ``ttl`` if None, else 5.

        Returns:
            A future that is done when the sweeping ends. Cancelling it ends the sweeping, and closing the backend does.
        """
        configured = (self.ttl_config or {}).get("sweep_interval_minutes")
        minutes = sweep_interval_minutes or configured or _SWEEP_MINUTES
        return self._sweeper.start(float(minutes) * 60)

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """End the sweeping; whether it has ended within ``timeout`` seconds (None: wait for it)."""
        return self._sweeper.stop(timeout)

    def _execute(self, memory: Memory, ops: Sequence[Op]) -> list[Result]:
        for op in ops:
            validate_op_namespace(op)
        writes = self._writes([op for op in ops if isinstance(op, PutOp)])
        results: list[Result] = [self._read(memory, op) for op in ops]
        for refresh in (True, False):
            self._get(memory, ops, results, refresh=refresh)
        memory.values.write(writes)
        return results

    def _writes(self, puts: Sequence[PutOp]) -> list[ValueWrite]:
        last = {(op.namespace, op.key): op for op in puts}
        return [self._write(op) for op in last.values()]

    def _write(self, op: PutOp) -> ValueWrite:
        namespace, key = _place(op)
        if op.value is None:
            return ValueWrite(namespace=namespace, key=key, delete=True)
        if not isinstance(op.value, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
            raise invalid("value", op.value, f"it must be a dict, not {type(op.value).__name__}", "Wrap it in one.")
        ttl = None if op.ttl is None else op.ttl * 60
        value = dict(op.value)
        validate_json("value", value)
        text = None if self._fields is None else item_text(value, op.index, self._fields)
        return ValueWrite(namespace=namespace, key=key, value=value, text=text, ttl=ttl)

    def _get(self, memory: Memory, ops: Sequence[Op], results: list[Result], *, refresh: bool) -> None:
        """Fill in the results of all gets that do, or do not, begin the items' time anew."""
        gets = {at: op for at, op in enumerate(ops) if isinstance(op, GetOp) and op.refresh_ttl is refresh}
        entries = memory.values.read([_place(op) for op in gets.values()], refresh=refresh)
        for at, entry in zip(gets, entries, strict=True):
            results[at] = None if entry is None else Item(**_fields(entry))

    def _read(self, memory: Memory, op: Op) -> Result:
        if isinstance(op, SearchOp):
            return self._search(memory, op)
        if isinstance(op, ListNamespacesOp):
            return _list_namespaces(memory, op)
        if not isinstance(op, (GetOp, PutOp)):  # pyright: ignore[reportUnnecessaryIsInstance] - a newer LangGraph's
            raise invalid("ops", op, "it is no operation of this store", "Use LangGraph's GetOp, PutOp, SearchOp …")
        return None

    def _search(self, memory: Memory, op: SearchOp) -> list[SearchItem]:
        under, where = encode_namespace(op.namespace_prefix), validate_conditions(op.filter)
        offset, limit = _page(op)
        if not limit:
            return []
        query = _query(op.query)
        if query and self._fields is not None:
            found = memory.values.search(query, under, where=where, offset=offset, limit=limit, refresh=op.refresh_ttl)
            return [SearchItem(**_fields(hit.entry), score=hit.score) for hit in found]
        entries = memory.values.find(under, where=where, offset=offset, limit=limit, refresh=op.refresh_ttl)
        return [SearchItem(**_fields(entry)) for entry in entries]


def _checked_index(index: object) -> tuple[str, ...] | None:
    if index is None:
        return None
    if not isinstance(index, Mapping):
        raise invalid("index", index, 'it must be {"fields": […]} or None', "Leave it out to find whole items.")
    config = cast("Mapping[str, Any]", index)
    if unknown := set(config) - {"fields"}:
        rule = f"the backend has its own embedder, so that {min(unknown)!r} has no meaning here"
        raise invalid("index", sorted(config), rule, "Pass the embedder to memweld.connect(embedder=…).")
    return check_fields("index", config.get("fields") or [WHOLE])


def _place(op: GetOp | PutOp) -> tuple[str, str]:
    if not op.namespace:
        raise invalid("namespace", op.namespace, "it has no label", 'Pass a tuple such as ("memories",).')
    return encode_namespace(op.namespace), encode_key(str(op.key))


def _page(op: SearchOp | ListNamespacesOp) -> tuple[int, int]:
    offset = validate_limit(op.offset, name="offset", minimum=0, maximum=_MOST)
    return offset, validate_limit(op.limit, minimum=0, maximum=_MOST)


def _query(query: str | None) -> str:
    """A query in a form that can be searched for."""
    return (query or "").replace("\x00", " ").encode(errors="replace").decode().strip()


def _fields(entry: ValueEntry) -> dict[str, JSON]:
    return {
        "namespace": decode_namespace(entry.namespace),
        "key": decode_key(entry.key),
        "value": entry.value,
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
    }


def _list_namespaces(memory: Memory, op: ListNamespacesOp) -> list[tuple[str, ...]]:
    offset, limit = _page(op)
    conditions = op.match_conditions or ()
    known = {decode_namespace(each) for each in memory.values.namespaces(encode_namespace(()))}
    fitting = {labels for labels in known if all(_matches(labels, condition) for condition in conditions)}
    if op.max_depth is not None:
        fitting = {labels[: op.max_depth] for labels in fitting}
    return sorted(fitting)[offset : offset + limit]


def _matches(labels: tuple[str, ...], condition: MatchCondition) -> bool:
    path = condition.path
    if condition.match_type not in ("prefix", "suffix"):
        raise invalid("match_type", condition.match_type, "it is prefix or suffix", "Use one of the two.")
    if len(labels) < len(path):
        return False
    part = labels[: len(path)] if condition.match_type == "prefix" else labels[len(labels) - len(path) :]
    return all(wanted in ("*", label) for label, wanted in zip(part, path, strict=True))

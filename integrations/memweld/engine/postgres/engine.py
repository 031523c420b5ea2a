"""The engine on Postgres: the embedded engine's primitives, each bound to its user, over one shared database."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ...errors import MemweldError
from ...models import EraseReceipt
from ...scope import Scope
from ...validation import utc_now
from ..sql.erase import remove_all
from ..sql.outbox import Outbox
from ..sql.ttl import now
from ..sql_engine import SqlEngine
from ..sqlite.pool import Durability
from .errors import translated
from .health import standing
from .schema import migrate
from .stores import PostgresCatalogue, PostgresValues
from .transactions import PostgresDatabase
from .url import address_of

__all__ = ["PostgresEngine"]

_logger = logging.getLogger(__name__)
_SWEEP_SECONDS = 60.0
_SWEPT_USERS = 20
_ENDED = (
    "SELECT DISTINCT roots.user_id, roots.agent_id FROM state JOIN owners ON owners.id = state.owner "
    "JOIN owners AS roots ON roots.id = owners.root WHERE state.expires_at <= ? LIMIT ?::bigint"
)
_ENDED_UNDER_POLICIES = "SELECT user_id, agent_id FROM ended(?, ?::bigint)"


class PostgresEngine(SqlEngine):
    """Memory in one Postgres database, shared by many processes. Connects when it is first needed.

    Args:
        url: ``postgresql://…`` (see ``address.address_of``).
        llm: What extracts facts, as `memweld.connect` takes it.
        llm_timeout: Seconds to wait for its answer.
        embedder: What makes vectors, as `memweld.connect` takes it.
        cache_mb: How much RAM the vectors and words of the users that searched last may take.
    """

    _database: PostgresDatabase

    def __init__(self, url: str, *, llm: Any, llm_timeout: float, embedder: Any, cache_mb: int = 512) -> None:
        super().__init__(url, llm=llm, llm_timeout=llm_timeout, embedder=embedder, cache_mb=cache_mb)
        self._values = PostgresValues(self._database)
        self._catalogue = PostgresCatalogue(self._database)
        self._rest()
        self._database.after_fork.append(self._rest)

    def _rest(self) -> None:
        self._swept = time.monotonic()
        self._sweeping = threading.Lock()

    def _open(self, url: str, durability: Durability) -> PostgresDatabase:  # noqa: ARG002 - the server decides on it
        return PostgresDatabase(address_of(url))

    def erase(self, scope: Scope) -> EraseReceipt:
        """Remove all rows that the scope contains.

        Where they stood is overwritten when Postgres gets to it: nobody can tell here, and write-ahead logs and backups
        keep what they have.
        """
        graph = Outbox(self._database).state_after(scope)
        with self._database.writing() as connection:
            removed = remove_all(connection, scope)
        self._ends.forget(scope)
        if self._loaded is not None:
            self._loaded.forget(removed.root)
        return EraseReceipt(
            user_id=scope.user_id,
            agent_id=scope.agent_id,
            counts=removed.counts,
            erased_at=utc_now(),
            overwritten=False,
            graph=graph(removed.counts["items"]),
        )

    def sweep_values(self, scope: Scope | None = None, *, users: int | None = None) -> int:
        """Delete what has expired, of a scope or of all users, one after the other.

        Under row-level security the database says who they are, and each is swept as that user.
        """
        if scope is not None:
            with self._database.acting_for(scope):
                return super().sweep_values(scope)
        with self._database.reading() as connection:
            ended = _ENDED_UNDER_POLICIES if self._database.is_secured else _ENDED
            roots = connection.execute(ended, (now(), users)).fetchall()
        return sum(self.sweep_values(Scope.stored(user or None, agent or None)) for user, agent in roots)

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """Who has memories here.

        Raises:
            ConfigurationError: Row-level security is in force, which shows nobody who else is there.
        """
        self._database.check_all("the list of users")
        return super().list_scopes(after=after, limit=limit)

    def sweep_sometimes(self) -> None:
        """Delete some of what has expired of other users; at most once a minute, and beside the write that is done."""
        if time.monotonic() - self._swept < _SWEEP_SECONDS or not self._sweeping.acquire(blocking=False):
            return
        self._swept = time.monotonic()
        threading.Thread(target=self._sweep_some, args=(self._sweeping,), name="memweld-sweep", daemon=True).start()

    def _sweep_some(self, sweeping: threading.Lock) -> None:
        try:
            self.sweep_values(users=_SWEPT_USERS)
        except MemweldError as error:
            if not self._database.connections.closed:
                _logger.warning("What has expired of other users is not deleted yet: %s", error)
        finally:
            sweeping.release()

    def migrate(self, role: str | None = None, *, signed: bool = False) -> str:
        """Bring the schema forward, and put a role under row-level security (see ``schema.migrate``)."""
        with translated(self._database.where):
            return migrate(self._database.address, role=role, signed=signed)

    def standing(self) -> list[tuple[str, str, bool]]:
        """Label, what was found, and whether it is wrong, for each thing worth looking at."""
        return list(standing(self._database.address))

    def reindex(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Embed all memories of the database again with this embedder; how many, 0 if they are of it already."""
        from .reindex import PostgresReindexing

        return self._facts.reindex(progress, by=PostgresReindexing)


def _bound(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def method(self: PostgresEngine, scope: Scope, *arguments: Any, **options: Any) -> Any:
        with self._database.acting_for(scope):  # pyright: ignore[reportPrivateUsage]
            return plain(self, scope, *arguments, **options)

    return method


def _with_sweeping(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def method(self: PostgresEngine, *arguments: Any, **options: Any) -> Any:
        answer = plain(self, *arguments, **options)
        self.sweep_sometimes()
        return answer

    return method


_SCOPED = (
    "add_items get_epoch put_keyed get_keyed search_items get_item list_items update_item delete_item clear_items "
    "get_value put_value write_values delete_value list_keys list_namespaces read_values scan_values find_values "
    "append_messages read_messages clear_messages list_sessions related_items settle_graph export export_page restore "
    "erase"
).split()

# Whose a transaction is, is decided in one place for all primitives; a test finds one that is forgotten here.
for _name in _SCOPED:
    setattr(PostgresEngine, _name, _bound(getattr(PostgresEngine, _name)))
for _name in ("put_value", "write_values"):
    setattr(PostgresEngine, _name, _with_sweeping(getattr(PostgresEngine, _name)))

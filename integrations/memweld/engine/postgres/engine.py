"""The engine on Postgres: the embedded engine's primitives, each bound to its user, over one shared database."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, TypeVar

from ...errors import MemweldError
from ...models import EraseReceipt
from ...scope import Scope
from ...validation import utc_now
from ..operations import Operation, PurgeExpired, PutValue, WriteValues
from ..protocol import EngineAdmin, HealthCheck, Migration, Progress
from ..sql.erase import remove_all
from ..sql.outbox import Outbox
from ..sql.ttl import now
from ..sql_engine import SqlAdmin, SqlEngine
from ..sqlite.pool import Durability
from .errors import translated
from .health import standing
from .schema import migrate
from .stores import PostgresCatalogue, PostgresValues
from .transactions import PostgresDatabase
from .url import address_of

__all__ = ["PostgresEngine"]

T = TypeVar("T")

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
        self.values = PostgresValues(self._database)
        self.catalogue = PostgresCatalogue(self._database)
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

    @property
    def admin(self) -> EngineAdmin:
        """The operator's view of the database."""
        return PostgresAdmin(self)

    def run(self, scope: Scope, operation: Operation[T]) -> T:
        """Do one operation for the scope, in transactions that are bound to it."""
        with self._database.acting_for(scope):
            answer = super().run(scope, operation)
        if isinstance(operation, (PutValue, WriteValues)):
            self._purge_sometimes()
        return answer

    def purge_users(self, limit: int | None = None) -> int:
        """Delete what has expired of all users, or of some, one after the other; how many values.

        Under row-level security the database says who they are, and each is purged as that user.
        """
        with self._database.reading() as connection:
            ended = _ENDED_UNDER_POLICIES if self._database.is_secured else _ENDED
            roots = connection.execute(ended, (now(), limit)).fetchall()
        return sum(self.run(Scope.stored(user or None, agent or None), PurgeExpired()) for user, agent in roots)

    def _purge_sometimes(self) -> None:
        """Delete some of what has expired of other users; at most once a minute, and beside the write that is done."""
        if time.monotonic() - self._swept < _SWEEP_SECONDS or not self._sweeping.acquire(blocking=False):
            return
        self._swept = time.monotonic()
        threading.Thread(target=self._purge_some, args=(self._sweeping,), name="memweld-purge", daemon=True).start()

    def _purge_some(self, sweeping: threading.Lock) -> None:
        try:
            self.purge_users(_SWEPT_USERS)
        except MemweldError as error:
            if not self._database.connections.closed:
                _logger.warning("What has expired of other users is not deleted yet: %s", error)
        finally:
            sweeping.release()


class PostgresAdmin(SqlAdmin):
    """The operator's view of a database."""

    def __init__(self, engine: PostgresEngine) -> None:
        super().__init__(engine)
        self._postgres = engine

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored.

        Raises:
            ConfigurationError: Row-level security is in force, and shows one user at a time.
        """
        self._database.check_all("the list of users")
        return super().list_scopes(after=after, limit=limit)

    def purge_expired(self) -> int:
        """Delete the expired values of all users, one after the other."""
        return self._postgres.purge_users()

    def reindex(self, progress: Progress | None = None) -> int:
        """Embed all memories of the database again with this embedder; how many, 0 if they are of it already."""
        from .reindex import PostgresReindexing

        return self._engine.facts.reindex(progress, by=PostgresReindexing)

    def migrate(self, *, role: str | None = None, signed: bool = False) -> Migration:
        """Bring the schema forward, and put a role under row-level security (see ``schema.migrate``)."""
        with translated(self._database.where):
            return migrate(self._database.address, role=role, signed=signed)

    def health(self) -> list[HealthCheck]:
        """The server, the tables, row-level security and the number of users."""
        return [HealthCheck(*found) for found in standing(self._database.address)]

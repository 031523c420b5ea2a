"""Transactions on Postgres: readers see one moment, the writers of one user take turns.

A transaction carries all that it needs, because poolers in transaction mode keep nothing between two of them: where the
tables are, the user whose rows it may see, how long to wait, and the lock of that user. Where row-level security is in
force, a transaction that is not bound to its user is an error: it would see nothing. A writer waits for its user's lock
before its first statement, so that counters, orders and comparisons stay true. Writers of different users do not wait
for each other: they share one more lock, which only a change for all users takes alone, after its own. So no two
writers wait in a circle.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import cast

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolClosed, PoolTimeout
from typing_extensions import LiteralString

from ...errors import BackendUnavailableError, ConfigurationError, MemweldError
from ...scope import Scope
from ..fork import call_in_child
from ..protocol import HealthCheck, Migration
from ..sql.database import Connection, Database, Root
from ..sql.dialect import Dialect
from .conditions import metadata_fit, occurrences_fit
from .connection import PostgresConnection, RawConnection, UserLock, lock_number
from .errors import translated, translation
from .health import examine
from .hnsw import HnswIndexing, HnswSearch
from .pool import PostgresPool
from .rls import proof
from .schema import migrate
from .url import Address

__all__ = ["PostgresDatabase", "lock_number"]

LOCK_SECONDS = 30
_IDLE_SECONDS = 120
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
_LOCK = "pg_catalog.pg_advisory_xact_lock"

_DIALECT = Dialect(
    # Indexes have a digest of the one and the beginning of the other (see the first migration).
    in_namespace="in_namespace(digest, namespace, ?)",
    key_between="key_within(beginning, key, ?, ?)",
    metadata_fit=metadata_fit,
    occurrences_fit=occurrences_fit,
    skip_locked=" FOR UPDATE SKIP LOCKED",
    leave_vector_index=", wide = false",
    # Each look is a trip to the server.
    purge_seconds=5.0,
    purges_all=False,
    swaps_at_once=False,
)


class PostgresDatabase(Database):
    """A Postgres database with our tables in one of its schemas."""

    dialect = _DIALECT

    def __init__(self, address: Address) -> None:
        self.address = address
        self.where = address.where
        self.pool = PostgresPool(address)
        self._writers = lock_number(address.schema, "writers")
        self._is_active = f"pg_catalog.row_security_active('\"{address.schema}\".owners')"
        self._indexing = HnswIndexing(self)
        self._forget()
        super().__init__()
        call_in_child(self._indexing.renew)

    def _renew(self) -> None:
        super()._renew()
        self._forget()

    def _forget(self) -> None:
        # Threads of one process that write for one user wait here, and keep no connections from others meanwhile.
        self._locks: weakref.WeakValueDictionary[Root, UserLock] = weakref.WeakValueDictionary()
        self._locks_lock = threading.Lock()

    @property
    def is_secured(self) -> bool:
        """Whether row-level security is in force at this moment, under which a transaction sees one user at a time."""
        with self.reading_all() as connection:
            return bool(connection.execute(f"SELECT {self._is_active}").fetchone()[0])

    def exclude_writers(self, connection: Connection) -> None:
        """Keep all other writers out until the end of a transaction that writes for all, after the open ones."""
        connection.execute(f"SELECT {_LOCK}({self._writers})")

    def candidates(self, connection: Connection, root: int, scope: Scope) -> HnswSearch | None:
        """The search for a user with very many memories."""
        row = connection.execute("SELECT version, wide FROM owners WHERE id = ?", (root,)).fetchone()
        # The counter of changes is at least the number of memories, and costs nothing to look at.
        if row is None or row[0] <= self.address.exact_below:
            return None
        opened = self.pool.opened()
        search = HnswSearch(connection, root, wide=row[1], iterates=opened.iterates, home=opened.home)
        if search.total(None) <= self.address.exact_below:
            return None
        if not row[1]:
            self._indexing.start(scope, root)
        return search

    def expired_roots(self, at: float, limit: int) -> list[Scope]:
        """The users of whom something has expired; under row-level security a function of the database names them."""
        if not self.is_secured:
            return super().expired_roots(at, limit)
        with self.reading_all() as connection:
            rows = connection.execute("SELECT user_id, agent_id FROM ended(?, ?)", (at, limit)).fetchall()
        return [Scope.stored(user or None, agent or None) for user, agent in rows]

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self.pool.closed

    def migrate(self, *, role: str | None, signed: bool) -> Migration:
        """Bring the schema forward, and put a role under row-level security (see ``schema.migrate``)."""
        with translated(self.where):
            return migrate(self.address, role=role, signed=signed)

    def health(self) -> list[HealthCheck]:
        """The server, the tables, pgvector, row-level security and the number of users."""
        return list(examine(self.address))

    def close(self) -> None:
        """Close all connections; a connection in use is closed when it is given back."""
        self.pool.close()

    # transactions

    def _begin_reading(self, root: Root) -> Connection:
        return PostgresConnection(self.pool.take(lambda raw: self._start(raw, root, _READING)))

    def _end_reading(self, connection: Connection) -> None:
        self.pool.give_back(cast("PostgresConnection", connection).raw)

    def _begin_writing(self, root: Root) -> Connection:
        mine = self._lock_of(root)
        if not mine.lock.acquire(timeout=LOCK_SECONDS):
            raise BackendUnavailableError(
                f"{self.where}: others have been writing for the same user for {LOCK_SECONDS} s; try again."
            )
        try:
            # The lock is a statement of its own: the next one sees what its holder before has committed.
            lock = lock_number(self.address.schema, *root)
            connection = PostgresConnection(self.pool.take(lambda raw: self._start(raw, root, _WRITING, lock)))
        except BaseException:
            mine.lock.release()
            raise
        connection.user_lock = mine
        return connection

    def _lock_of(self, root: Root) -> UserLock:
        """The lock of a user; it goes when no thread holds or awaits it any more."""
        with self._locks_lock:
            lock = self._locks.get(root)
            if lock is None:
                lock = self._locks[root] = UserLock()
            return lock

    def _stands(self, connection: Connection) -> bool:
        raw = cast("PostgresConnection", connection).raw
        return raw.info.transaction_status == TransactionStatus.INTRANS

    def _commit(self, connection: Connection) -> None:
        # The commit of a transaction that has failed is answered "ROLLBACK", without an error.
        if cast("PostgresConnection", connection).raw.execute("COMMIT").statusmessage != "COMMIT":
            raise BackendUnavailableError(f"{self.where} rolled the write back. Nothing was stored.")

    def _end_writing(self, connection: Connection) -> None:
        ended = cast("PostgresConnection", connection)
        try:
            self.pool.give_back(ended.raw)
        finally:
            if ended.user_lock is not None:
                ended.user_lock.lock.release()

    def _translated(self, error: BaseException) -> MemweldError | None:
        if isinstance(error, psycopg.Error | PoolTimeout | PoolClosed):
            return translation(error, self.where)
        return None

    # binding

    def _start(self, connection: RawConnection, root: Root, begin: str, lock: int | None = None) -> None:
        """Begin a transaction with its settings and locks, in one trip to the server.

        Raises:
            ConfigurationError: Row-level security is in force, and this transaction is not bound to its user.
        """
        settings = self._settings(root)
        script = [begin, self._binding(settings)]
        if lock is not None:
            script.append(f"SELECT {_LOCK}({lock}), {_LOCK}_shared({self._writers})")
        if "memweld.proof" in settings:
            # pg_stat_activity shows the statements of a role to all its sessions, and a proof that is read there could
            # be used again. It does not show what is sent beside a statement.
            with connection.pipeline():
                cursors = [connection.execute(each, settings if "%" in each else None) for each in _literal(script)]
            row = cursors[1].fetchone()
        else:
            values = {name: sql.Literal(value).as_string(connection) for name, value in settings.items()}
            cursor = connection.execute(*_literal(["; ".join(script) % values]))
            cursor.nextset()
            row = cursor.fetchone()
        if row is None or not row[-1]:
            raise self._unbound()

    def _settings(self, root: Root) -> Mapping[str, str]:
        user, agent = root
        settings = {
            "search_path": self.pool.opened().search_path,
            "lock_timeout": f"{LOCK_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
            "memweld.user_id": user,
            "memweld.agent_id": agent,
        }
        if self.address.binding_key is not None:
            settings["memweld.proof"] = proof(self.address.binding_key, user, agent)
        return settings

    def _binding(self, settings: Iterable[str]) -> str:
        """The statement that makes settings, of values by name, and then says whether the user's rows can be seen.

        It asks each time: an operator may put row-level security in force meanwhile, or make another key.
        """
        made = ", ".join(f"pg_catalog.set_config('{name}', %({name})s, true)" for name in settings)
        return f'SELECT {made}, CASE WHEN {self._is_active} THEN "{self.address.schema}".is_bound() ELSE true END'

    def _unbound(self) -> ConfigurationError:
        given = "has no binding_key" if self.address.binding_key is None else "does not have the present binding_key"
        return ConfigurationError(
            f"{self.where}: row-level security shows no user's rows, because the URL {given}. Give it the binding_key "
            "that `memweld migrate --signed` showed last."
        )


def _literal(statements: list[str]) -> list[LiteralString]:
    """Statements of our own making, as psycopg wants to see them."""
    return [cast("LiteralString", statement) for statement in statements]

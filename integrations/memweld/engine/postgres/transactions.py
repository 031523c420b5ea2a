"""Transactions on Postgres as the stores know them: readers see one moment, the writers of one user take turns.

A transaction carries all that it needs, because poolers in transaction mode keep nothing between two of them: where the
tables are, whose rows may be seen, how long to wait, and the lock of that user. Where row-level security is in force,
one that is not bound to its user is an error, for what it would see is nothing. Whoever writes for a user waits for the
lock before the first statement, so that counters, orders and comparisons stay true. Users do not wait for each other:
all writers share one more lock, which only a change of the embedder takes alone, after its own. So nobody waits in a
circle.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import weakref
from collections.abc import Generator, Iterable, Sequence
from typing import Any, LiteralString, cast

from psycopg import sql
from psycopg.pq import TransactionStatus

from ...errors import AccessDeniedError, BackendUnavailableError, ConfigurationError
from ...scope import Scope
from ..sql import database as stores
from .dialect import Connection, PostgresConnection
from .errors import translated
from .hnsw import PostgresArchive, Widening
from .pool import Connections
from .rls_proof import proof
from .url import Address

__all__ = ["PostgresDatabase", "lock_number"]

LOCK_SECONDS = 30
_IDLE_SECONDS = 120
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"
_TURN = "pg_catalog.pg_advisory_xact_lock"


def root_of(scope: Scope) -> tuple[str, str]:
    """The user, or for an agent's own memory the agent: whose writers take turns."""
    return (scope.user_id, "") if scope.user_id is not None else ("", scope.agent_id or "")


def lock_number(*names: str) -> int:
    """The advisory lock of a name: 64 bits, so that two users hardly ever share one (and then merely wait)."""
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8, person=b"memweld").digest()
    return int.from_bytes(digest, "big", signed=True)


def _literal(statements: list[str]) -> list[LiteralString]:
    """Statements of our own making, as psycopg wants to see them."""
    return [cast("LiteralString", statement) for statement in statements]


class _Turn:
    """Whose turn it is to write for one user."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


class _Here(threading.local):
    """What the current thread is in the middle of."""

    in_unit = False
    scope: Scope | None = None
    turn: _Turn | None = None
    writer: PostgresConnection | None = None
    reader: PostgresConnection | None = None


class PostgresDatabase:
    """A Postgres database with our tables in one of its schemas. Nothing is opened before the first use."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.where = address.where
        self.connections = Connections(address)
        self._start()
        self.after_fork = self.connections.after_fork
        self._writers = lock_number(address.schema, "writers")
        self._active = f"pg_catalog.row_security_active('\"{address.schema}\".owners')"
        self._widening = Widening(self)
        self.after_fork += [self._start, self._widening.begin]

    def _start(self) -> None:
        self._here = _Here()
        # Threads of one process that write for one user wait here, and keep no connections from others meanwhile.
        self._turns: weakref.WeakValueDictionary[int, _Turn] = weakref.WeakValueDictionary()
        self._turns_lock = threading.Lock()

    @property
    def is_secured(self) -> bool:
        """Whether row-level security is in force at this moment, under which nobody sees all users at once."""
        with self.reading() as connection:
            return bool(connection.execute(f"SELECT {self._active}").fetchone()[0])

    def check_all(self, what: str) -> None:
        """Refuse what is for all users to a role that sees one at a time.

        Raises:
            ConfigurationError: Row-level security is in force for it.
        """
        if self.is_secured:
            raise ConfigurationError(
                f"{self.where}: under row-level security this role sees one user at a time, and {what} is for all: use "
                "the URL of the owner of the tables, of a superuser, or of a role with BYPASSRLS."
            )

    def __deepcopy__(self, memo: dict[int, object]) -> PostgresDatabase:
        # mem0 2.2 copies the configuration of its vector store; a copy must be the same database.
        return self

    @contextlib.contextmanager
    def acting_for(self, scope: Scope) -> Generator[None]:
        """Bind the transactions that this thread begins inside to a scope's user."""
        here = self._here
        before, here.scope = here.scope, scope
        try:
            yield
        finally:
            here.scope = before

    def exclude_writers(self, connection: stores.Connection) -> None:
        """Until the end of this transaction nobody else writes anything; whoever is writing now is waited for."""
        connection.execute(f"SELECT pg_advisory_xact_lock({self._writers})")

    @contextlib.contextmanager
    def reading(self) -> Generator[PostgresConnection]:
        """A connection for reading: all statements inside see one moment, and this thread's own open unit."""
        here = self._here
        with translated(self.where):
            if here.writer is not None:
                yield self._unbroken()
            elif here.reader is not None:
                yield here.reader
            else:
                raw = self.connections.borrow(self._begin_reading)
                try:
                    here.reader = PostgresConnection(raw)
                    yield here.reader
                    raw.execute("COMMIT")
                finally:
                    here.reader = None
                    self.connections.give_back(raw)

    def first(self, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row of one statement that reads, or None."""
        with self.reading() as connection:
            return connection.execute(sql, parameters).fetchone()

    @contextlib.contextmanager
    def writing(self) -> Generator[PostgresConnection]:
        """A connection inside a write transaction: joins the unit of this thread, else is one of its own."""
        with self.unit():
            if self._here.writer is None:
                self._begin()
            yield self._unbroken()

    @contextlib.contextmanager
    def unit(self) -> Generator[None]:
        """All writes inside are one transaction, begun by the first of them. Units nest: the outermost commits."""
        here = self._here
        if here.in_unit:
            yield
            return
        here.in_unit = True
        try:
            with translated(self.where):
                yield
                if here.writer is not None:
                    self._commit()
        finally:
            here.in_unit = False
            self._end()

    def archive(self, connection: stores.Connection, root: int, scope: Scope) -> PostgresArchive | None:
        """What searches for a user with very many memories."""
        row = connection.execute("SELECT version, wide FROM owners WHERE id = ?", (root,)).fetchone()
        # The counter of changes is at least the number of memories, and costs nothing to look at.
        if row is None or row[0] <= self.address.exact_below:
            return None
        opened = self.connections.opened()
        archive = PostgresArchive(connection, root, wide=row[1], iterates=opened.iterates, home=opened.home)
        if archive.total(None) <= self.address.exact_below:
            return None
        if not row[1]:
            self._widening.start(scope, root)
        return archive

    def close(self) -> None:
        """Close all connections; what is in use is closed when it is given back."""
        self.connections.close()

    def _begin(self) -> None:
        turn = self._turn()
        if not turn.lock.acquire(timeout=LOCK_SECONDS):
            raise BackendUnavailableError(
                f"{self.where}: others have been writing for the same user for {LOCK_SECONDS} s; try again."
            )
        try:
            self._here.writer = PostgresConnection(self.connections.borrow(self._begin_writing))
            self._here.turn = turn
        except BaseException:
            turn.lock.release()
            raise

    def _turn(self) -> _Turn:
        """What the threads of this process wait for that write for the same user; gone when none of them is left."""
        number = lock_number(*self._root())
        with self._turns_lock:
            turn = self._turns.get(number)
            if turn is None:
                turn = self._turns[number] = _Turn()
            return turn

    def _root(self) -> tuple[str, str]:
        scope = self._here.scope
        return ("", "") if scope is None else root_of(scope)

    def _begin_reading(self, connection: Connection) -> None:
        self._start_transaction(connection, _READING)

    def _begin_writing(self, connection: Connection) -> None:
        if self._here.scope is None:
            raise AccessDeniedError("A write needs to be for somebody.")
        # The lock is a statement of its own: the next one sees what its holder before has committed.
        lock = lock_number(self.address.schema, *self._root())
        self._start_transaction(connection, _WRITING, lock)

    def _start_transaction(self, connection: Connection, begin: str, lock: int | None = None) -> None:
        """Begin it, with its settings, and wait for the lock, in one trip to the server.

        Raises:
            ConfigurationError: Row-level security is in force, and this transaction is not bound to its user.
        """
        settings = self._settings()
        script = [begin, self._setting(settings)]
        if lock is not None:
            script.append(f"SELECT {_TURN}({lock}), {_TURN}_shared({self._writers})")
        if "memweld.proof" in settings:
            # pg_stat_activity shows the statements of a role to all its sessions: a proof that is read there could be
            # used again. What is sent beside a statement it does not show.
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

    def _settings(self) -> dict[str, str]:
        user, agent = self._root()
        settings = {
            "search_path": self.connections.opened().search_path,
            "lock_timeout": f"{LOCK_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
            "memweld.user_id": user,
            "memweld.agent_id": agent,
        }
        if self.address.binding_key is not None:
            settings["memweld.proof"] = proof(self.address.binding_key, user, agent)
        return settings

    def _setting(self, settings: Iterable[str]) -> str:
        """The statement that makes settings, of values by name, and then says whether the user's rows can be seen.

        That is not left at what was found when the database was opened: somebody may put row-level security in force
        meanwhile, or make another key.
        """
        made = ", ".join(f"pg_catalog.set_config('{name}', %({name})s, true)" for name in settings)
        return f'SELECT {made}, CASE WHEN {self._active} THEN "{self.address.schema}".is_bound() ELSE true END'

    def _unbound(self) -> ConfigurationError:
        given = "has no binding_key" if self.address.binding_key is None else "does not have the present binding_key"
        return ConfigurationError(
            f"{self.where}: row-level security shows nobody's rows, because the URL {given}. Give it the binding_key "
            "that `memweld migrate --signed` showed last."
        )

    def _unbroken(self) -> PostgresConnection:
        """The unit's connection, if its transaction still stands: Postgres ends one at the first error inside."""
        writer = self._here.writer
        if writer is None or writer.raw.info.transaction_status != TransactionStatus.INTRANS:
            raise BackendUnavailableError(f"{self.where} ended the transaction after an error. Nothing was stored.")
        return writer

    def _commit(self) -> None:
        connection = self._unbroken().raw
        # The commit of a transaction that has failed is answered "ROLLBACK", without an error.
        if connection.execute("COMMIT").statusmessage != "COMMIT":
            raise BackendUnavailableError(f"{self.where} rolled the write back. Nothing was stored.")

    def _end(self) -> None:
        """Roll back what was not committed, and let the next writer in."""
        here = self._here
        (writer, turn), here.writer, here.turn = (here.writer, here.turn), None, None
        try:
            if writer is not None:
                self.connections.give_back(writer.raw)
        finally:
            if turn is not None:
                turn.lock.release()

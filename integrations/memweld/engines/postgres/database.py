"""Transactions on Postgres as the stores know them: readers see one moment, the writers of one user take turns.

A transaction carries all that it needs, because poolers in transaction mode keep nothing between two of them: where the
tables are, whose rows may be seen, how long to wait, and the lock of that user. Whoever writes for a user waits for the
lock before the first statement, so that counters, orders and comparisons stay true. Users do not wait for each other:
all writers share one more lock, which only a change of the embedder takes alone, after its own. So nobody waits in a
circle.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Generator, Sequence
from typing import Any, LiteralString, cast

from psycopg import sql
from psycopg.pq import TransactionStatus

from ...errors import AccessDeniedError, BackendUnavailableError
from ...scope import Scope
from ..stores import database as stores
from .address import Address
from .archive import PostgresArchive, Widening
from .connections import Connections
from .dialect import Connection, PostgresConnection
from .failures import translated

__all__ = ["PostgresDatabase", "lock_number"]

LOCK_SECONDS = 30
_IDLE_SECONDS = 120
_STRIPES = 256


def root_of(scope: Scope) -> tuple[str, str]:
    """The user, or for an agent's own memory the agent: whose writers take turns."""
    return (scope.user_id, "") if scope.user_id is not None else ("", scope.agent_id or "")


def lock_number(*names: str) -> int:
    """The advisory lock of a name: 64 bits, so that two users hardly ever share one (and then merely wait)."""
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=8, person=b"memweld").digest()
    return int.from_bytes(digest, "big", signed=True)


def proof(key: bytes, user: str, agent: str) -> str:
    """What shows that a transaction may be bound to this user, or agent; see ``is_bound`` in the migrations."""
    inner = hashlib.sha256(key + f"{user}\n{agent}".encode()).digest()
    return hashlib.sha256(key + inner).hexdigest()


class _Here(threading.local):
    """What the current thread is in the middle of."""

    in_unit = False
    scope: Scope | None = None
    turn: threading.Lock | None = None
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
        self._widening = Widening(self)
        self.after_fork += [self._start, self._widening.begin]

    def _start(self) -> None:
        self._here = _Here()
        # Threads of one process that write for one user wait here, and keep no connections from others meanwhile.
        self._turns = [threading.Lock() for _ in range(_STRIPES)]

    @property
    def is_secured(self) -> bool:
        """Whether row-level security is in force, under which nobody sees all users at once."""
        with translated(self.where):
            return self.connections.opened().secured

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
        archive = PostgresArchive(connection, root, wide=row[1], iterates=self.connections.opened().iterates)
        if archive.total <= self.address.exact_below:
            return None
        if not row[1]:
            self._widening.start(scope, root)
        return archive

    def close(self) -> None:
        """Close all connections; what is in use is closed when it is given back."""
        self.connections.close()

    def _begin(self) -> None:
        turn = self._turns[lock_number(*self._root()) % _STRIPES]
        if not turn.acquire(timeout=LOCK_SECONDS):
            raise BackendUnavailableError(
                f"{self.where}: others have been writing for the same user for {LOCK_SECONDS} s; try again."
            )
        try:
            self._here.writer = PostgresConnection(self.connections.borrow(self._begin_writing))
            self._here.turn = turn
        except BaseException:
            turn.release()
            raise

    def _root(self) -> tuple[str, str]:
        scope = self._here.scope
        return ("", "") if scope is None else root_of(scope)

    def _begin_reading(self, connection: Connection) -> None:
        self._run(connection, f"BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SELECT {self._settings(connection)}")

    def _begin_writing(self, connection: Connection) -> None:
        if self._here.scope is None:
            raise AccessDeniedError("A write needs to be for somebody.")
        # The lock is a statement of its own: the next one sees what its holder before has committed.
        lock = lock_number(self.address.schema, *self._root())
        self._run(
            connection,
            f"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SELECT {self._settings(connection)}; "
            f"SELECT pg_advisory_xact_lock({lock}); SELECT pg_advisory_xact_lock_shared({self._writers})",
        )

    def _run(self, connection: Connection, script: str) -> None:
        # Several statements in one message: a transaction costs no trip to the server for its settings.
        connection.execute(cast("LiteralString", script))

    def _settings(self, connection: Connection) -> str:
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
        return ", ".join(
            f"set_config('{name}', {sql.Literal(value).as_string(connection)}, true)"
            for name, value in settings.items()
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
                turn.release()

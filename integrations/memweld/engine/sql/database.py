"""A SQL database as the stores see it: transactions that belong to a scope, and the connections inside them.

A thread has one transaction at a time. Blocks inside it join it, and the outermost block commits. A *unit* is a
transaction that begins with its first write, so that slow work before it (a model's answer) keeps no writer waiting.
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from ...errors import AccessDeniedError, BackendUnavailableError, ConfigurationError, MemweldError
from ...scope import Scope
from ..fork import call_in_child
from ..protocol import HealthCheck, Migration
from .candidates import CandidateSearch
from .dialect import Dialect

__all__ = ["ALL_ROOTS", "Block", "Connection", "Cursor", "Database", "Root", "now", "root_of"]

T = TypeVar("T")

Root: TypeAlias = tuple[str, str]
"""User and agent of the memory that a transaction reads or writes: all agents of a user share the user's."""

ALL_ROOTS: Root = ("", "")
"""The transactions of operators, which no `Memory` begins."""


def root_of(scope: Scope) -> Root:
    """The user, or for an agent's own memory the agent."""
    return (scope.user_id, "") if scope.user_id is not None else ("", scope.agent_id or "")


def now() -> float:
    """The current time as the tables store it: seconds since 1970."""
    return time.time()


class Cursor(Protocol):
    """The rows of a statement."""

    @property
    def rowcount(self) -> int:
        """How many rows were written."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection in a transaction."""

    @property
    def total_changes(self) -> int:
        """How many rows were written through it."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Cursor:
        """Run one statement with each of the variables."""
        ...


class Block(Generic[T]):
    """A ``with`` block of a database. A generator would do the same, and take as long as a small statement."""

    __slots__ = ("_enter", "_is_own", "_leave", "_root")

    def __init__(
        self,
        enter: Callable[[Root], tuple[T, bool]],
        leave: Callable[[bool, BaseException | None], None],
        root: Root,
    ) -> None:
        self._enter = enter
        self._leave = leave
        self._root = root
        self._is_own = False

    def __enter__(self) -> T:
        value, self._is_own = self._enter(self._root)
        return value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(self._is_own, error)


class _Thread(threading.local):
    """The open transactions and blocks of the current thread."""

    root: Root | None = None
    moment: float | None = None
    in_unit = False
    writer: Connection | None = None
    reader: Connection | None = None


class Database(ABC):
    """The tables of ``schema.py`` in some SQL database. Thread-safe; opens nothing before the first use.

    Attributes:
        where: The database in words, for errors.
        dialect: Its SQL.
        in_ram: Whether all of it ends with this object.
    """

    where: str
    dialect: Dialect
    in_ram: bool = False

    def __init__(self) -> None:
        self._thread = _Thread()
        call_in_child(self._renew)

    def _renew(self) -> None:
        """In a forked child: nothing is open."""
        self._thread = _Thread()

    def __deepcopy__(self, memo: dict[int, object]) -> Database:
        # mem0 2.2 copies the configuration of its vector store; a copy must be the same database.
        return self

    # transactions

    def reading(self, scope: Scope) -> Block[Connection]:
        """A connection that reads the memory of a scope: all statements inside see one moment."""
        return Block(self._enter_reading, self._leave_reading, root_of(scope))

    def reading_all(self) -> Block[Connection]:
        """A connection that reads what is of no user or of all: for operators, projections and ``meta``."""
        return Block(self._enter_reading, self._leave_reading, ALL_ROOTS)

    def first(self, scope: Scope, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row of one statement that reads, or None."""
        with self.reading(scope) as connection:
            return connection.execute(sql, parameters).fetchone()

    def writing(self, scope: Scope) -> Block[Connection]:
        """A connection that writes for a scope. The writers of one root take turns."""
        return Block(self._enter_writing, self._leave_unit, root_of(scope))

    def writing_all(self) -> Block[Connection]:
        """A connection that writes what is of no user or of all."""
        return Block(self._enter_writing, self._leave_unit, ALL_ROOTS)

    def unit(self) -> Block[None]:
        """All writes inside are one transaction, which the first of them begins."""
        return Block(self._enter_unit, self._leave_unit, ALL_ROOTS)

    def exclude_writers(self, connection: Connection) -> None:  # noqa: B027 - SQLite has one writer
        """Keep all other writers out until the end of a transaction that writes for all, after the open ones."""

    @property
    def moment(self) -> float:
        """The time by which items expire, one for all statements of a transaction; outside of one the current time.

        So no statement misses a row that the one before has seen, nor meets one that it has not.
        """
        thread = self._thread
        if thread.root is None:
            return now()
        if thread.moment is None:
            thread.moment = now()
        return thread.moment

    def go_back(self, end: float) -> None:
        """Let the open transaction write what expires at a time, also if that has come while it was waited for."""
        if self._thread.root is not None:
            self._thread.moment = min(self.moment, math.nextafter(end, 0.0))

    # what only some databases do

    @property
    def is_secured(self) -> bool:
        """Whether row-level security is in force, under which a transaction sees one user at a time."""
        return False

    def validate_sees_all(self, what: str) -> None:
        """Refuse what is for all users to a role that sees one at a time.

        Raises:
            ConfigurationError: Row-level security is in force for it.
        """
        if self.is_secured:
            raise ConfigurationError(
                f"{self.where}: under row-level security this role sees one user at a time, and {what} is for all: use "
                "the URL of the owner of the tables, of a superuser, or of a role with BYPASSRLS."
            )

    def candidates(self, connection: Connection, root: int, scope: Scope) -> CandidateSearch | None:  # noqa: ARG002
        """The search for a user with too many memories for RAM; None for all other users."""
        return None

    def expired_roots(self, at: float, limit: int) -> list[Scope]:
        """The users, and agents with a memory of their own, of whom something has expired at a moment."""
        with self.reading_all() as connection:
            rows = connection.execute(
                "SELECT DISTINCT roots.user_id, roots.agent_id FROM (SELECT owner FROM state WHERE expires_at <= ? "
                "UNION SELECT owner FROM items WHERE expires_at <= ?) AS expired JOIN owners ON owners.id = owner "
                "JOIN owners AS roots ON roots.id = owners.root LIMIT ?",
                (at, at, limit),
            ).fetchall()
        return [Scope.stored(user or None, agent or None) for user, agent in rows]

    def schedule_vacuum(self, connection: Connection) -> None:  # noqa: B027 - a server does it by itself
        """In the transaction of an erasure: remember that the erased rows are to be overwritten."""

    def vacuum(self, patience: float) -> bool:  # noqa: ARG002
        """Overwrite erased rows; whether nothing is left of them that this process can tell.

        Args:
            patience: Seconds to wait for readers of an older state, and for writers of other processes.
        """
        return False

    def shorten_log(self) -> None:  # noqa: B027 - a server does it by itself
        """After rows were deleted or replaced: have their contents leave the log of the database soon."""

    def migrate(self, *, role: str | None, signed: bool) -> Migration | None:
        """Bring the tables of a server to what this memweld works with (see ``EngineAdmin.migrate``)."""
        if role is not None or signed:
            raise ConfigurationError("This memory has no roles: leave --role and --signed out.")
        return None

    def health(self) -> list[HealthCheck]:
        """Findings about a database server. Changes nothing."""
        return []

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether `close` was called."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections. Further calls raise `BackendUnavailableError`."""

    # what a database does for a transaction

    @abstractmethod
    def _begin_reading(self, root: Root) -> Connection: ...

    @abstractmethod
    def _end_reading(self, connection: Connection) -> None: ...

    @abstractmethod
    def _begin_writing(self, root: Root) -> Connection: ...

    @abstractmethod
    def _stands(self, connection: Connection) -> bool:
        """Whether the transaction still stands: a database may end one by itself after an error."""

    @abstractmethod
    def _commit(self, connection: Connection) -> None: ...

    @abstractmethod
    def _end_writing(self, connection: Connection) -> None:
        """Roll back what was not committed, and let the next writer in."""

    @abstractmethod
    def _translated(self, error: BaseException) -> MemweldError | None:
        """The error of memweld for one of the driver's; None for all others."""

    def _after_commit(self) -> None: ...  # noqa: B027 - most have nothing to do

    # blocks

    def _enter_reading(self, root: Root) -> tuple[Connection, bool]:
        thread = self._thread
        if thread.writer is not None:
            self._validate_joins(thread, root)
            return self._unbroken(thread.writer), False
        if thread.reader is not None:
            self._validate_joins(thread, root)
            return thread.reader, False
        try:
            thread.reader = self._begin_reading(root)
        except BaseException as error:
            self._raise_translated(error)
            raise
        thread.root = root
        return thread.reader, True

    def _leave_reading(self, is_own: bool, error: BaseException | None) -> None:
        if is_own:
            thread = self._thread
            connection, thread.reader = thread.reader, None
            if thread.writer is None:
                thread.root = thread.moment = None
            if connection is not None:
                self._end_reading(connection)
        self._raise_translated(error)

    def _enter_unit(self, root: Root) -> tuple[None, bool]:  # noqa: ARG002 - its first write names one
        thread = self._thread
        is_own, thread.in_unit = not thread.in_unit, True
        return None, is_own

    def _enter_writing(self, root: Root) -> tuple[Connection, bool]:
        thread = self._thread
        is_own, thread.in_unit = not thread.in_unit, True
        try:
            self._validate_joins(thread, root)
            if thread.writer is None:
                thread.writer = self._begin_writing(root)
                thread.root = root
            return self._unbroken(thread.writer), is_own
        except BaseException as error:
            self._leave_unit(is_own, error)
            raise

    def _leave_unit(self, is_own: bool, error: BaseException | None) -> None:
        """Commit what the outermost block wrote, or after an error nothing of it."""
        if is_own:
            thread = self._thread
            connection, commits = thread.writer, error is None
            try:
                if connection is not None and commits:
                    self._commit(self._unbroken(connection))
            except BaseException as failed:
                self._raise_translated(failed)
                raise
            finally:
                thread.in_unit, thread.writer = False, None
                if thread.reader is None:
                    thread.root = thread.moment = None
                if connection is not None:
                    self._end_writing(connection)
            if connection is not None and commits:
                self._after_commit()
        self._raise_translated(error)

    @staticmethod
    def _validate_joins(thread: _Thread, root: Root) -> None:
        if thread.root is not None and thread.root != root and ALL_ROOTS not in (thread.root, root):
            raise AccessDeniedError("A transaction of one user was asked for rows of another.")

    def _unbroken(self, connection: Connection) -> Connection:
        if not self._stands(connection):
            raise BackendUnavailableError(
                f"{self.where} ended the transaction after an error (a full disk?). Nothing was stored."
            )
        return connection

    def _raise_translated(self, error: BaseException | None) -> None:
        translated = None if error is None else self._translated(error)
        if translated is not None:
            raise translated from error

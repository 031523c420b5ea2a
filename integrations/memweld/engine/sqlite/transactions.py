"""Transactions on one SQLite file. Many threads, many processes: readers see one moment, writers take turns.

A *unit* is a transaction that begins with its first write, so that slow work before it (a model's answer) does not
keep other writers waiting.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any

from ...errors import BackendUnavailableError, ConfigurationError
from ...scope import Scope
from ..sql.database import Connection
from ..sql.transaction_block import Block
from .fork import gate
from .pool import BUSY_SECONDS, Connections, Durability
from .schema import validate_version
from .vacuum import Owed, owe, owed, settle

__all__ = ["SqliteDatabase", "path_of"]

# For how long an erasure holds up other writers at once, and when what fails for want of room is tried again.
_STEP_SECONDS = 0.25
_RETRY_SECONDS = 60.0


def path_of(url: str) -> str | None:
    """The file that a ``sqlite://`` URL names, absolute; None for the database in memory.

    ``sqlite:///team.db`` is relative to the working directory, ``sqlite:////data/team.db`` absolute.

    Raises:
        ConfigurationError: The URL names a host, or has a query.
    """
    rest = url.partition("://")[2]
    if "?" in rest:
        raise ConfigurationError(
            f"Cannot connect to {url!r}: a sqlite:// URL names a file and takes no options behind a '?'. Leave "
            "them out: what can be chosen are arguments of memweld.connect."
        )
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"Cannot connect to {url!r}: a SQLite file has no host. Write sqlite:///{rest} for the file {rest!r}."
        )
    return os.path.abspath(os.path.expanduser(rest[1:]))  # noqa: PTH100, PTH111 - Path.resolve would follow links


class _Here(threading.local):
    """What the current thread is in the middle of."""

    in_unit = False
    writer: sqlite3.Connection | None = None
    reader: sqlite3.Connection | None = None


class SqliteDatabase:
    """A SQLite file with the tables of ``schema.py``. Nothing is opened before the first use.

    Args:
        path: The file, or None for a database in memory that ends with this object.
        durability: ``normal`` survives the end of the process, ``full`` also that of the machine.
    """

    def __init__(self, path: str | None, *, durability: Durability = "normal") -> None:
        self.path = path
        self.where = path or "the memory in RAM"
        self._connections = Connections(path, self.where, durability=durability)
        self._start()
        self.after_fork = self._connections.after_fork
        self.after_fork.append(self._start)
        self._connections.before_fork.append(self._rest)

    def _start(self) -> None:
        self._here = _Here()
        self._writing = threading.RLock()
        self._owes: Owed | None = None
        self._retry_at = 0.0
        self._seen: tuple[sqlite3.Connection, int] | None = None

    def _rest(self) -> None:
        """Before a fork: close what is open and not in use."""
        if self._here.writer is not None or not self._writing.acquire(blocking=False):
            self._connections.rest(is_writing=True)
            return
        try:
            self._connections.rest(is_writing=False)
        finally:
            self._writing.release()

    def __deepcopy__(self, memo: dict[int, object]) -> SqliteDatabase:
        # mem0 2.2 copies the configuration of its vector store; a copy must be the same database.
        return self

    def reading(self) -> Block[sqlite3.Connection]:
        """A connection for reading: all statements inside see one moment, and this thread's own open unit."""
        return Block(self._enter_reading, self._leave_reading)

    def first(self, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row of one statement that reads, or None: by itself it sees one moment."""
        here = self._here
        if here.writer is not None or here.reader is not None or self.path is None:
            with self.reading() as connection:
                return connection.execute(sql, parameters).fetchone()
        try:
            connection = self._connections.borrow_reader()
            try:
                return connection.execute(sql, parameters).fetchone()
            finally:
                self._connections.give_back(connection)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def writing(self) -> Block[sqlite3.Connection]:
        """A connection inside a write transaction: joins the unit of this thread, else is one of its own."""
        return Block(self._enter_writing, self._leave_unit)

    def unit(self) -> Block[None]:
        """All writes inside are one transaction, begun by the first of them. Units nest: the outermost commits."""
        return Block(self._enter_unit, self._leave_unit)

    def archive(self, connection: object, root: int, scope: Scope) -> None:
        """A file is read, however many memories a user has."""

    def owe_overwriting(self, connection: Connection) -> None:
        """In the transaction of an erasure: remember, in the file, that it is to be rewritten."""
        if self.path is not None:
            owe(connection)

    def overwrite(self, patience: float) -> bool:
        """Leave nothing in the file of what was erased; False if that must wait, for later writes or the next opening.

        Args:
            patience: Seconds to wait for whoever reads an older state, or writes in another process.
        """
        if self.path is None:
            return True
        if self._here.in_unit:
            self._owes = "rewrite"
            return False
        deadline = time.monotonic() + patience
        while not self._settle(min(patience, _STEP_SECONDS)):
            if time.monotonic() >= deadline or time.monotonic() < self._retry_at:
                return False
            time.sleep(_STEP_SECONDS / 5)
        return True

    def _settle(self, patience: float) -> bool:
        """Do what is owed, in the turn of a writer; whether it is done."""
        gate.enter()
        try:
            with self._writing:
                connection = self._connections.writer()
                try:
                    done = settle(connection, patience)
                except sqlite3.Error:
                    # A full disk: not at every write.
                    self._owes, self._retry_at = "rewrite", time.monotonic() + _RETRY_SECONDS
                    return False
                self._owes = None if done else owed(connection)
                return done
        finally:
            gate.leave()

    def _settle_by_the_way(self) -> None:
        """After a write, do what an erasure could not, or another process that was killed."""
        if time.monotonic() < self._retry_at:
            return
        if not self._settle(0.0) and self._owes == "rewrite":
            self._retry_at = time.monotonic() + _RETRY_SECONDS

    def close(self) -> None:
        """Close all connections; whoever is still writing is waited for."""
        gate.enter()
        try:
            with self._writing:
                self._connections.close()
        finally:
            gate.leave()

    def _enter_reading(self) -> tuple[sqlite3.Connection, bool]:
        here = self._here
        if here.writer is not None:
            return self._unbroken(), False
        if here.reader is not None:
            return here.reader, False
        try:
            if self.path is None:
                gate.enter()
                self._writing.acquire()
                here.reader = self._connections.writer()
            else:
                connection = self._connections.borrow_reader()
                here.reader = connection
                connection.execute("BEGIN")
        except BaseException as error:
            self._leave_reading(True, error)
            raise
        return here.reader, True

    def _leave_reading(self, is_own: bool, error: BaseException | None) -> None:
        here = self._here
        if is_own:
            connection, here.reader = here.reader, None
            if self.path is None:
                self._writing.release()
                gate.leave()
            elif connection is not None:
                self._connections.give_back(connection)
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from error

    def _enter_unit(self) -> tuple[None, bool]:
        here = self._here
        is_own, here.in_unit = not here.in_unit, True
        return None, is_own

    def _enter_writing(self) -> tuple[sqlite3.Connection, bool]:
        here = self._here
        is_own, here.in_unit = not here.in_unit, True
        try:
            if here.writer is None:
                self._begin()
            return self._unbroken(), is_own
        except BaseException as error:
            self._leave_unit(is_own, error)
            raise

    def _leave_unit(self, is_own: bool, error: BaseException | None) -> None:
        """Commit what the outermost unit wrote, or after an error nothing of it."""
        if not is_own:
            return
        here = self._here
        wrote = False
        try:
            if error is None and here.writer is not None:
                self._unbroken().execute("COMMIT")
                wrote = True
        except sqlite3.Error as failed:
            raise self._failure(failed) from failed
        finally:
            here.in_unit = False
            self._end()
        if isinstance(error, sqlite3.Error):
            raise self._failure(error) from error
        if wrote and self._owes is not None:
            with contextlib.suppress(BackendUnavailableError):
                self._settle_by_the_way()

    def _begin(self) -> None:
        gate.enter()
        held = False
        connection = None
        try:
            held = self._writing.acquire(timeout=BUSY_SECONDS)
            if not held:
                raise BackendUnavailableError(f"{self.where} is being written to for {BUSY_SECONDS:.0f} s; try again.")
            connection = self._connections.writer()
            connection.execute("BEGIN IMMEDIATE")
            self._look(connection)
            self._here.writer = connection
        except BaseException:
            self._here.writer = None
            if connection is not None and connection.in_transaction:  # interrupted by a signal
                connection.execute("ROLLBACK")
            if held:
                self._writing.release()
            gate.leave()
            raise

    def _look(self, connection: sqlite3.Connection) -> None:
        """Notice what other processes have done to the whole file since this one's last write."""
        number: int = connection.execute("PRAGMA data_version").fetchone()[0]
        seen = self._seen
        if seen is not None and seen[0] is connection and seen[1] == number:
            return
        validate_version(connection, self.where)
        self._owes = owed(connection)
        self._seen = (connection, number)

    def _unbroken(self) -> sqlite3.Connection:
        """The unit's connection, if its transaction still stands.

        SQLite ends a transaction by itself when the disk fails; statements after that would each be committed alone.
        """
        connection = self._here.writer
        if connection is None or not connection.in_transaction:
            raise BackendUnavailableError(
                f"{self.where} could not be written: SQLite ended the transaction (a full disk?). Nothing was stored."
            )
        return connection

    def _end(self) -> None:
        """Roll back what was not committed, and let the next writer in."""
        connection, self._here.writer = self._here.writer, None
        if connection is None:
            return
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        finally:
            self._writing.release()
            gate.leave()

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> BackendUnavailableError:
        return BackendUnavailableError(f"{self.where} cannot be used: {error}. {_remedy(error)}")


def _remedy(error: sqlite3.Error) -> str:
    text = str(error)
    remedies = {
        "locked": "Another process has been writing for too long; try again.",
        "full": "Free some disk space; what was stored before is intact.",
        "disk I/O": "Check the disk and its quota; what was stored before is intact.",
        "readonly": "Check the permissions of the file and of its directory.",
        "unable to open": "Check that the directory exists and may be written to.",
        "not a database": "Point the URL at another file: this one was not written by memweld.",
    }
    return next((remedy for word, remedy in remedies.items() if word in text), "Check the file and its disk.")

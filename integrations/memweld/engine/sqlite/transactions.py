"""Transactions on one SQLite file. Many threads, many processes: readers see one moment, writers take turns."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from ...errors import BackendUnavailableError
from ...scope import Scope
from ..filters import forget_filters
from ..fork import BackgroundThread
from ..sql.database import Connection, Database, Root
from ..sql.dialect import Dialect
from . import vacuum
from .functions import metadata_fit, occurrences_fit
from .pool import Durability, SqlitePool
from .schema import validate_version

__all__ = ["SqliteDatabase"]

# For how long an erasure holds up other writers at once, and when work that found no disk space is tried again.
_STEP_SECONDS = 0.25
_RETRY_SECONDS = 60.0
# How soon the log is cut behind a deletion, and how often that is tried.
_LOG_SECONDS, _LOG_TRIES = 1.0, 30

_DIALECT = Dialect(
    in_namespace="namespace = ?",
    key_between="key >= ? AND key < ?",
    metadata_fit=metadata_fit,
    occurrences_fit=occurrences_fit,
    skip_locked="",
    leave_vector_index="",
    purge_seconds=1.0,
    purges_all=True,
    swaps_at_once=True,
)


class SqliteDatabase(Database):
    """A SQLite file.

    Args:
        path: The file, or None for a database in memory that ends with this object.
        durability: ``normal`` survives the end of the process, ``full`` also that of the machine.
    """

    dialect = _DIALECT

    def __init__(self, path: str | None, *, durability: Durability = "normal") -> None:
        self.path = path
        self.in_ram = path is None
        self.where = path or "the memory in RAM"
        self._pool = SqlitePool(path, self.where, durability=durability)
        self._forget()
        super().__init__()

    def _renew(self) -> None:
        super()._renew()
        self._forget()

    def _forget(self) -> None:
        self._shortening = threading.Lock()
        self._is_shortened_soon = False
        self._scheduled: vacuum.Scheduled | None = None
        self._retry_at = 0.0
        self._seen: tuple[sqlite3.Connection, int] | None = None

    def first(self, scope: Scope, sql: str, parameters: Sequence[Any]) -> Any:
        """The first row of one statement that reads, or None: by itself it sees one moment."""
        thread = self._thread
        if thread.writer is not None or thread.reader is not None or self.path is None:
            return super().first(scope, sql, parameters)
        try:
            connection = self._pool.take_reader()
            try:
                return connection.execute(sql, parameters).fetchone()
            finally:
                self._pool.give_back_reader(connection)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._pool.closed

    def close(self) -> None:
        """Close all connections, after the writer at work."""
        self._pool.close()

    # erased rows

    def schedule_vacuum(self, connection: Connection) -> None:
        """In the transaction of an erasure: remember, in the file, that it is to be rewritten."""
        if self.path is not None:
            vacuum.schedule(connection)

    def vacuum(self, patience: float) -> bool:
        """Rewrite the file; False if that is left to later writes or to the next process that opens it.

        Args:
            patience: Seconds to wait for readers of an older state, and for writers of other processes.
        """
        forget_filters()
        if self.path is None:
            return True
        if self._thread.in_unit:
            self._scheduled = "rewrite"
            return False
        deadline = time.monotonic() + patience
        while not self._run_vacuum(min(patience, _STEP_SECONDS)):
            if time.monotonic() >= deadline or time.monotonic() < self._retry_at:
                return False
            time.sleep(_STEP_SECONDS / 5)
        return True

    def _run_vacuum(self, patience: float) -> bool:
        """Do what is scheduled, in the turn of a writer; whether it is done."""
        # Erasures that wait for their turn go first, and share one rewriting.
        try:
            connection = self._pool.take_writer(last=True)
        except BackendUnavailableError:
            # Others write for too long. The file remembers what is scheduled.
            self._scheduled = "rewrite"
            return False
        try:
            done = vacuum.run(connection, patience)
            self._scheduled = None if done else vacuum.scheduled(connection)
        except sqlite3.Error:
            # A full disk: not at every write.
            self._scheduled, self._retry_at = "rewrite", time.monotonic() + _RETRY_SECONDS
            return False
        finally:
            self._pool.give_back_writer()
        return done

    def _after_commit(self) -> None:
        """Do what an erasure could not do, or another process that was killed."""
        if self._scheduled is None or time.monotonic() < self._retry_at:
            return
        if not self._run_vacuum(0.0) and self._scheduled == "rewrite":
            self._retry_at = time.monotonic() + _RETRY_SECONDS

    def shorten_log(self) -> None:
        """Cut the log in a second, once for all that is deleted or replaced until then."""
        if self.path is None or self._is_shortened_soon:
            return
        with self._shortening:
            if self._is_shortened_soon:
                return
            self._is_shortened_soon = True
        if not BackgroundThread(self._shorten_log, "log").try_start():
            self._is_shortened_soon = False

    def _shorten_log(self) -> None:
        for _ in range(_LOG_TRIES):
            time.sleep(_LOG_SECONDS)
            with self._shortening:
                self._is_shortened_soon = False
            # A reader of an older state is in the way, or the disk is full: once more.
            with contextlib.suppress(BackendUnavailableError, sqlite3.Error):
                if self.closed or self._pool.cut_log():
                    return
            with self._shortening:
                if self._is_shortened_soon:
                    return  # another thread does it
                self._is_shortened_soon = True
        with self._shortening:
            self._is_shortened_soon = False

    # transactions

    def _begin_reading(self, root: Root) -> Connection:  # noqa: ARG002 - a file is read without policies
        if self.path is None:
            return self._pool.take_writer()
        connection = self._pool.take_reader()
        try:
            connection.execute("BEGIN")
        except BaseException:
            self._pool.give_back_reader(connection)
            raise
        return connection

    def _end_reading(self, connection: Connection) -> None:
        if self.path is None:
            self._pool.give_back_writer()
        else:
            self._pool.give_back_reader(cast("sqlite3.Connection", connection))

    def _begin_writing(self, root: Root) -> Connection:  # noqa: ARG002 - a file has one writer at a time
        connection = self._pool.take_writer()
        try:
            self._pool.validate_file()
            connection.execute("BEGIN IMMEDIATE")
            self._look_around(connection)
        except BaseException:
            if connection.in_transaction:  # also when a signal interrupts
                connection.execute("ROLLBACK")
            self._pool.give_back_writer()
            raise
        return connection

    def _look_around(self, connection: sqlite3.Connection) -> None:
        """Notice what other processes have done to the whole file since this one's last write."""
        number: int = connection.execute("PRAGMA data_version").fetchone()[0]
        seen = self._seen
        if seen is not None and seen[0] is connection and seen[1] == number:
            return
        validate_version(connection, self.where)
        self._scheduled = vacuum.scheduled(connection)
        self._seen = (connection, number)

    def _stands(self, connection: Connection) -> bool:
        # When the disk fails, SQLite ends a transaction by itself, and would commit each later statement alone.
        return cast("sqlite3.Connection", connection).in_transaction

    def _commit(self, connection: Connection) -> None:
        connection.execute("COMMIT")

    def _end_writing(self, connection: Connection) -> None:
        try:
            if cast("sqlite3.Connection", connection).in_transaction:
                connection.execute("ROLLBACK")
        finally:
            self._pool.give_back_writer()

    def _translated(self, error: BaseException) -> BackendUnavailableError | None:
        return self._failure(error) if isinstance(error, sqlite3.Error) else None

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
        "malformed": "The file is damaged: restore a backup, or save what sqlite3's .recover can read.",
        "not a database": "Point the URL at another file: this one was not written by memweld.",
    }
    return next((remedy for word, remedy in remedies.items() if word in text), "Check the file and its disk.")

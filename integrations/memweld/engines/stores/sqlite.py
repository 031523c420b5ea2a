"""One SQLite file: connections, transactions and errors. WAL, many threads, many processes.

Readers borrow a connection from a pool; writers take turns on one. A *unit* is a transaction that begins with its
first write, so that slow work before it (a model's answer) does not keep other writers waiting.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Generator
from pathlib import Path

from ...errors import BackendUnavailableError, ConfigurationError
from .matching import fits
from .schema import migrate

__all__ = ["SqliteDatabase", "path_of"]

_BUSY_SECONDS = 30.0
_IDLE_READERS = 8


def path_of(url: str) -> str | None:
    """The file that a ``sqlite://`` URL names, absolute; None for the database in memory.

    ``sqlite:///team.db`` is relative to the working directory, ``sqlite:////data/team.db`` absolute.

    Raises:
        ConfigurationError: The URL names a host.
    """
    rest = url.partition("://")[2]
    if rest in ("", "/", "/:memory:"):
        return None
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"Cannot connect to {url!r}: a SQLite file has no host. Write sqlite:///{rest} for the file {rest!r}."
        )
    return os.path.abspath(os.path.expanduser(rest[1:]))  # noqa: PTH100, PTH111 - Path.resolve would follow links


class _Unit(threading.local):
    """The transactions of the current thread: its unit of writes, and the moment that it is reading."""

    active = False
    connection: sqlite3.Connection | None = None
    reader: sqlite3.Connection | None = None


_LEFT_TO_THE_PARENT: list[list[sqlite3.Connection]] = []


def _close_all(connections: list[sqlite3.Connection], process: int) -> None:
    if process == os.getpid():
        for connection in connections:
            connection.close()
    connections.clear()


class SqliteDatabase:
    """A SQLite file with the tables of ``schema.py``. Nothing is opened before the first use.

    Args:
        path: The file, or None for a database in memory that ends with this object.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._unit = _Unit()
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        self._readers: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        self._watch()

    @property
    def where(self) -> str:
        """The database in words, for errors."""
        return self.path or "the memory in RAM"

    def __deepcopy__(self, memo: dict[int, object]) -> SqliteDatabase:
        # mem0 2.2 copies the configuration of its vector store; a copy must be the same database.
        return self

    @contextlib.contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """A connection for reading: all statements inside see one moment, and this thread's own open unit."""
        self._after_fork()
        with self._translated():
            if self._unit.connection is not None:
                yield self._unit.connection
            elif self._unit.reader is not None:
                yield self._unit.reader
            elif self.path is None:
                with self._writing:
                    yield self._open_writer()
            else:
                connection = self._borrow()
                try:
                    connection.execute("BEGIN")
                    self._unit.reader = connection
                    yield connection
                finally:
                    self._unit.reader = None
                    self._give_back(connection)

    @contextlib.contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A connection inside a write transaction: joins the unit of this thread, else is one of its own."""
        with self.unit():
            if self._unit.connection is None:
                self._begin()
            connection = self._unit.connection
            assert connection is not None  # noqa: S101 - _begin sets it or raises
            yield connection

    @contextlib.contextmanager
    def unit(self) -> Generator[None]:
        """All writes inside are one transaction, begun by the first of them. Units nest: the outermost commits."""
        self._after_fork()
        if self._unit.active:
            yield
            return
        self._unit.active = True
        try:
            with self._translated():
                yield
                self._end("COMMIT")
        finally:
            self._unit.active = False
            self._end("ROLLBACK")

    def run_alone(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run something that must stand outside of a transaction, on the writer's connection."""
        self._after_fork()
        with self._translated(), self._writing:
            work(self._open_writer())

    def close(self) -> None:
        """Close all connections; whoever is still writing is waited for."""
        with self._writing, self._lock:
            self._closed = True
            for connection in (*self._readers, self._writer):
                if connection is not None:
                    self._discard(connection)
            self._readers.clear()
            self._writer = None

    def _watch(self) -> None:
        """Close what is open when this object goes or the program ends, as files do."""
        self._open: list[sqlite3.Connection] = []
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _close_all, self._open, self._process)

    def _discard(self, connection: sqlite3.Connection) -> None:
        connection.close()
        with self._lock:
            self._open.remove(connection)

    def _begin(self) -> None:
        if not self._writing.acquire(timeout=_BUSY_SECONDS):
            raise BackendUnavailableError(f"{self.where} is being written to for {_BUSY_SECONDS:.0f} s; try again.")
        try:
            connection = self._open_writer()
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._writing.release()
            raise
        self._unit.connection = connection

    def _end(self, how: str) -> None:
        connection = self._unit.connection
        if connection is None:
            return
        try:
            if how == "COMMIT" or connection.in_transaction:
                connection.execute(how)
        except BaseException:
            # A commit that failed (a full disk) leaves the transaction open: the finally clause of unit() ends it.
            if how == "COMMIT":
                raise
        finally:
            if not connection.in_transaction:
                self._unit.connection = None
                self._writing.release()

    def _borrow(self) -> sqlite3.Connection:
        with self._lock:
            if self._readers:
                return self._readers.pop()
        self._open_writer()  # creates and migrates the file
        return self._connect()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._discard(connection)
            return
        with self._lock:
            if self._closed or len(self._readers) >= _IDLE_READERS:
                self._discard(connection)
            else:
                self._readers.append(connection)

    def _open_writer(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise BackendUnavailableError(f"{self.where} is closed; connect again.")
            if self._writer is None:
                self._make_directory()
                connection = self._connect()
                try:
                    migrate(connection, self.where)
                except BaseException:
                    self._discard(connection)
                    raise
                self._writer = connection
            return self._writer

    def _make_directory(self) -> None:
        if self.path is not None:
            try:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise BackendUnavailableError(f"{self.where} cannot be opened: {error.strerror or error}.") from error

    def _connect(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise BackendUnavailableError(f"{self.where} is closed; connect again.")
        connection = sqlite3.connect(
            self.path or ":memory:", timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # NORMAL in WAL survives a crash of the process; secure_delete overwrites what is deleted with zeros.
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.create_function("metadata_fits", 2, fits, deterministic=True)
        except BaseException:
            connection.close()
            raise
        with self._lock:
            self._open.append(connection)
        return connection

    def _after_fork(self) -> None:
        # SQLite connections must not cross a fork: the child forgets its parent's, without closing them.
        if self._process != os.getpid():
            self._lock, self._writing, self._unit = threading.RLock(), threading.RLock(), _Unit()
            self._finalizer.detach()
            _LEFT_TO_THE_PARENT.append(self._open)
            self._readers, self._writer = [], None
            self._watch()

    @contextlib.contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BackendUnavailableError(f"{self.where} cannot be used: {error}. {_remedy(error)}") from error


def _remedy(error: sqlite3.Error) -> str:
    text = str(error)
    remedies = {
        "locked": "Another process has been writing for too long; try again.",
        "full": "Free some disk space; what was stored before is intact.",
        "readonly": "Check the permissions of the file and of its directory.",
        "unable to open": "Check that the directory exists and may be written to.",
        "not a database": "Point the URL at another file: this one was not written by memweld.",
    }
    return next((remedy for word, remedy in remedies.items() if word in text), "Check the file and its disk.")

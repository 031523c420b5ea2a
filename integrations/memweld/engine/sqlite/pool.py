"""Connections to one SQLite file: opened with care, pooled for readers, closed with their owner, left at a fork."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from ...errors import BackendUnavailableError, ConfigurationError
from .fork import gate, on_fork
from .functions import fits, value_fits
from .schema import APPLICATION_ID, create_schema
from .vacuum import settle

__all__ = ["BUSY_SECONDS", "Connections", "Durability"]

BUSY_SECONDS = 30.0
"""How long a writer waits for other writers before it gives up."""

Durability: TypeAlias = Literal["normal", "full"]
"""What a write that was acknowledged survives: the end of the process, or also that of the machine."""

# NORMAL in WAL syncs the log when it is written into the file, FULL at each commit. macOS needs fullfsync for it.
_DURABLE: Mapping[Durability, tuple[str, ...]] = {
    "normal": ("synchronous=NORMAL",),
    "full": ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON"),
}
_IDLE_READERS = 8
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING

_ALL: weakref.WeakSet[Connections] = weakref.WeakSet()
_LEFT_TO_THE_PARENT: list[list[sqlite3.Connection]] = []
# The files (device and inode) that this process must not open, and those of which its next child must not.
_LOST: set[tuple[int, int]] = set()
_IN_USE: set[tuple[int, int]] = set()


class _Creating:
    """Who makes a file; a lock that a fork renews."""

    lock = threading.Lock()


def _rest_all() -> None:
    for connections in list(_ALL):
        for rest in connections.before_fork:
            rest()


def _stay() -> None:
    _IN_USE.clear()


def _forget_the_parents() -> None:
    _LOST.update(_IN_USE)
    _IN_USE.clear()
    _Creating.lock = threading.Lock()
    for connections in list(_ALL):
        connections.forget()


# SQLite connections and held locks must not cross a fork. Of a file that is open at the fork SQLite believes in the
# child that its locks are held, which they are not: another process could delete the log under it. So all that is open
# is closed before; what is still in use then is not opened in the child. What follows in the child runs before any
# thread of it exists.
on_fork(rest=_rest_all, parent=_stay, child=_forget_the_parents)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()


class Connections:
    """The connections of one database. Thread-safe; opens nothing before the first use.

    Args:
        path: The file; None for a database in memory, which has the writer's connection only.
        where: The database in words, for errors.
        durability: ``normal`` survives the end of the process, ``full`` also that of the machine.
    """

    def __init__(self, path: str | None, where: str, *, durability: Durability = "normal") -> None:
        self.path = path
        self.durability: Durability = durability
        self.where = where
        self.closed = False
        self.before_fork: list[Callable[[], None]] = []
        self.after_fork: list[Callable[[], None]] = []
        self._start()
        _ALL.add(self)

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._open: list[sqlite3.Connection] = []
        self._readers: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        # As files do: what is open is closed when its owner goes or the program ends.
        self._finalizer = weakref.finalize(self, _close_all, self._open)

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone, neither used nor closed, and begin anew."""
        self._finalizer.detach()
        _LEFT_TO_THE_PARENT.append(self._open)
        self._start()
        for reset in self.after_fork:
            reset()

    def writer(self) -> sqlite3.Connection:
        """The one connection that writes. The first call creates the file."""
        with self._lock:
            self._check_open()
            if self._writer is None:
                self._make_file()
                connection = self._connect()
                try:
                    create_schema(connection, self.where)
                    # Of an erasure whose process was killed. What cannot be done now is done by a later write.
                    with contextlib.suppress(sqlite3.Error):
                        settle(connection, 0.0)
                except BaseException:
                    self._discard(connection)
                    raise
                self._writer = connection
            return self._writer

    def borrow_reader(self) -> sqlite3.Connection:
        """A connection for reading, for one thread until it is given back."""
        gate.enter()
        try:
            with self._lock:
                self._check_open()
                if self._readers:
                    return self._readers.pop()
            self.writer()
            return self._connect()
        except BaseException:
            gate.leave()
            raise

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take a reader's connection back into the pool."""
        try:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error:
                self._discard(connection)
                return
            with self._lock:
                if self.closed or len(self._readers) >= _IDLE_READERS:
                    self._discard(connection)
                else:
                    self._readers.append(connection)
        finally:
            gate.leave()

    def close(self) -> None:
        """Close what nobody uses; a reader that is still at work closes its own when it gives it back."""
        with self._lock:
            self.closed = True
            for connection in (*self._readers, self._writer):
                if connection is not None:
                    self._discard(connection)
            self._readers.clear()
            self._writer = None

    def rest(self, *, is_writing: bool) -> None:
        """Before a fork: close what nobody uses until it is needed again, and note a file that is still in use.

        Args:
            is_writing: Whether somebody uses the writer's connection.
        """
        # Who holds the lock now has not come to an end for seconds: the fork goes ahead.
        if self.path is None or not self._lock.acquire(blocking=False):
            self._note_use()
            return
        try:
            idle, self._readers = self._readers, []
            if self._writer is not None and not is_writing:
                idle.append(self._writer)
                self._writer = None
            for connection in idle:
                self._discard(connection)
            if self._open:
                self._note_use()
        finally:
            self._lock.release()

    def _note_use(self) -> None:
        place = None if self.path is None else _place(self.path)
        if place is not None:
            _IN_USE.add(place)

    def _check_open(self) -> None:
        if self.closed:
            raise BackendUnavailableError(f"{self.where} is closed; connect again.")

    def _discard(self, connection: sqlite3.Connection) -> None:
        connection.close()
        with self._lock:
            if connection in self._open:
                self._open.remove(connection)

    def _make_file(self) -> None:
        """Create the file for its owner's eyes alone; SQLite's log files take over its permissions."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise ConfigurationError(
                f"memweld needs SQLite {'.'.join(map(str, _OLDEST_SQLITE))} or newer; this Python has "
                f"{sqlite3.sqlite_version}. Use a newer Python build."
            )
        if self.path is None:
            return
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What a link points to is made here, too: SQLite would make it readable for others.
            file = os.path.realpath(self.path)
            # Never open a file that is there: closing it again takes away the locks that SQLite holds on it for other
            # connections of this process, and another process then deletes the log under them (POSIX locks).
            with _Creating.lock, contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as error:
            raise BackendUnavailableError(f"{self.where} cannot be opened: {error.strerror or error}.") from error

    def _connect(self) -> sqlite3.Connection:
        if _LOST and self.path is not None and _place(self.path) in _LOST:
            raise BackendUnavailableError(
                f"{self.where} was in use by another thread when this process was forked, and cannot be opened here "
                "any more: fork while nobody reads or writes, or start the process by 'spawn' or 'forkserver'."
            )
        connection = sqlite3.connect(
            self.path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # Known from its first lock on, to be seen by a fork.
        with self._lock:
            self._open.append(connection)
        try:
            self._refuse_strangers(connection)
            _use_log(connection)
            # secure_delete overwrites what is deleted with zeros.
            for pragma in (*_DURABLE[self.durability], "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.create_function("metadata_fits", 2, fits, deterministic=True)
            connection.create_function("value_fits", 2, value_fits, deterministic=True)
        except BaseException:
            self._discard(connection)
            raise
        return connection

    def _refuse_strangers(self, connection: sqlite3.Connection) -> None:
        """Leave a database of another program as it is."""
        # In this order: whoever creates our tables at this moment has signed the file when they appear.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if owner != APPLICATION_ID and (owner or tables):
            raise BackendUnavailableError(
                f"{self.where} is a database of another program, which memweld will not change; name another file."
            )


def _place(path: str) -> tuple[int, int] | None:
    """The file behind a name; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which SQLite does without waiting for other processes that do the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)

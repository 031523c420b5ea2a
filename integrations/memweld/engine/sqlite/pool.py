"""Connections to one SQLite file: one that writes, a pool of readers, and what a fork makes of them.

SQLite keeps its file locks per process and per file. If a file stays open in a forked child, SQLite believes there that
the parent's locks are its own, and another process may delete the log under it. A reopened connection shares that
belief, so reopening is not enough. Therefore a fork first closes all idle connections, without waiting for any. A file
with a connection in use at that moment cannot be opened in the child any more. Threads of memweld's own take turns with
forks instead, because no program knows when they use the file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from ...errors import BackendUnavailableError, ConfigurationError
from ...files import hide_from_others, refuse_planted
from ..fork import BackgroundThread, RenewedLock, call_in_child
from . import vacuum
from .fair_lock import FairLock
from .functions import metadata_fits, occurrence_fits, seconds_of
from .schema import APPLICATION_ID, create_schema

__all__ = ["BUSY_SECONDS", "Durability", "SqlitePool"]

BUSY_SECONDS = 30.0
"""How long a writer waits for other writers before it gives up."""

Durability: TypeAlias = Literal["normal", "full"]
"""Which failures an acknowledged write survives: of the process, or of the machine too."""

# NORMAL in WAL syncs the log when it is written into the file, FULL at each commit. macOS needs fullfsync for it.
_DURABLE: Mapping[Durability, tuple[str, ...]] = {
    "normal": ("synchronous=NORMAL",),
    "full": ("synchronous=FULL", "fullfsync=ON", "checkpoint_fullfsync=ON"),
}
_IDLE_READERS = 8
_FORK_SECONDS = 1.0
_OLDEST_SQLITE = (3, 35, 0)  # RETURNING

_pools: weakref.WeakSet[SqlitePool] = weakref.WeakSet()
# The parent's connections, which a child neither uses nor closes.
_inherited: list[list[sqlite3.Connection]] = []
_creating = RenewedLock()
_pools_lock = RenewedLock()
# A thread of memweld's own holds it while it has a connection, and a fork until it is done.
_turn = FairLock()
_forking = threading.local()
# The files (device and inode) that this process must not open.
_lost: set[tuple[int, int]] = set()


def _before_fork() -> None:
    _forking.has_turn = _turn.acquire(timeout=_FORK_SECONDS)
    with _pools_lock:
        pools = list(_pools)
    for pool in pools:
        pool.close_idle()


def _after_fork() -> None:
    if _forking.has_turn:
        _turn.release()


def _renew_turn() -> None:
    global _turn  # noqa: PLW0603 - the parent's may be held by a thread that the child does not have
    _turn = FairLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_renew_turn)


def _is_in_background() -> bool:
    return isinstance(threading.current_thread(), BackgroundThread)


def _close_all(pool: weakref.ref[SqlitePool], connections: list[sqlite3.Connection]) -> None:
    # At the end of the program the pool still lives, and a thread of memweld's own may be in the middle of a statement:
    # Python 3.11 crashes where another thread closes its connection then. One that takes long keeps what it has.
    is_end = pool() is not None
    if is_end and not _turn.acquire(timeout=_FORK_SECONDS):
        return
    try:
        for connection in connections:
            connection.close()
        connections.clear()
    finally:
        if is_end:
            _turn.release()


class SqlitePool:
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
        self._start()
        with _pools_lock:
            _pools.add(self)
        call_in_child(self._renew)

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._writing = FairLock()
        self._writers = 0
        self._open: list[sqlite3.Connection] = []
        self._readers: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._log: tuple[str, tuple[int, int]] | None = None
        # As files do: what is open is closed when its owner goes or the program ends.
        self._finalizer = weakref.finalize(self, _close_all, weakref.ref(self), self._open)

    def _renew(self) -> None:
        if self._open and self.path is not None and (file := _identity(self.path)) is not None:
            _lost.add(file)
        self._finalizer.detach()
        _inherited.append(self._open)
        self._start()

    def close_idle(self) -> None:
        """Before a fork: close the connections that no thread uses; the next call opens new ones."""
        # A thread that holds a lock now is not waited for: the child finds what it has open.
        if self.path is None or not self._lock.acquire(blocking=False):
            return
        try:
            idle, self._readers = self._readers, []
            if self._writer is not None and self._writing.acquire(timeout=0.0):
                try:
                    if not self._writers:
                        idle.append(self._writer)
                        self._writer = None
                finally:
                    self._writing.release()
            for connection in idle:
                self._discard(connection)
        finally:
            self._lock.release()

    def take_writer(self, *, last: bool = False) -> sqlite3.Connection:
        """The one connection that writes, for one thread until it is given back; nests.

        Args:
            last: Whether to let all threads go first that wait for it now.

        Raises:
            BackendUnavailableError: Other threads write for too long.
        """
        self._take_turn()
        if not self._writing.acquire(timeout=BUSY_SECONDS, last=last):
            self._end_turn()
            raise BackendUnavailableError(f"{self.where} is being written to for {BUSY_SECONDS:.0f} s; try again.")
        try:
            connection = self._open_writer()
        except BaseException:
            self._writing.release()
            self._end_turn()
            raise
        self._writers += 1
        return connection

    def give_back_writer(self) -> None:
        """Let the next writer in."""
        self._writers -= 1
        self._writing.release()
        self._end_turn()

    def take_reader(self) -> sqlite3.Connection:
        """A connection for reading, for one thread until it is given back."""
        self._take_turn()
        try:
            with self._lock:
                self._validate_open()
                if self._readers:
                    return self._readers.pop()
            self._open_writer()
            return self._connect()
        except BaseException:
            self._end_turn()
            raise

    def give_back_reader(self, connection: sqlite3.Connection) -> None:
        """Take a reader's connection back into the pool."""
        try:
            self._put_back(connection)
        finally:
            self._end_turn()

    def _take_turn(self) -> None:
        if self.path is not None and _is_in_background():
            _turn.acquire()

    def _end_turn(self) -> None:
        if self.path is not None and _is_in_background():
            _turn.release()

    def _put_back(self, connection: sqlite3.Connection) -> None:
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

    def cut_log(self) -> bool:
        """Write the log into the file and truncate it, in the turn of a writer; False if a reader is in the way."""
        connection = self.take_writer()
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            return vacuum.cut(connection, 0.0)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            self.give_back_writer()

    def close(self) -> None:
        """Close what no thread uses, after the writer at work; a reader at work closes its own connection later."""
        with self._writing, self._lock:
            self.closed = True
            for connection in (*self._readers, self._writer):
                if connection is not None:
                    self._discard(connection)
            self._readers.clear()
            self._writer = None

    def _open_writer(self) -> sqlite3.Connection:
        """The writer's connection. The first call creates the file."""
        with self._lock:
            self._validate_open()
            if self._writer is None:
                is_first = self._file is None
                if is_first:
                    self._create_file()
                connection = self._connect()
                try:
                    # Not before: the file of another program keeps its mode.
                    if is_first and self.path is not None:
                        file = os.path.realpath(self.path)
                        hide_from_others(file, f"{file}-wal", f"{file}-shm")
                    create_schema(connection, self.where)
                    # After an erasure that a kill interrupted. A later write does what is impossible now.
                    with contextlib.suppress(sqlite3.Error):
                        vacuum.run(connection, 0.0)
                except BaseException:
                    self._discard(connection)
                    raise
                self._writer = connection
                if self.path is not None:
                    log = f"{os.path.realpath(self.path)}-wal"
                    found = _identity(log)
                    self._log = None if found is None else (log, found)
            return self._writer

    def _validate_open(self) -> None:
        if self.closed:
            raise BackendUnavailableError(f"{self.where} is closed; connect again.")

    def validate_file(self) -> None:
        """Make sure that the names of the file and its log still lead to what is open.

        Raises:
            BackendUnavailableError: One was deleted, or another file has its place. What is written now would be lost.
        """
        if self._file is None or self.path is None:
            return
        found = _identity(self.path)
        if found != self._file:
            what = "was deleted" if found is None else "was replaced by another file"
            raise BackendUnavailableError(
                f"{self.where} {what} while this process had it open, and takes no more writes here. While no process "
                "uses it, put the file back with its -wal, or restore a backup and delete the old -wal and -shm."
            )
        if self._writer is not None and self._log is not None and _identity(self._log[0]) != self._log[1]:
            raise BackendUnavailableError(
                f"The log of {self.where} ({self._log[0]}) was deleted or replaced while this process had it open, so "
                "that it takes no more writes here. Put it back, or end this process in order, which saves the log."
            )

    def _discard(self, connection: sqlite3.Connection) -> None:
        connection.close()
        with self._lock:
            if connection in self._open:
                self._open.remove(connection)

    def _create_file(self) -> None:
        """Create the file readable for its owner alone; SQLite's log files take over its permissions."""
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise ConfigurationError(
                f"memweld needs SQLite {'.'.join(map(str, _OLDEST_SQLITE))} or newer; this Python has "
                f"{sqlite3.sqlite_version}. Use a newer Python build."
            )
        if self.path is None:
            return
        try:
            Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The target of a link is created here, too: SQLite would make it readable for others.
            file = os.path.realpath(self.path)
            # Never open a file that exists: closing it again takes away the locks that SQLite holds on it for other
            # connections of this process, and another process then deletes the log under them (POSIX locks).
            with _creating, contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            refuse_planted(self.path, self.where)
        except OSError as error:
            raise BackendUnavailableError(f"{self.where} cannot be opened: {error.strerror or error}.") from error

    def _connect(self) -> sqlite3.Connection:
        if _lost and self.path is not None and _identity(self.path) in _lost:
            raise BackendUnavailableError(
                f"{self.where} was in use by another thread when this process was forked, and cannot be opened here "
                "any more: fork while no thread reads or writes, or start the process by 'spawn' or 'forkserver'."
            )
        self.validate_file()
        # SQLite creates no file here: it would be readable for others.
        name = ":memory:" if self.path is None else f"{Path(self.path).as_uri()}?mode=rw"
        connection = sqlite3.connect(
            name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True
        )
        # Known from its first lock on: a fork looks here.
        with self._lock:
            self._open.append(connection)
        try:
            if self._file is None and self.path is not None:
                self._file = _identity(self.path)
            self._refuse_strangers(connection)
            _use_log(connection)
            # secure_delete overwrites deleted cells with zeros.
            for pragma in (*_DURABLE[self.durability], "foreign_keys=ON", "secure_delete=ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.create_function("metadata_fits", 2, metadata_fits, deterministic=True)
            connection.create_function("seconds_of", 1, seconds_of, deterministic=True)
            connection.create_function("occurrence_fits", 5, occurrence_fits, deterministic=True)
        except BaseException:
            self._discard(connection)
            raise
        return connection

    def _refuse_strangers(self, connection: sqlite3.Connection) -> None:
        """Leave a database of another program as it is."""
        # In this order: a process that creates our tables at this moment has signed the file when they appear.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        if owner != APPLICATION_ID and (owner or tables):
            raise BackendUnavailableError(
                f"{self.where} is a database of another program, which memweld will not change; name another file."
            )


def _identity(path: str) -> tuple[int, int] | None:
    """The file behind a name; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at each write, and faster than Path.stat
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

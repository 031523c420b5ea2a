"""Connections to one Postgres: opened at the first use, pooled, renewed after a restart, left behind at a fork."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from ...errors import BackendUnavailableError
from .dialect import Connection, adapt
from .schema import Opened, connect, open_schema
from .url import Address

__all__ = ["PATIENCE_SECONDS", "Connections"]

PATIENCE_SECONDS = 15.0
"""How long a call waits for a connection, and for a server that restarts, before it gives up."""

_POOL = "memweld"
_logger = logging.getLogger(__name__)


class _Pooled(psycopg.Connection[tuple[Any, ...]]):
    """A connection of a pool of ours, as the filter below knows it."""


def _is_for_others(record: logging.LogRecord) -> bool:
    """What a pool of ours meets in an outage is said by the calls that need it, as errors of ours."""
    told = record.args if isinstance(record.args, tuple) else ()
    if not any(each == _POOL or isinstance(each, _Pooled) for each in told):
        return True
    _logger.debug("%s", record.getMessage())
    return False


# psycopg_pool 3.3 warns at each attempt; where a program has set up no logging, that goes to stderr.
logging.getLogger("psycopg.pool").addFilter(_is_for_others)

_ALL: weakref.WeakSet[Connections] = weakref.WeakSet()
_LEFT_TO_THE_PARENT: list[Any] = []


def _forget_the_parents() -> None:
    for connections in list(_ALL):
        connections.forget()


if hasattr(os, "register_at_fork"):
    # Sockets, worker threads and held locks must not cross a fork. This runs in the child before any thread of it.
    os.register_at_fork(after_in_child=_forget_the_parents)


def _close(pools: list[ConnectionPool[Connection]]) -> None:
    for pool in pools:
        pool.close()
    pools.clear()


class Connections:
    """The connections of one database. Thread-safe; opens nothing before the first use."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.closed = False
        self.after_fork: list[Callable[[], None]] = []
        self._start()
        _ALL.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._pools: list[ConnectionPool[Connection]] = []
        # What is open is closed when its owner goes or the program ends.
        self._finalizer = weakref.finalize(self, _close, self._pools)

    def forget(self) -> None:
        """In a forked child: leave the parent's connections alone, neither used nor closed, and begin anew."""
        self._finalizer.detach()
        _LEFT_TO_THE_PARENT.append(self._pools)
        self._start()
        for reset in self.after_fork:
            reset()

    def opened(self) -> Opened:
        """What was found when the database was opened, which the first call does.

        Raises:
            BackendUnavailableError: It cannot be reached, or a newer memweld wrote it.
            ConfigurationError: It is no database for us, or its schema is older.
        """
        with self._lock:
            if self.closed:
                raise BackendUnavailableError(f"{self.address.where} is closed; connect again.")
            if self._opened is None:
                # Not by the pool, which tells nobody why it cannot connect.
                with contextlib.closing(connect(self.address, autocommit=True)) as connection:
                    self._opened = open_schema(connection, self.address)
                self._pools.append(self._make_pool(self._opened))
            return self._opened

    def _make_pool(self, opened: Opened) -> ConnectionPool[Connection]:
        def configure(connection: Connection) -> None:
            adapt(connection, opened.vector_type)

        # Transactions are begun by us, with their settings.
        return ConnectionPool(
            self.address.conninfo,
            connection_class=_Pooled,
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=1,
            max_size=self.address.pool_size,
            max_lifetime=1800,
            configure=configure,
            timeout=PATIENCE_SECONDS,
            name=_POOL,
            open=True,
        )

    def borrow(self, begin: Callable[[Connection], None]) -> Connection:
        """A connection on which ``begin`` has begun a transaction; tried on others while they turn out to be lost.

        After a restart of the server every idle connection is lost, and nothing was done on it yet.
        """
        self.opened()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            connection = self._take(deadline)
            try:
                begin(connection)
            except psycopg.OperationalError:
                lost = connection.closed
                self.give_back(connection)
                if not lost or time.monotonic() > deadline:
                    raise
            except BaseException:
                self.give_back(connection)
                raise
            else:
                return connection

    def _take(self, deadline: float) -> Connection:
        pools = self._pools
        if not pools:
            raise BackendUnavailableError(f"{self.address.where} is closed; connect again.")
        try:
            return pools[0].getconn(timeout=max(deadline - time.monotonic(), 0.1))
        except PoolTimeout:
            # Busy, or gone? Who tries knows.
            connect(self.address).close()
            raise

    def give_back(self, connection: Connection) -> None:
        """Take a connection back: rolled back where it is still in a transaction, closed where it is lost."""
        try:
            if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
        if self._pools:
            self._pools[0].putconn(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Close what nobody uses; what is in use is closed when it is given back."""
        with self._lock:
            self.closed = True
            self._opened = None
            _close(self._pools)

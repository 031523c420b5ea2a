"""Connections to one Postgres: opened at first use, pooled, renewed after a restart, left alone in forked children."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from ...errors import BackendUnavailableError
from ..fork import call_in_child
from .connection import RawConnection, adapt
from .schema import DatabaseInfo, connect, open_schema
from .url import Address

__all__ = ["PATIENCE_SECONDS", "PostgresPool"]

PATIENCE_SECONDS = 15.0
"""How long a call waits for a connection, and for a server that restarts, before it gives up."""

_POOL = "memweld"
_logger = logging.getLogger(__name__)
# The parent's pools, which a forked child neither uses nor closes.
_inherited: list[Any] = []


class _Pooled(psycopg.Connection[tuple[Any, ...]]):
    """A connection of a pool of ours, as the filter below knows it."""


def _is_for_others(record: logging.LogRecord) -> bool:
    """Whether a log record is of another pool: calls that need ours report its outages as errors of memweld."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    if not any(each == _POOL or isinstance(each, _Pooled) for each in arguments):
        return True
    _logger.debug("%s", record.getMessage())
    return False


# psycopg_pool 3.3 warns at each attempt; where a program has set up no logging, that goes to stderr.
logging.getLogger("psycopg.pool").addFilter(_is_for_others)


class PostgresPool:
    """The connections of one database. Thread-safe; opens nothing before the first use."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.closed = False
        self._start()
        call_in_child(self._renew)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._opened: DatabaseInfo | None = None
        self._pool: ConnectionPool[RawConnection] | None = None
        self._finalizer: Any = None

    def _renew(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        _inherited.append(self._pool)
        self._start()

    def opened(self) -> DatabaseInfo:
        """The facts about the database, which the first call opens.

        Raises:
            BackendUnavailableError: It cannot be reached, or a newer memweld wrote it.
            ConfigurationError: It is no database for us, or its schema is older.
        """
        return self._open()[0]

    def _open(self) -> tuple[DatabaseInfo, ConnectionPool[RawConnection]]:
        with self._lock:
            if self.closed:
                raise BackendUnavailableError(f"{self.address.where} is closed; connect again.")
            if self._opened is None or self._pool is None:
                # Not by the pool, which does not say why it cannot connect.
                with contextlib.closing(connect(self.address, autocommit=True)) as connection:
                    self._opened = open_schema(connection, self.address)
                self._pool = self._make_pool(self._opened.vector_type)
                # Closed when its owner goes or the program ends.
                self._finalizer = weakref.finalize(self, self._pool.close)
            return self._opened, self._pool

    def _make_pool(self, vector_type: int) -> ConnectionPool[RawConnection]:
        def configure(connection: RawConnection) -> None:
            adapt(connection, vector_type)

        # We begin transactions ourselves, with their settings.
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

    def take(self, begin: Callable[[RawConnection], None]) -> RawConnection:
        """A connection on which ``begin`` has begun a transaction; tried on others while they turn out to be lost.

        After a restart of the server every idle connection is lost, and nothing was done on it yet.
        """
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

    def _take(self, deadline: float) -> RawConnection:
        try:
            return self._open()[1].getconn(timeout=max(deadline - time.monotonic(), 0.1))
        except PoolTimeout:
            # Busy, or gone? A new connection raises the cause.
            connect(self.address).close()
            raise

    def give_back(self, connection: RawConnection) -> None:
        """Take a connection back: rolled back where it is still in a transaction, closed where it is lost."""
        try:
            if not connection.closed and connection.info.transaction_status != TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
        with self._lock:
            pool = self._pool
        if pool is None:
            connection.close()
        else:
            pool.putconn(connection)

    def close(self) -> None:
        """Close what no thread uses; a connection in use is closed when it is given back."""
        with self._lock:
            self.closed = True
            pool, self._pool, self._opened = self._pool, None, None
        if pool is not None:
            self._finalizer.detach()
            pool.close()

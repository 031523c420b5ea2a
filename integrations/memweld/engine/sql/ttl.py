"""TTL: filters for live values and items, deletion of expired ones with all that goes with them."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timezone

from ...errors import MemweldError
from ...scope import Scope
from ..fork import BackgroundThread, RenewedLock
from . import owners
from .database import Connection, Database, now
from .dialect import UNLIMITED
from .mem0_entities import unlink

__all__ = ["ALIVE", "EXPIRED_ITEM", "PurgeSchedule", "delete_items", "now", "purge", "purge_all", "to_datetime"]

ALIVE = "(expires_at IS NULL OR expires_at > ?)"
"""The live rows of ``state``; its variable is `now`."""

EXPIRED_ITEM = (
    "(coalesce(items.expires_at, CASE WHEN items.kind = 'record' THEN (SELECT state.expires_at FROM state "
    "WHERE state.record = items.id AND state.owner = items.owner) END, 1e300) <= ?)"
)
"""The rows of ``items`` that have expired, or whose values have; its variable is `now`."""

_logger = logging.getLogger(__name__)
_ROWS = 100  # deleted along with a write
_USERS = 20  # purged in the background at a time
_BACKGROUND_SECONDS = 60.0


def to_datetime(seconds: float | None) -> datetime | None:
    """A time of the tables as a datetime in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def delete_items(connection: Connection, records: Sequence[tuple[int, str]]) -> None:
    """Delete items of deleted values, or expired ones: pairs of owner and item id."""
    if not records:
        return
    # The plus keeps SQLite from an index with more rows of the owner.
    connection.executemany("DELETE FROM items WHERE +owner = ? AND id = ?", records)
    for owner in {owner for owner, _ in records}:
        owners.note_removal(connection, owner)


def purge(database: Database, scope: Scope) -> int:
    """Delete the expired values and items of a scope; how many."""
    with database.reading(scope) as connection:
        # Most often there is nothing, and other writers need not wait for this.
        if not _has_expired(connection, database.moment):
            return 0
    with database.writing(scope) as connection:
        count = _delete_expired(connection, list(owners.contained(connection, scope)), UNLIMITED, database.moment)
    if count:
        database.shorten_log()
    return count


def purge_all(database: Database, *, users: int = UNLIMITED) -> int:
    """Delete what has expired of all users, or of so many, one after the other; how many values and items."""
    return sum(purge(database, scope) for scope in database.expired_roots(now(), users))


class PurgeSchedule:
    """Deletes some of what has expired along with writes, every few seconds.

    Where a write may not touch other users' rows, a thread purges some of those users, once a minute at most.

    Attributes:
        seconds: How often a write looks for expired values and items.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.seconds = database.dialect.purge_seconds
        self._looked = float("-inf")
        self._purged = time.monotonic()
        self._purging = RenewedLock()
        self._starting = RenewedLock()

    def purge_some(self, connection: Connection, scope: Scope) -> None:
        """In the transaction of a write for this scope. A look takes as long as half a write."""
        if self._is_due():
            self._purge(connection, scope)

    def follow(self, scope: Scope) -> None:
        """Behind a write of items for this scope, in a transaction of its own, and only where something has expired."""
        if self._is_due():
            try:
                with self._database.reading(scope) as connection:
                    has_expired = _has_expired(connection, self._database.moment)
                if has_expired:
                    with self._database.writing(scope) as connection:
                        self._purge(connection, scope)
                    self._database.shorten_log()
            except MemweldError as error:
                _logger.warning("What has expired is not deleted yet: %s", error)
            self.start()

    def _is_due(self) -> bool:
        moment = time.monotonic()
        if moment - self._looked < self.seconds:
            return False
        self._looked = moment
        return True

    def _purge(self, connection: Connection, scope: Scope) -> None:
        if self._database.dialect.purges_all:
            _delete_expired(connection, None, _ROWS, self._database.moment)
        elif mine := list(owners.contained(connection, scope)):
            _delete_expired(connection, mine, _ROWS, self._database.moment)

    def start(self) -> None:
        """Behind a write: begin to purge other users, if it is time."""
        if self._database.dialect.purges_all or time.monotonic() - self._purged < _BACKGROUND_SECONDS:
            return
        with self._starting:
            if time.monotonic() - self._purged < _BACKGROUND_SECONDS:
                return
            self._purged = time.monotonic()
        BackgroundThread(self._run, "purge").try_start()

    def _run(self) -> None:
        with self._purging:
            try:
                purge_all(self._database, users=_USERS)
            except MemweldError as error:
                if not self._database.closed:
                    _logger.warning("What has expired of other users is not deleted yet: %s", error)


def _has_expired(connection: Connection, at: float) -> bool:
    """Whether there are expired rows among those that the connection sees."""
    found = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE expires_at <= ?" for table in ("state", "items"))
    return connection.execute(f"{found} LIMIT 1", (at, at)).fetchone() is not None


def _delete_expired(connection: Connection, of: Sequence[int] | None, limit: int, at: float) -> int:
    among = "" if of is None else f" AND owner IN ({', '.join('?' * len(of)) or 'NULL'})"
    rows = connection.execute(
        f"SELECT seq, owner, record FROM state WHERE expires_at <= ?{among} LIMIT ?", (at, *(of or ()), limit)
    ).fetchall()
    if rows:
        connection.executemany("DELETE FROM state WHERE seq = ?", [(row[0],) for row in rows])
        delete_items(connection, [(row[1], row[2]) for row in rows if row[2] is not None])
    return len(rows) + _delete_expired_items(connection, among, of, limit, at)


def _delete_expired_items(connection: Connection, among: str, of: Sequence[int] | None, limit: int, at: float) -> int:
    """Delete expired items. Their versions and sources have the same end (``versions.end_with``)."""
    rows = connection.execute(
        "SELECT items.owner, items.id, user_id, agent_id FROM items JOIN owners ON owners.id = items.owner "
        f"WHERE items.expires_at <= ?{among.replace('owner', 'items.owner')} LIMIT ?",
        (at, *(of or ()), limit),
    ).fetchall()
    delete_items(connection, [(row[0], row[1]) for row in rows])
    for _, memory_id, user_id, agent_id in rows:
        unlink(connection, Scope.stored(user_id or None, agent_id or None), memory_id)
    return len(rows)

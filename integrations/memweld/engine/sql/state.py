"""State: JSON values by owner, namespace and key, written and deleted together with their records."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...models import JSON, ValueWrite
from ...scope import Scope
from ...validation import dump_json, utc_now
from ..operations import PutValue, StoredValue
from . import owners
from .database import Connection, Database
from .ttl import ALIVE, drop_records, moment, now, sweep

__all__ = ["SWEPT_ALONG", "Keep", "Values"]

Keep: TypeAlias = Callable[["PutValue | ValueWrite", "str | None"], str]
"""Stores the text of a write in the open transaction, in the item that is named or a new one; the item's id."""

SWEPT_ALONG = 100

_GET = f"SELECT value, version FROM state WHERE owner = {owners.OWNER} AND namespace = ? AND key = ? AND {ALIVE}"

# It names no column of an index but in its conditions: SQLite would write the pages of the indexes as well.
_REPLACE_VERSION = (
    f"UPDATE state SET version = version + 1, value = ?, updated_at = ? WHERE owner = {owners.OWNER} AND namespace = ? "
    "AND key = ? AND record IS NULL AND ttl IS NULL AND expires_at IS NULL AND version = ? RETURNING version"
)
_REPLACE = _REPLACE_VERSION.replace("AND version = ? ", "")


class Values:
    """The state of all scopes.

    Attributes:
        sweep_seconds: How often a write deletes what has expired.
    """

    sweep_seconds = 1.0
    _swept = -math.inf

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value and its version."""
        row = self._database.first(_GET, (*owners.columns(scope), namespace, key, now()))
        return StoredValue(json.loads(row[0]), row[1]) if row else None

    def put(self, scope: Scope, write: PutValue, keep: Keep) -> int | None:
        """Store the value and its text; its new version, or None where the stored version is not ``if_version``."""
        if_version = write.if_version
        with self._database.writing() as connection:
            self.sweep_along(connection, scope)
            version = _replace(connection, scope, write, if_version)
            if version is None:
                if if_version and owners.find(connection, scope) is None:
                    return None
                version = _put(connection, owners.claim(connection, scope).id, write, keep)
            return version

    def write(self, scope: Scope, writes: Sequence[ValueWrite], keep: Keep) -> None:
        """Store and delete values in one transaction."""
        with self._database.writing() as connection:
            self.sweep_along(connection, scope)
            # Nobody becomes known by deleting.
            claim = owners.find if all(write.delete for write in writes) else owners.claim
            owner = claim(connection, scope)
            if owner is None:
                return
            for write in writes:
                if write.delete:
                    _delete(connection, owner.id, write.namespace, write.key)
                else:
                    _put(connection, owner.id, write, keep)

    def delete(self, scope: Scope, namespace: str, key: str, *, if_version: int | None = None) -> bool:
        """Remove the key and its record, where the version is not another one; whether it was there."""
        with self._database.writing() as connection:
            owner = owners.find(connection, scope)
            return owner is not None and _delete(connection, owner.id, namespace, key, if_version)

    def delete_record(self, connection: Connection, record: str) -> None:
        """Delete the value whose record this item was."""
        connection.execute("DELETE FROM state WHERE record = ?", (record,))

    def delete_records(self, connection: Connection, scope: Scope) -> None:
        """Delete all values of the scope that have records."""
        for owner in owners.contained(connection, scope):
            connection.execute("DELETE FROM state WHERE owner = ? AND record IS NOT NULL", (owner,))

    def sweep_along(self, connection: Connection, scope: Scope) -> None:
        """Delete some of what has expired, in the transaction of a write for this scope; now and then.

        Nobody sees it meanwhile, and to look for it takes as long as half a write.
        """
        moment = time.monotonic()
        if moment - self._swept >= self.sweep_seconds:
            self._swept = moment
            self.sweep_some(connection, scope)

    def sweep_some(self, connection: Connection, scope: Scope) -> None:  # noqa: ARG002 - one file has one writer
        """Delete some of what has expired."""
        sweep(connection, now(), limit=SWEPT_ALONG)

    def sweep(self, scope: Scope | None) -> int:
        """Delete what has expired, of a scope or of all; how many values."""
        with self._database.reading() as connection:
            # Most often there is nothing, and other writers need not wait for this.
            if connection.execute("SELECT 1 FROM state WHERE expires_at <= ? LIMIT 1", (now(),)).fetchone() is None:
                return 0
        with self._database.writing() as connection:
            mine = None if scope is None else list(owners.contained(connection, scope))
            return sweep(connection, now(), owners=mine)

    def export(self, scope: Scope) -> list[dict[str, JSON]]:
        """Every value that the scope contains."""
        names = ("namespace", "key", "value", "created_at", "updated_at", "ttl", "expires_at")
        exported: list[dict[str, JSON]] = []
        with self._database.reading() as connection:
            for owner, agent_id in owners.contained(connection, scope).items():
                rows = connection.execute(
                    f"SELECT {', '.join(names)} FROM state WHERE owner = ? AND {ALIVE} ORDER BY seq",
                    (owner, now()),
                )
                for row in rows:
                    fields = dict(zip(names, row, strict=True))
                    fields["value"] = json.loads(fields["value"])
                    ends = moment(fields.pop("expires_at"))
                    fields |= {} if ends is None else {"expires_at": ends.isoformat()}
                    if fields["ttl"] is None:
                        del fields["ttl"]
                    exported.append({"agent_id": agent_id, **fields})
        return exported


def _replace(connection: Connection, scope: Scope, write: PutValue, if_version: int | None) -> int | None:
    """Replace a value by the one statement that is enough where neither has a text or an end; None where it is not."""
    if write.text is not None or write.ttl is not None:
        return None
    written = (dump_json(write.value), utc_now().isoformat())
    place = (*owners.columns(scope), write.namespace, write.key)
    statement, versions = (_REPLACE, ()) if if_version is None else (_REPLACE_VERSION, (if_version,))
    row = connection.execute(statement, (*written, *place, *versions)).fetchone()
    return None if row is None else int(row[0])


def _put(connection: Connection, owner: int, write: PutValue | ValueWrite, keep: Keep) -> int | None:
    if_version, in_place = (write.if_version, write.in_place) if isinstance(write, PutValue) else (None, False)
    place, at = (owner, write.namespace, write.key), now()
    held = connection.execute(
        "SELECT seq, version, record, expires_at FROM state WHERE owner = ? AND namespace = ? AND key = ?", place
    ).fetchone()
    if held is not None and held[3] is not None and held[3] <= at:
        _delete(connection, *place)
        held = None
    if if_version is not None and if_version != (0 if held is None else held[1]):
        return None
    if in_place and held is not None:
        written = (dump_json(write.value), utc_now().isoformat(), held[0])
        connection.execute("UPDATE state SET version = version + 1, value = ?, updated_at = ? WHERE seq = ?", written)
        return int(held[1]) + 1
    record = None if held is None else held[2]
    if write.text is not None:
        record = keep(write, record)
    elif record is not None:
        drop_records(connection, [(owner, record)])
        record = None
    ends = None if write.ttl is None else at + write.ttl
    written = (dump_json(write.value), utc_now().isoformat(), write.ttl, ends, record)
    if held is None:
        # It begins anywhere, so that a key that was deleted and set again is never taken for unchanged.
        version = random.getrandbits(48) + 1
        connection.execute(
            "INSERT INTO state "
            "(owner, namespace, key, version, created_at, value, updated_at, ttl, expires_at, record) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, version, written[1], *written),
        )
        return version
    connection.execute(
        "UPDATE state SET version = version + 1, value = ?, updated_at = ?, ttl = ?, expires_at = ?, record = ? "
        "WHERE seq = ?",
        (*written, held[0]),
    )
    return int(held[1]) + 1


def _delete(connection: Connection, owner: int, namespace: str, key: str, if_version: int | None = None) -> bool:
    unchanged, version = ("", ()) if if_version is None else (" AND version = ?", (if_version,))
    gone = connection.execute(
        f"DELETE FROM state WHERE owner = ? AND namespace = ? AND key = ?{unchanged} RETURNING record, {ALIVE}",
        (owner, namespace, key, *version, now()),
    ).fetchall()
    drop_records(connection, [(owner, row[0]) for row in gone if row[0] is not None])
    return any(row[1] for row in gone)

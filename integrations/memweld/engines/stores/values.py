"""State: JSON values by owner, namespace and key."""

from __future__ import annotations

import json
import random

from ...checks import dump_json, utc_now
from ...engine import StoredValue
from ...models import JSON
from ...scope import Scope
from . import owners
from .sqlite import SqliteDatabase

__all__ = ["Values"]

_MINE = "owner = (SELECT id FROM owners WHERE user_id = ? AND agent_id = ?)"


def _who(scope: Scope) -> tuple[str, str]:
    return scope.user_id or "", scope.agent_id or ""


class Values:
    """The state of all scopes."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def get(self, scope: Scope, namespace: str, key: str) -> StoredValue | None:
        """The value and its version."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT value, version FROM state WHERE {_MINE} AND namespace = ? AND key = ?",
                (*_who(scope), namespace, key),
            ).fetchone()
        return None if row is None else StoredValue(json.loads(row[0]), row[1])

    def put(self, scope: Scope, namespace: str, key: str, value: JSON, *, if_version: int | None) -> int | None:
        """Store the value; its new version, or None where the stored version is not ``if_version``."""
        text, now = dump_json(value), utc_now().isoformat()
        with self._database.writing() as connection:
            owner = owners.claim(connection, scope).id
            first = random.getrandbits(48) + 1
            if if_version == 0:
                written = connection.execute(
                    "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING version",
                    (owner, namespace, key, text, first, now),
                ).fetchone()
            elif if_version is not None:
                written = connection.execute(
                    "UPDATE state SET value = ?, version = version + 1, updated_at = ? "
                    "WHERE owner = ? AND namespace = ? AND key = ? AND version = ? RETURNING version",
                    (text, now, owner, namespace, key, if_version),
                ).fetchone()
            else:
                written = connection.execute(
                    "INSERT INTO state VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (owner, namespace, key) DO UPDATE "
                    "SET value = excluded.value, version = version + 1, updated_at = excluded.updated_at "
                    "RETURNING version",
                    (owner, namespace, key, text, first, now),
                ).fetchone()
        return None if written is None else int(written[0])

    def delete(self, scope: Scope, namespace: str, key: str) -> bool:
        """Remove the key; whether it was there."""
        with self._database.writing() as connection:
            cursor = connection.execute(
                f"DELETE FROM state WHERE {_MINE} AND namespace = ? AND key = ?",
                (*_who(scope), namespace, key),
            )
            return cursor.rowcount > 0

    def keys(self, scope: Scope, namespace: str) -> list[str]:
        """The keys of a namespace, sorted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT key FROM state WHERE {_MINE} AND namespace = ? ORDER BY key",
                (*_who(scope), namespace),
            ).fetchall()
        return [row[0] for row in rows]

    def export(self, scope: Scope) -> list[dict[str, JSON]]:
        """Every value that the scope contains."""
        exported: list[dict[str, JSON]] = []
        with self._database.reading() as connection:
            for owner, agent_id in owners.contained(connection, scope).items():
                rows = connection.execute(
                    "SELECT namespace, key, value, updated_at FROM state WHERE owner = ?", (owner,)
                )
                exported += [
                    {
                        "agent_id": agent_id,
                        "namespace": namespace,
                        "key": key,
                        "value": json.loads(value),
                        "updated_at": updated_at,
                    }
                    for namespace, key, value, updated_at in rows
                ]
        return exported

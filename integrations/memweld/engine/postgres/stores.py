"""Where the embedded stores would not do on Postgres: expired values of others, and conditions on values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models import JSON
from ...scope import Scope
from ...validation import dump_json
from ..sql import owners
from ..sql.database import Connection
from ..sql.state import SWEPT_ALONG, Values
from ..sql.state_queries import COLUMNS, Catalogue
from ..sql.ttl import ALIVE, now, sweep
from ..sqlite.functions import value_fits

__all__ = ["PostgresCatalogue", "PostgresValues"]

_PAGE = 500


class PostgresValues(Values):
    """The state of all scopes. A write deletes what has expired of its own user alone, whose lock it holds."""

    # Each look is a trip to the server.
    sweep_seconds = 5.0

    def sweep_some(self, connection: Connection, scope: Scope) -> None:
        """Delete some of what has expired of the scope."""
        mine = list(owners.contained(connection, scope))
        if mine:
            sweep(connection, now(), owners=mine, limit=SWEPT_ALONG)


class PostgresCatalogue(Catalogue):
    """The state of all scopes, for readers. Conditions are decided here: Postgres knows no functions of ours."""

    def _fitting(
        self,
        connection: Connection,
        place: tuple[int, str],
        where: Mapping[str, JSON] | None,
        offset: int,
        limit: int,
    ) -> list[Any]:
        if not where:
            return super()._fitting(connection, place, where, offset, limit)
        conditions = dump_json(where)
        found: list[Any] = []
        last = 0
        while True:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM state WHERE owner = ? AND namespace = ? AND seq > ? AND {ALIVE} "
                "ORDER BY seq LIMIT ?",
                (*place, last, now(), _PAGE),
            ).fetchall()
            found += [row for row in rows if value_fits(row[2], conditions)]
            if len(rows) < _PAGE or (limit >= 0 and len(found) >= limit + offset):
                return found if limit < 0 else found[: limit + offset]
            last = rows[-1][8]

"""The operator's view of a SQL database: its users, its health, and work for all users."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from ...errors import ConfigurationError
from ...scope import Scope
from ..protocol import EngineAdmin, HealthCheck, Migration, Progress, StoreUsage
from .database import Database
from .export import list_scopes
from .outbox import Outbox, TargetName
from .ttl import purge_all

__all__ = ["SqlAdmin"]


class SqlAdmin(EngineAdmin):
    """The operator's view of the tables.

    Args:
        database: The tables.
        reindex: Embeds all memories again (see `EngineAdmin.reindex`).
        index_bytes: Says how much RAM the indexes take.
    """

    def __init__(
        self, database: Database, reindex: Callable[[Progress | None], int], index_bytes: Callable[[], int]
    ) -> None:
        self._database = database
        self._reindex = reindex
        self._index_bytes = index_bytes

    def ping(self) -> None:
        """Read from the tables."""
        with self._database.reading_all() as connection:
            connection.execute("SELECT 1 FROM meta LIMIT 1").fetchone()

    def usage(self) -> StoreUsage:
        """The RAM of the indexes, and the changes that wait."""
        waiting: dict[str, int] = {}
        if not self._database.is_secured:
            waiting = {target: Outbox(self._database, target).pending().count for target in get_args(TargetName)}
        return StoreUsage(index_bytes=self._index_bytes(), waiting=waiting)

    def list_scopes(self, *, after: Scope | None, limit: int) -> list[Scope]:
        """The scopes for which something was stored.

        Raises:
            ConfigurationError: Row-level security is in force, and shows one user at a time.
        """
        self._database.validate_sees_all("the list of users")
        return list_scopes(self._database, after=after, limit=limit)

    def purge_expired(self) -> int:
        """Delete the expired state values of all users."""
        return purge_all(self._database)

    def reindex(self, progress: Progress | None = None) -> int:
        """Embed all memories again with this embedder; how many, 0 if they are of it already."""
        return self._reindex(progress)

    def graph_backlog(self) -> int | None:
        """How many changes wait for a graph; None where there never was one, or where this role may not see it."""
        if self._database.is_secured:
            return None
        outbox = Outbox(self._database)
        waiting = outbox.pending().count
        return waiting if waiting or outbox.store() is not None else None

    def detach_graph(self) -> int:
        """Drop the changes that wait for a graph; how many waited.

        Raises:
            ConfigurationError: The role of the URL may not do this.
        """
        if self._database.is_secured:
            raise ConfigurationError(
                f"{self._database.where}: row-level security is in force for this role. Detach the graph with one that "
                "sees all users (a superuser, or BYPASSRLS)."
            )
        return Outbox(self._database).detach()

    def migrate(self, *, role: str | None = None, signed: bool = False) -> Migration | None:
        """Bring the tables of a server to what this memweld works with; None where there is nothing to do."""
        return self._database.migrate(role=role, signed=signed)

    def health(self) -> list[HealthCheck]:
        """Findings about a database server. Changes nothing."""
        return self._database.health()

"""Which embedder made a file's vectors: recorded with the first vector, compared at every later use."""

from __future__ import annotations

from ...errors import ConfigurationError
from ..sql.database import Connection, Database

__all__ = ["CHANGING", "EmbedderCheck"]

CHANGING = ", not yet"
"""Follows the name of an embedder whose vectors are replacing another's."""


class EmbedderCheck:
    """Compares the embedder of this process with the one that made the file's vectors.

    Args:
        database: The file.
        fingerprint: The embedder of this process.
    """

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._where = database.where
        self._fingerprint = fingerprint

    def record(self, connection: Connection, dimensions: int) -> None:
        """Record this process's embedder in a file that has none. A writer calls this before it stores vectors.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        stored = self.stored(connection)
        if stored is None:
            name = self.name(dimensions)
            connection.execute("INSERT INTO meta VALUES ('embedder', ?) ON CONFLICT DO NOTHING", (name,))
            stored = self.stored(connection)
        self._compare(stored, dimensions)

    def verify(self, connection: Connection, dimensions: int) -> None:
        """Make sure that the file's vectors are of this embedder. A search calls this before it compares vectors.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        self._compare(self.stored(connection), dimensions)

    def stored(self, connection: Connection) -> str | None:
        """The name of the embedder that made the file's vectors; None while the file has none."""
        row = connection.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
        return None if row is None else str(row[0])

    def name(self, dimensions: int) -> str:
        """The name under which files record the embedder of this process."""
        return f"{self._fingerprint} ({dimensions} dimensions)"

    def _compare(self, stored: str | None, dimensions: int) -> None:
        if stored is not None and stored.endswith(CHANGING):
            raise ConfigurationError(
                f"{self._where} is being given the embedder {stored.removesuffix(CHANGING)!r}: try again when `memweld "
                "reindex` has finished, or run it again with this embedder if it was interrupted."
            )
        if stored is not None and stored != self.name(dimensions):
            raise ConfigurationError(
                f"{self._where} holds vectors of the embedder {stored!r}, which cannot be compared with those of "
                f"{self.name(dimensions)!r}: connect with the embedder of the file, or run `memweld reindex` "
                "with the new one, which embeds the memories again."
            )

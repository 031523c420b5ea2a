"""Which embedder a file's vectors are of: said with the first of them, and compared with every later one."""

from __future__ import annotations

import sqlite3

from ...errors import ConfigurationError
from ..stores.sqlite import SqliteDatabase

__all__ = ["EmbedderOfFile"]


class EmbedderOfFile:
    """The embedder of this process and the one of the file, which must be the same.

    Args:
        database: The file.
        fingerprint: The embedder of this process.
    """

    def __init__(self, database: SqliteDatabase, fingerprint: str) -> None:
        self._where = database.where
        self._fingerprint = fingerprint

    def __deepcopy__(self, memo: dict[int, object]) -> EmbedderOfFile:
        # mem0 2.2 copies the configuration of its vector store.
        return self

    def claim(self, connection: sqlite3.Connection, dimensions: int) -> None:
        """Before vectors are written: say which embedder they are of, or compare with what the file says.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        connection.execute("INSERT INTO meta VALUES ('embedder', ?) ON CONFLICT DO NOTHING", (self._named(dimensions),))
        self.check(connection, dimensions)

    def check(self, connection: sqlite3.Connection, dimensions: int) -> None:
        """Before vectors are compared: they must be of one embedder.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        row = connection.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
        if row is not None and row[0] != self._named(dimensions):
            raise ConfigurationError(
                f"{self._where} holds vectors of the embedder {row[0]!r}, which cannot be compared with those of "
                f"{self._named(dimensions)!r}: connect with the embedder of the file, or use another file."
            )

    def _named(self, dimensions: int) -> str:
        return f"{self._fingerprint} ({dimensions} dimensions)"

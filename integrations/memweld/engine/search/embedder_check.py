"""Which embedder a file's vectors are of: said with the first of them, and compared with every later one."""

from __future__ import annotations

from ...errors import ConfigurationError
from ..sql.database import Connection, Database

__all__ = ["CHANGING", "EmbedderOfFile"]

CHANGING = ", not yet"
"""Behind the name of an embedder whose vectors are being put in the place of another's."""


class EmbedderOfFile:
    """The embedder of this process and the one of the file, which must be the same.

    Args:
        database: The file.
        fingerprint: The embedder of this process.
    """

    def __init__(self, database: Database, fingerprint: str) -> None:
        self._where = database.where
        self._fingerprint = fingerprint

    def claim(self, connection: Connection, dimensions: int) -> None:
        """Before vectors are written: say which embedder they are of, or compare with what the file says.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        held = self.held(connection)
        if held is None:
            named = self.named(dimensions)
            connection.execute("INSERT INTO meta VALUES ('embedder', ?) ON CONFLICT DO NOTHING", (named,))
            held = self.held(connection)
        self._compare(held, dimensions)

    def check(self, connection: Connection, dimensions: int) -> None:
        """Before vectors are compared: they must be of one embedder.

        Raises:
            ConfigurationError: The file holds vectors of another embedder.
        """
        self._compare(self.held(connection), dimensions)

    def _compare(self, held: str | None, dimensions: int) -> None:
        if held is not None and held.endswith(CHANGING):
            raise ConfigurationError(
                f"{self._where} is being given the embedder {held.removesuffix(CHANGING)!r}: try again when `memweld "
                "reindex` has finished, or run it again with this embedder if it was interrupted."
            )
        if held is not None and held != self.named(dimensions):
            raise ConfigurationError(
                f"{self._where} holds vectors of the embedder {held!r}, which cannot be compared with those of "
                f"{self.named(dimensions)!r}: connect with the embedder of the file, or run `memweld reindex` "
                "with the new one, which embeds the memories again."
            )

    def held(self, connection: Connection) -> str | None:
        """The embedder of the file's vectors; None while it has none."""
        row = connection.execute("SELECT value FROM meta WHERE key = 'embedder'").fetchone()
        return None if row is None else str(row[0])

    def named(self, dimensions: int) -> str:
        """The embedder of this process, as files name it."""
        return f"{self._fingerprint} ({dimensions} dimensions)"

"""Changing a file's embedder: new vectors are made beside the old ones, in batches, and take their place at the end.

Until then the old embedder works on as before, in all processes; afterwards it is refused. What is interrupted is
continued by the next call. Triggers in the file drop a new vector whose memory is changed or deleted meanwhile,
whichever process does it, so that it is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ...errors import ConfigurationError
from ..protocol import Progress
from ..sql.database import Connection, Database
from .embedder_check import EmbedderCheck
from .embedders import GuardedEmbedding, as_bytes

__all__ = ["Progress", "Reindexing"]


_BATCH = 64
# Others do not wait for the embedder, unless they write so often that there is always a vector missing.
_ROUNDS = 20
# Tables with vectors: their rows' place, and what of them is embedded. mem0 2.2 keeps the text of an entity as "data".
_TABLES = {"items": ("seq", "text", "text"), "entities": ("place", "payload", "json_extract(payload, '$.data')")}
_TRIGGERS = [f"reindexed_{table}_{event}" for table in _TABLES for event in ("deleted", "changed")]

_Row: TypeAlias = tuple[int, str, str]


class Reindexing:
    """Gives the vectors of a file to another embedder.

    Args:
        database: The file.
        embedding: The new embedder.
        claim: Which embedder the file's vectors are of.
    """

    def __init__(self, database: Database, embedding: GuardedEmbedding, claim: EmbedderCheck) -> None:
        self._database = database
        self._embedding = embedding
        self._claim = claim

    def run(self, progress: Progress | None = None) -> int:
        """Embed everything again unless it is of this embedder already; how many vectors the file has then, else 0.

        Raises:
            BackendUnavailableError: The embedder fails; what was done stays done.
            ConfigurationError: Somebody began to reindex the same file for another embedder meanwhile.
        """
        target = self._claim.name(len(self._embedding.embed("memory")))
        with self._database.writing() as connection:
            if self._claim.stored(connection) in (None, target):
                _clean(connection)
                return 0
            _begin(connection, target)
        rounds = 0
        while True:
            for table in _TABLES:
                self._sweep(table, target, progress)
            rounds += 1
            done = self._finish(target, waits=rounds > _ROUNDS)
            if done is not None:
                return done

    def _sweep(self, table: str, target: str, progress: Progress | None) -> None:
        """Make the vectors that are missing, in the order of the rows."""
        place = -1
        while True:
            with self._database.reading() as connection:
                self._check(connection, target)
                rows = _missing(connection, table, place)
                vectors = connection.execute("SELECT count(*) FROM reindexed").fetchone()[0] if rows else 0
                total = sum(_count(connection, each) for each in _TABLES) if rows else 0
            if not rows:
                return
            place = rows[-1][0]
            packed = self._packed(rows)
            with self._database.writing() as connection:
                self._check(connection, target)
                _store(connection, table, rows, packed)
            if progress is not None:
                progress(min(vectors + len(rows), total), total)

    def _finish(self, target: str, *, waits: bool) -> int | None:
        """Put the new vectors in the place of the old; None if some are missing.

        Args:
            target: The new embedder.
            waits: Make a few that are missing while other writers wait.
        """
        with self._database.writing() as connection:
            self._check(connection, target)
            for table in _TABLES:
                rows = _missing(connection, table, -1)
                if len(rows) == _BATCH or (rows and not waits):
                    return None
                if rows:
                    _store(connection, table, rows, self._packed(rows))
            for table, (key, _, _) in _TABLES.items():
                connection.execute(
                    f"UPDATE {table} SET vector = (SELECT vector FROM reindexed AS made "
                    f"WHERE made.source = '{table}' AND made.place = {table}.{key})"
                )
            done = sum(_count(connection, table) for table in _TABLES)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (target,))
            # Every cached index is read anew.
            connection.execute("UPDATE items SET stamp = (SELECT version + 1 FROM owners WHERE owners.id = items.root)")
            connection.execute("UPDATE owners SET version = version + 1")
            _clean(connection)
        return done

    def _packed(self, rows: Sequence[_Row]) -> list[bytes]:
        return [as_bytes(vector) for vector in self._embedding.embed_batch([row[2] for row in rows])]

    def _check(self, connection: Connection, target: str) -> None:
        row = connection.execute("SELECT value FROM meta WHERE key = 'reindex'").fetchone()
        if row is None or row[0] != target:
            raise self._elsewhere(None if row is None else row[0])

    def _elsewhere(self, begun: str | None) -> ConfigurationError:
        state = "has finished" if begun is None else f"is at work for {begun!r}"
        return ConfigurationError(
            f"Somebody else reindexes {self._database.where}, and {state}: look which embedder it has now, "
            "or try again."
        )


def _begin(connection: Connection, target: str) -> None:
    """Make the place for new vectors, or find that of the attempt before."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'reindex'").fetchone()
    if row is not None and row[0] == target:
        return
    _clean(connection)
    connection.execute("INSERT INTO meta VALUES ('reindex', ?)", (target,))
    connection.execute(
        "CREATE TABLE reindexed (source TEXT NOT NULL, place INTEGER NOT NULL, vector BLOB NOT NULL, "
        "PRIMARY KEY (source, place)) WITHOUT ROWID"
    )
    for table, (key, column, _) in _TABLES.items():
        forget = f"DELETE FROM reindexed WHERE source = '{table}' AND place = old.{key}"
        connection.execute(f"CREATE TRIGGER reindexed_{table}_deleted AFTER DELETE ON {table} BEGIN {forget}; END")
        connection.execute(
            f"CREATE TRIGGER reindexed_{table}_changed AFTER UPDATE OF {column} ON {table} BEGIN {forget}; END"
        )


def _clean(connection: Connection) -> None:
    for trigger in _TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    connection.execute("DROP TABLE IF EXISTS reindexed")
    connection.execute("DELETE FROM meta WHERE key = 'reindex'")


def _missing(connection: Connection, table: str, behind: int) -> list[_Row]:
    """The next rows without a new vector: place, content as it stands, and the text to be embedded."""
    key, column, text = _TABLES[table]
    return connection.execute(
        f"SELECT {key}, {column}, coalesce({text}, '') FROM {table} AS row WHERE {key} > ? AND NOT EXISTS ("
        f"SELECT 1 FROM reindexed AS made WHERE made.source = '{table}' AND made.place = row.{key}) "
        f"ORDER BY {key} LIMIT {_BATCH}",
        (behind,),
    ).fetchall()


def _store(connection: Connection, table: str, rows: Sequence[_Row], packed: Sequence[bytes]) -> None:
    """Keep the vectors of those rows that still say what was embedded."""
    key, column, _ = _TABLES[table]
    connection.executemany(
        f"INSERT INTO reindexed SELECT '{table}', {key}, ? FROM {table} WHERE {key} = ? AND {column} = ? "
        "ON CONFLICT (source, place) DO UPDATE SET vector = excluded.vector",
        [(vector, row[0], row[1]) for row, vector in zip(rows, packed, strict=True)],
    )


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

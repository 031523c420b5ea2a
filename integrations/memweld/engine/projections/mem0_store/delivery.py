"""What a place of vectors has not been told yet, and telling it.

Triggers write a row for each change of an item, in the transaction of the change; the item's vector waits in it, and in
the table of items there is none. A row goes when the place has taken it. So what was acknowledged is never forgotten:
if the process ends, or the place does not answer, whoever writes or searches next delivers what waits. Both sides are
brought together by id, and to deliver twice changes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import BackendUnavailableError
from ...search.embedder_check import EmbedderCheck
from ...search.embedders import GuardedEmbedding
from ...sql.database import Connection, Database
from ...sql.items import ItemRow, Items
from .in_flight import Attempt, Bringing, attach_bringing
from .protocol import Mirror, Mirrored

__all__ = ["Delivery", "attach"]

logger = logging.getLogger("memweld.mem0")

_BATCH = 128
_CHUNK = 500
_PAUSE_SECONDS = (1.0, 60.0)
_SOME = 40
_PATIENCE_SECONDS = 10.0
_REFUSALS = 3  # of rows alone, after which it is not the rows

_TABLE = """
CREATE TABLE IF NOT EXISTS mem0_pending (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    item TEXT NOT NULL UNIQUE,
    vector BLOB NOT NULL
)
"""
_WAITS = (
    "DELETE FROM mem0_pending WHERE item = {row}.id; "
    "INSERT INTO mem0_pending (item, vector) VALUES ({row}.id, {vector})"
)
_TRIGGERS = {
    "AFTER INSERT": _WAITS.format(row="new", vector="new.vector") + "; UPDATE items SET vector = x'' WHERE id = new.id",
    "AFTER UPDATE OF stamp": (
        _WAITS.format(row="new", vector="new.vector")
        + "; UPDATE items SET vector = x'' WHERE id = new.id AND length(vector) > 0"
    ),
    "AFTER DELETE": _WAITS.format(row="old", vector="x''"),
}


# Only while the table's vectors are in such a place: the file may be given back to an embedder of its own.
_CLAIMED = "EXISTS (SELECT 1 FROM meta WHERE key = 'embedder' AND value LIKE '% in mem0 %')"


class _Waiting(NamedTuple):
    version: int
    item: str
    vector: bytes


def attach(connection: Connection) -> None:
    """Make the table and the triggers, where they are not there."""
    connection.execute(_TABLE)
    attach_bringing(connection)
    for event, body in _TRIGGERS.items():
        name = f"mem0_{event.split()[1].lower()}"
        connection.execute(f"CREATE TRIGGER IF NOT EXISTS {name} {event} ON items WHEN {_CLAIMED} BEGIN {body}; END")


class Delivery:
    """Brings what waits to its place.

    Args:
        database: The tables.
        mirror: The place.
        embedding: Makes the vectors that do not wait with their rows.
        claim: Which embedder the vectors are of.
    """

    def __init__(
        self,
        database: Database,
        mirror: Mirror,
        embedding: GuardedEmbedding,
        claim: EmbedderCheck,
    ) -> None:
        self._database = database
        self.mirror = mirror
        self._embedding = embedding
        self._claim = claim
        self._items = Items(database)
        self._bringing = Bringing(database)
        self._pause = 0.0
        self._not_before = 0.0

    def sometimes(self, *, patience: float = _PATIENCE_SECONDS) -> None:
        """Deliver, unless the place failed a moment ago; what goes wrong is logged, and waits for the next time.

        Args:
            patience: Seconds to wait for another thread that delivers.
        """
        if time.monotonic() < self._not_before:
            return
        try:
            self.run(batches=_SOME, patience=patience)
        except BackendUnavailableError as error:
            logger.warning("%s Nothing is lost; what waits is delivered when it answers.", error)

    def run(self, *, batches: int | None = None, patience: float = -1) -> int:
        """Deliver what waits at this moment; how many rows still wait because it is too early for them.

        Args:
            batches: How much at most; None: all.
            patience: Seconds to wait for another thread that delivers, after which nothing is done; -1: without end.

        Raises:
            BackendUnavailableError: The place does not take some of them; these go on waiting.
        """
        early, behind, refused = 0, 0, list[BackendUnavailableError]()
        self._bringing.retake()
        with self._database.reading() as connection:
            last = connection.execute("SELECT coalesce(max(version), 0) FROM mem0_pending").fetchone()[0]
        while behind < last and (batches is None or batches > 0) and len(refused) < _REFUSALS:
            batches = None if batches is None else batches - 1
            if not self.mirror.delivering.acquire(timeout=patience):
                break
            try:
                with self._bringing.attempt() as attempt:
                    waiting, found = self._read(behind, last, attempt)
                    behind = waiting[-1].version if len(waiting) == _BATCH else last
                    early += self._deliver(waiting, found, refused)
            finally:
                self.mirror.delivering.release()
        if refused:
            least, most = _PAUSE_SECONDS
            self._pause = min(max(2 * self._pause, least), most)
            self._not_before = time.monotonic() + self._pause
            self._bringing.failed(str(refused[-1]))
            raise refused[-1]
        self._bringing.failed(None)
        self._pause = self._not_before = 0.0
        return early

    def _read(
        self, behind: int, last: int, attempt: Attempt | None = None
    ) -> tuple[list[_Waiting], dict[str, tuple[ItemRow, int]]]:
        """The next rows that wait, and what their items say now, with their stamps."""
        with self._database.writing() as connection:
            rows = connection.execute(
                "SELECT version, item, vector FROM mem0_pending WHERE version > ? AND version <= ? "
                "ORDER BY version LIMIT ?",
                (behind, last, _BATCH),
            )
            waiting = [_Waiting(*row) for row in rows]
            found = self._items.of_anyone([each.item for each in waiting])
            if waiting and attempt is not None and not self.mirror.alone:
                attempt.begin(connection, [each.item for each in waiting])
        return waiting, {row.id: (row, stamp) for row, stamp in found}

    def _deliver(
        self,
        waiting: Sequence[_Waiting],
        found: dict[str, tuple[ItemRow, int]],
        refused: list[BackendUnavailableError],
    ) -> int:
        """One batch; of one that is refused each row alone, so that a single row does not keep the others waiting."""
        if len(waiting) > 1:
            with contextlib.suppress(BackendUnavailableError):
                return self._bring(waiting, found)
        early = 0
        for each in waiting:
            try:
                early += self._bring([each], found)
            except BackendUnavailableError as error:
                refused.append(error)
                if len(refused) == _REFUSALS:
                    break
        return early

    def _bring(self, waiting: Sequence[_Waiting], found: dict[str, tuple[ItemRow, int]]) -> int:
        gone = [each.item for each in waiting if each.item not in found]
        there = [each for each in waiting if each.item in found]
        early: set[str] = set()
        if gone:
            early |= set(self.mirror.drop(gone))
        if there:
            early |= set(self.mirror.put(self._with_vectors(there, found)))
        self._finish([each for each in waiting if each.item not in early], found)
        return len(early)

    def _with_vectors(self, waiting: Sequence[_Waiting], found: dict[str, tuple[ItemRow, int]]) -> list[Mirrored]:
        vectors: dict[str, Any] = {
            each.item: np.frombuffer(each.vector, dtype="<f4") for each in waiting if each.vector
        }
        without = [each.item for each in waiting if not each.vector]
        if without:
            made = self._embedding.embed_batch([found[item][0].text for item in without])
            vectors |= dict(zip(without, made, strict=True))
        return [Mirrored(found[each.item][0], vectors[each.item]) for each in waiting]

    def _finish(self, waiting: Sequence[_Waiting], found: dict[str, tuple[ItemRow, int]]) -> None:
        with self._database.writing() as connection:
            for each in waiting:
                connection.execute("DELETE FROM mem0_pending WHERE version = ?", (each.version,))
                stamp = found[each.item][1] if each.item in found else None
                now = connection.execute("SELECT stamp FROM items WHERE id = ?", (each.item,)).fetchone()
                if (None if now is None else now[0]) != stamp:
                    # It changed while it was brought, and another process may have brought the newer state before, and
                    # may not have said so yet: the number is a new one, so that it does not take this row with its own.
                    _wait_anew(connection, each.item)

    def repair(self) -> int:
        """Deliver all that waits, and what anybody has not finished; how many rows were delivered.

        Raises:
            BackendUnavailableError: The place does not take some of them; these go on waiting.
        """
        self._bringing.retake(whole=True)
        before = self.waiting()
        self.run()
        return before - self.waiting()

    def waiting(self, *, gone: bool = False) -> int:
        """How many rows wait; only those whose items are gone, if wanted, or may be put by somebody all the same."""
        some = (
            "(SELECT item FROM mem0_pending UNION SELECT item FROM mem0_bringing) "
            "WHERE item NOT IN (SELECT id FROM items)"
        )
        with self._database.reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM {some if gone else 'mem0_pending'}").fetchone()[0])

    def rebuild(self, progress: Callable[[int, int], object] | None = None) -> int:
        """Bring what the place lacks: everything for a new embedder or place, else what it has lost; how many rows."""
        dimensions = len(self._embedding.embed("memory"))
        named = self._claim.name(dimensions)
        with self._database.writing() as connection:
            total = int(connection.execute("SELECT count(*) FROM items").fetchone()[0])
            if self._claim.stored(connection) not in (None, named):
                connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (named,))
                connection.execute("DELETE FROM mem0_pending")
                connection.execute("UPDATE items SET vector = x''")
                connection.execute("INSERT INTO mem0_pending (item, vector) SELECT id, x'' FROM items ORDER BY seq")
                # Every cached index is read anew.
                connection.execute("UPDATE owners SET version = version + 1, cleared = version + 1")
        self._put_lost()
        before = self.waiting()
        while waiting := self.waiting():
            if self.run() >= waiting:
                break
            if progress is not None:
                progress(before - self.waiting(), max(before, total))
        return before - self.waiting()

    def _put_lost(self) -> None:
        place = 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    "SELECT seq, id FROM items WHERE seq > ? AND id NOT IN (SELECT item FROM mem0_pending) "
                    "ORDER BY seq LIMIT ?",
                    (place, _CHUNK),
                ).fetchall()
            if not rows:
                return
            place = rows[-1][0]
            lost = self.mirror.missing([row[1] for row in rows])
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT INTO mem0_pending (item, vector) VALUES (?, x'') ON CONFLICT DO NOTHING",
                    [(item,) for item in lost],
                )


def _wait_anew(connection: Connection, item: str) -> None:
    """Have an item brought again, with the vector that waits for it, if one does."""
    held = connection.execute("SELECT vector FROM mem0_pending WHERE item = ?", (item,)).fetchone()
    connection.execute("DELETE FROM mem0_pending WHERE item = ?", (item,))
    connection.execute(
        "INSERT INTO mem0_pending (item, vector) VALUES (?, ?)", (item, b"" if held is None else held[0])
    )

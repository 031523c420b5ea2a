"""Users with very many memories: candidates by HNSW and by words from the database, and the index that they get.

Below `Address.exact_below` a user's vectors are read into RAM once, followed by their changes and searched exactly.
Above it each search asks here. Until all vectors of such a user are in the HNSW index, which a thread of whoever
searches sees to, the database compares with every one of them: slower, and exact.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import MemweldError
from ...scope import Scope
from ..sql.candidates import Wanted
from ..sql.database import Connection

if TYPE_CHECKING:
    from .transactions import PostgresDatabase

__all__ = ["PostgresArchive", "Widening"]

_logger = logging.getLogger(__name__)

_CANDIDATES = 200
_LOOK = 200  # hnsw.ef_search: how many candidates pgvector keeps in sight
_NEIGHBOURS = 3  # as far as ranking.py lends
_MOST_TERMS = 16
_LONGEST_WORD = 2_046
_BATCH = 200
_MOMENT = "CASE WHEN key IS NULL THEN created_at ELSE updated_at END"  # as facts/index.py has it
_COLUMNS = f"seq, owner, kind, session_id, {_MOMENT}, text, vector"


class PostgresArchive:
    """The memories of one root, within a transaction that reads."""

    def __init__(self, connection: Connection, root: int, *, wide: bool, iterates: bool, home: str) -> None:
        self._connection = connection
        self._home = home
        self._root = root
        self._wide = wide
        self._iterates = iterates

    def total(self, owner: int | None) -> int:
        """How many memories there are, of this owner or of all of the root."""
        among, variables = self._among(owner)
        return int(self._connection.execute(f"SELECT count(*) FROM items WHERE {among}", variables).fetchone()[0])

    def counts(self, terms: Sequence[str], owner: int | None) -> Mapping[str, int]:
        """How many memories say each term, as far as Postgres's English dictionary agrees on what a term is."""
        known = [term for term in terms if _is_word(term)]
        if not known:
            return {}
        among, ids = self._among(owner)
        counted = ", ".join(f"(SELECT count(*) FROM items WHERE {among} AND words @@ ?::tsquery)" for _ in known)
        variables = [each for term in known for each in (*ids, _lexeme(term))]
        return dict(zip(known, self._connection.execute(f"SELECT {counted}", variables).fetchone(), strict=True))

    def candidates(self, weights: Mapping[str, float], vector: bytes, wanted: Wanted) -> list[tuple[Any, ...]]:
        """Memories that may fit best, and their neighbours (see ``Archive.candidates``)."""
        found = sorted({*self._by_meaning(vector, wanted), *self._by_words(weights, wanted)})
        if not found:
            return []
        places = f"ARRAY[{', '.join(map(str, found))}]::bigint[]"
        near = (
            f"SELECT n.seq FROM items c CROSS JOIN LATERAL (SELECT seq FROM items WHERE owner = c.owner AND "
            "session_id = c.session_id AND seq {comparison} c.seq ORDER BY seq {order} "
            f"LIMIT {_NEIGHBOURS}) n WHERE c.seq = ANY({places})"
        )
        condition, variables = self._conditions(wanted)
        return self._connection.execute(
            f"WITH wanted AS (SELECT unnest({places}) AS seq "
            f"UNION {near.format(comparison='<', order='DESC')} UNION {near.format(comparison='>', order='ASC')}) "
            f"SELECT {_COLUMNS}, (SELECT p.seq FROM items p WHERE p.owner = items.owner AND "
            "p.session_id = items.session_id AND p.seq < items.seq ORDER BY p.seq DESC LIMIT 1), "
            f"({condition}) FROM items JOIN wanted USING (seq) ORDER BY items.seq",
            variables,
        ).fetchall()

    def _by_meaning(self, vector: bytes, wanted: Wanted) -> list[int]:
        dimensions, home = len(vector) // 4, self._home
        if self._wide:
            # Without iteration a filter would be put to the first candidates of all users alone.
            iterated = ", set_config('hnsw.iterative_scan', 'relaxed_order', true)" if self._iterates else ""
            self._connection.execute(f"SELECT set_config('hnsw.ef_search', '{_LOOK}', true){iterated}")
        condition, variables = self._conditions(wanted)
        # The index's own condition.
        indexed = f" AND wide AND {home}.vector_dims(vector) = {dimensions}" if self._wide else ""
        rows = self._connection.execute(
            f"SELECT seq FROM items WHERE {condition}{indexed} "
            f"ORDER BY vector::{home}.vector({dimensions}) OPERATOR({home}.<=>) ?::{home}.vector({dimensions}) "
            f"LIMIT {_CANDIDATES}",
            (*variables, vector),
        )
        return [row[0] for row in rows]

    def _by_words(self, weights: Mapping[str, float], wanted: Wanted) -> list[int]:
        said = [term for term in weights if weights[term] > 0 and _is_word(term)]
        heaviest = sorted(said, key=lambda term: -weights[term])[:_MOST_TERMS]
        if not heaviest:
            return []
        condition, variables = self._conditions(wanted)
        worth = " + ".join("CASE WHEN words @@ ?::tsquery THEN ? ELSE 0 END" for _ in heaviest)
        rows = self._connection.execute(
            f"SELECT seq FROM items WHERE {condition} AND words @@ ?::tsquery "
            f"ORDER BY {worth} DESC, seq LIMIT {_CANDIDATES}",
            (
                *variables,
                " | ".join(_lexeme(term) for term in heaviest),
                *(each for term in heaviest for each in (_lexeme(term), float(weights[term]))),
            ),
        )
        return [row[0] for row in rows]

    def _conditions(self, wanted: Wanted) -> tuple[str, list[Any]]:
        condition, variables = self._among(wanted.owner)
        return f"{condition}{wanted.condition}", [*variables, *wanted.variables]

    def _among(self, owner: int | None) -> tuple[str, list[Any]]:
        return ("root = ?", [self._root]) if owner is None else ("root = ? AND owner = ?", [self._root, owner])


def _is_word(term: str) -> bool:
    """Whether a tsvector can hold it: Postgres leaves longer words out."""
    return len(term.encode()) < _LONGEST_WORD


def _lexeme(term: str) -> str:
    """The term as a tsquery of one word, taken literally."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


class Widening:
    """Puts the vectors of a user with very many memories into the HNSW index, in the background and in small steps.

    Whoever is ended in the middle leaves a beginning; the next search goes on with it.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database = database
        self.begin()

    def begin(self) -> None:
        """Forget what is under way, which a fork leaves behind."""
        self._lock = threading.Lock()
        self._working: set[int] = set()

    def start(self, scope: Scope, root: int) -> None:
        """See to it, unless this process does so already."""
        with self._lock:
            if root in self._working:
                return
            self._working.add(root)
        threading.Thread(target=self._run, args=(scope, root), name="memweld-hnsw", daemon=True).start()

    def _run(self, scope: Scope, root: int) -> None:
        try:
            while self.step(scope, root):
                pass
        except MemweldError as error:
            if self._database.connections.closed:
                return
            _logger.warning("The vectors of a user with many memories are not indexed yet: %s", error)
        finally:
            with self._lock:
                self._working.discard(root)

    def step(self, scope: Scope, root: int) -> bool:
        """Index some more; whether there may be more."""
        with self._database.acting_for(scope), self._database.writing() as connection:
            done = connection.execute(
                "UPDATE items SET wide = true WHERE seq IN "
                f"(SELECT seq FROM items WHERE root = ? AND NOT wide ORDER BY seq LIMIT {_BATCH})",
                (root,),
            ).rowcount
            if done == 0:
                # From here on new ones are indexed as they come.
                connection.execute("UPDATE owners SET wide = true WHERE id = ?", (root,))
        return done > 0

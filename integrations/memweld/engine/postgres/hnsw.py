"""Users with very many memories: candidates by HNSW and by words from the database, and the index that they get.

Below `Address.exact_below` a process reads a user's vectors into RAM once, follows their changes and searches exactly.
Above it each search asks the database. A thread of the process that searches puts all vectors of such a user into the
HNSW index. Until it is done, the database compares the query with every one of them: slower, and exact.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import MemweldError
from ...scope import Scope
from ..fork import BackgroundThread
from ..sql.candidates import RowFilter
from ..sql.database import Connection, Database
from ..sql.schema import earlier_text

__all__ = ["HnswIndexing", "HnswSearch"]

_logger = logging.getLogger(__name__)

_CANDIDATES = 200
_FEW = 5_000  # rows that a caller has chosen, and that are ranked without a search for candidates
_LOOK = 200  # hnsw.ef_search: how many candidates pgvector keeps in sight
_NEIGHBOURS = 3  # as far as ranking.py lends
_MOST_TERMS = 16
_LONGEST_WORD = 2_046
_BATCH = 200
_MOMENT = "CASE WHEN key IS NULL THEN created_at ELSE updated_at END"  # as facts/index.py has it
_COLUMNS = f"seq, owner, kind, session_id, {_MOMENT}, text, vector"


class HnswSearch:
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

    def find(self, weights: Mapping[str, float], vector: bytes, rows: RowFilter) -> list[tuple[Any, ...]]:
        """Memories that may fit best, and their neighbours (see ``CandidateSearch.find``)."""
        if rows.among is not None and len(rows.among) <= _FEW:
            found = sorted(rows.among)
        else:
            found = sorted({*self._by_meaning(vector, rows), *self._by_words(weights, rows)})
        if not found:
            return []
        places = _array(found)
        near = (
            f"SELECT n.seq FROM items c CROSS JOIN LATERAL (SELECT seq FROM items WHERE owner = c.owner AND "
            f"session_id = c.session_id AND NOT {earlier_text()} AND seq {{comparison}} c.seq ORDER BY seq {{order}} "
            f"LIMIT {_NEIGHBOURS}) n WHERE c.seq = ANY({places}) AND NOT {earlier_text('c')}"
        )
        condition, variables = self._conditions(rows)
        return self._connection.execute(
            f"WITH found AS (SELECT unnest({places}) AS seq "
            f"UNION {near.format(comparison='<', order='DESC')} UNION {near.format(comparison='>', order='ASC')}) "
            f"SELECT {_COLUMNS}, CASE WHEN NOT {earlier_text()} THEN (SELECT p.seq FROM items p WHERE "
            "p.owner = items.owner AND p.session_id = items.session_id AND p.seq < items.seq "
            f"AND NOT {earlier_text('p')} ORDER BY p.seq DESC LIMIT 1) END, "
            f"({condition}) FROM items JOIN found USING (seq) ORDER BY items.seq",
            variables,
        ).fetchall()

    def _by_meaning(self, vector: bytes, rows: RowFilter) -> list[int]:
        dimensions, home = len(vector) // 4, self._home
        if self._wide:
            # Without iteration a filter would be put to the first candidates of all users alone.
            iterated = ", set_config('hnsw.iterative_scan', 'relaxed_order', true)" if self._iterates else ""
            self._connection.execute(f"SELECT set_config('hnsw.ef_search', '{_LOOK}', true){iterated}")
        condition, variables = self._conditions(rows)
        # The index's own condition.
        indexed = f" AND wide AND {home}.vector_dims(vector) = {dimensions}" if self._wide else ""
        found = self._connection.execute(
            f"SELECT seq FROM items WHERE {condition}{indexed} "
            f"ORDER BY vector::{home}.vector({dimensions}) OPERATOR({home}.<=>) ?::{home}.vector({dimensions}) "
            f"LIMIT {max(_CANDIDATES, rows.count)}",
            (*variables, vector),
        )
        return [row[0] for row in found]

    def _by_words(self, weights: Mapping[str, float], rows: RowFilter) -> list[int]:
        known = [term for term in weights if weights[term] > 0 and _is_word(term)]
        heaviest = sorted(known, key=lambda term: -weights[term])[:_MOST_TERMS]
        if not heaviest:
            return []
        condition, variables = self._conditions(rows)
        worth = " + ".join("CASE WHEN words @@ ?::tsquery THEN ? ELSE 0 END" for _ in heaviest)
        found = self._connection.execute(
            f"SELECT seq FROM items WHERE {condition} AND words @@ ?::tsquery "
            f"ORDER BY {worth} DESC, seq LIMIT {max(_CANDIDATES, rows.count)}",
            (
                *variables,
                " | ".join(_lexeme(term) for term in heaviest),
                *(each for term in heaviest for each in (_lexeme(term), float(weights[term]))),
            ),
        )
        return [row[0] for row in found]

    def _conditions(self, rows: RowFilter) -> tuple[str, list[Any]]:
        condition, variables = self._among(rows.owner)
        among = "" if rows.among is None else f" AND seq = ANY({_array(rows.among)})"
        return f"{condition}{rows.condition}{among}", [*variables, *rows.variables]

    def _among(self, owner: int | None) -> tuple[str, list[Any]]:
        return ("root = ?", [self._root]) if owner is None else ("root = ? AND owner = ?", [self._root, owner])


def _array(places: Sequence[int]) -> str:
    return f"ARRAY[{', '.join(map(str, places))}]::bigint[]"


def _is_word(term: str) -> bool:
    """Whether a tsvector can hold it: Postgres leaves longer words out."""
    return len(term.encode()) < _LONGEST_WORD


def _lexeme(term: str) -> str:
    """The term as a tsquery of one word, taken literally."""
    escaped = term.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


class HnswIndexing:
    """Puts the vectors of a user with very many memories into the HNSW index, in the background and in small steps.

    A process that ends in the middle leaves a beginning, with which the next search continues.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.renew()

    def renew(self) -> None:
        """In a forked child: nothing is under way."""
        self._lock = threading.Lock()
        self._working: set[int] = set()

    def start(self, scope: Scope, root: int) -> None:
        """Begin, unless this process is at it already."""
        with self._lock:
            if root in self._working:
                return
            self._working.add(root)
        if not BackgroundThread(lambda: self._run(scope, root), "hnsw").try_start():
            with self._lock:
                self._working.discard(root)

    def _run(self, scope: Scope, root: int) -> None:
        try:
            while self.step(scope, root):
                pass
        except MemweldError as error:
            if not self._database.closed:
                _logger.warning("The vectors of a user with many memories are not indexed yet: %s", error)
        finally:
            with self._lock:
                self._working.discard(root)

    def step(self, scope: Scope, root: int) -> bool:
        """Index some more; whether there may be more."""
        with self._database.writing(scope) as connection:
            done = connection.execute(
                "UPDATE items SET wide = true WHERE seq IN "
                f"(SELECT seq FROM items WHERE root = ? AND NOT wide ORDER BY seq LIMIT {_BATCH})",
                (root,),
            ).rowcount
            if done == 0:
                # From here on new ones are indexed as they come.
                connection.execute("UPDATE owners SET wide = true WHERE id = ?", (root,))
        return done > 0

"""Items with their vectors: stores and changes them, and searches exactly over a scope's own vectors and words.

It works without mem0. mem0 itself reaches this store through ``extraction/mem0/stores.py``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...scope import Scope
from ..operations import Search
from ..sql import owners
from ..sql.database import Connection, Database
from ..sql.item_rows import FACT_KINDS, ItemRow, text_hash
from ..sql.items import Items
from ..sql.restore import EmbeddedTexts
from ..sql.selection import Selection
from ..sql.ttl import purge
from ..sql.validity import Validity
from ..sql.versions import end_with
from .cache import IndexCache, StaleTransactionError
from .coverage import Ranked, without_covered
from .embedder_check import EmbedderCheck
from .embedders import GuardedEmbedding, Vector, as_bytes
from .large_user_search import find_candidates
from .ranking import age_factors, as_score, explain, fits, word_weights
from .snapshot import KINDS, Snapshot
from .time_boost import TimedQuery, time_scores
from .tokenizer import forget_words, pack_terms

__all__ = ["ItemStore", "Question"]

# A search that later transactions outrun starts again this many times, then reads all rows anew.
_TRIES = 4
_RESTORE_BATCH = 256
_SPARE = 16


@dataclass(frozen=True, slots=True)
class Question:
    """What a search asks the items table.

    Attributes:
        scope: The searching scope.
        text: The text of the query.
        vector: Its vector, shape (dimensions,).
        count: The largest number of rows.
        search: Has the kinds, filters and recency; None: all rows, and age does not count.
        among: The places of the rows that may be found; None: all.
        timed: The query with the time that it names, if it does; ``text`` is then without its words.
    """

    scope: Scope
    text: str
    vector: Vector
    count: int
    search: Search | None = None
    among: Sequence[int] | None = None
    timed: TimedQuery | None = None

    @property
    def words(self) -> str:
        """The text whose words count."""
        return self.text if self.timed is None else self.timed.words

    @property
    def window(self) -> tuple[float, float] | None:
        """The time whose memories are asked for although they do not hold now."""
        timed = self.timed
        return None if timed is None or not timed.is_over else (timed.window.start, timed.window.end)


class ItemStore:
    """The items table of all scopes.

    Args:
        database: The file.
        embedder_check: Knows which embedder made the file's vectors.
        embedding: Makes vectors.
        cache_bytes: The RAM for the indexes of the users that searched last.
        has_vectors: Whether the vectors are in the table, and not in another store.
    """

    def __init__(
        self,
        database: Database,
        embedder_check: EmbedderCheck,
        embedding: GuardedEmbedding,
        *,
        cache_bytes: int,
        has_vectors: bool = True,
    ) -> None:
        self.items = Items(database)
        self._database = database
        self._check = embedder_check
        self._embedding = embedding
        self._indexes = IndexCache(maximum_bytes=cache_bytes, has_vectors=has_vectors)

    @property
    def index_bytes(self) -> int:
        """About how much RAM the indexes take."""
        return self._indexes.bytes

    def store(self, rows: Sequence[ItemRow], vectors: Sequence[Vector], *, is_dated: bool = False) -> list[ItemRow]:
        """Store rows, or merge them into the rows of their owner with equal texts.

        Args:
            rows: The rows, all of one scope.
            vectors: Their vectors.
            is_dated: Whether a caller gave their time.

        Returns:
            Each as it is stored: the row itself if it is new.
        """
        if not rows:
            return []
        stored: list[ItemRow] = []
        with self._database.writing(rows[0].scope) as connection:
            for row, vector in zip(rows, vectors, strict=True):
                if not stored:
                    self._check.record(connection, len(vector))
                columns = (as_bytes(vector), pack_terms(row.text))
                merged: ItemRow | None = None
                if not self.items.insert(row, *columns):
                    # A row under a key is new: its writer has looked.
                    merged = self.items.merge(row, is_dated=is_dated) if row.key is None else None
                    if merged is None:
                        # One that has expired is in its place.
                        purge(self._database, row.scope)
                        self.items.insert(row, *columns)
                    elif merged.expires_at is not None or merged.updated_at == row.updated_at:
                        end_with(self.items, merged)  # perhaps it had an end before
                stored.append(merged or row)
        return stored

    def change(self, row: ItemRow, vector: Vector | None) -> None:
        """Replace the contents of a row, if its scope contains it; and its vector, unless that is None."""
        with self._database.writing(row.scope) as connection:
            if self.items.get(row.scope, row.id) is None:
                return
            if vector is not None:
                self._check.record(connection, len(vector))
            self.items.rewrite(row, None if vector is None else as_bytes(vector), pack_terms(row.text))

    def best(self, question: Question) -> list[Ranked]:
        """The rows that fit best, best first."""
        erasures = self._indexes.erasures
        try:
            for _ in range(_TRIES):
                # A new transaction sees what the index knows, unless another one outruns it again.
                with contextlib.suppress(StaleTransactionError):
                    return self._best(question)
            return self._best(question, anew=True)
        finally:
            if self._indexes.erasures != erasures:
                self._indexes.forget_again(erasures)

    def _best(self, question: Question, *, anew: bool = False) -> list[Ranked]:
        scope, search, count = question.scope, question.search, question.count
        with self._database.reading(scope) as connection:
            # First of all, so that the search does not even read vectors of another embedder.
            self._check.verify(connection, len(question.vector))
            owner = owners.find(connection, scope)
            if owner is None:
                return []
            selection = self._select(connection, owner, question, anew=anew)
            if selection is None:
                return []
            snapshot, vector, allowed = selection
            fit = fits(snapshot, question.words, vector)
            added: NDArray[np.float64] | None = None
            if question.timed is not None:
                added = time_scores(connection, owner.root, snapshot, question.timed, fit)
                fit = fit + added
            scores = as_score(fit)
            age: NDArray[np.float64] | None = None
            if search is not None and search.recency is not None:
                age = age_factors(snapshot.timestamps, search.recency.total_seconds())
                scores = scores * age
            scores = np.where(allowed, scores, -1.0)
            # So many more places as sources may have to leave.
            sources = int(np.count_nonzero(allowed & (snapshot.kinds == KINDS["source"])))
            look = count + min(sources, count + _SPARE)
            wanted = None if search is None else search.sources
            while True:
                best = _highest(scores, look)
                found = self.items.by_places(scope, [int(seq) for seq in snapshot.seqs[best]])
                ranked = ((found.get(int(snapshot.seqs[row])), float(scores[row])) for row in best)
                hits = [Ranked(item, score) for item, score in ranked if item is not None]
                if wanted is not None:
                    # Mostly few are not: to read some rows more costs less than to ask for them all before.
                    hits = [hit for hit in hits if hit.row.is_from(wanted)]
                if sources:
                    hits = without_covered(hits, lambda ids: self.items.by_ids(scope, ids))
                if len(hits) >= count or len(best) < look:
                    break
                look *= 4
                if wanted is not None and wanted != "trusted" and look > 16 * count:
                    scores[~np.isin(snapshot.seqs, self.items.matching(scope, Selection(sources=wanted)))] = -1.0
                    wanted = None
            if search is None or not search.explain:
                return hits[:count]
            position = {int(snapshot.seqs[row]): int(row) for row in best}
            rows = [position[hit.row.seq] for hit in hits[:count]]
            explanations = explain(snapshot, question.words, vector, rows, age=age, time=added)
            return [hit._replace(explanation=each) for hit, each in zip(hits, explanations, strict=False)]

    def _select(
        self, connection: Connection, owner: owners.Owner, question: Question, *, anew: bool = False
    ) -> tuple[Snapshot, Vector, NDArray[np.bool_]] | None:
        """The rows to search, the query's vector, and which of the rows may match; None if there are none."""
        scope, search, among, vector = question.scope, question.search, question.among, question.vector
        # mem0 compares new facts with facts.
        selection = Selection(kinds=FACT_KINDS, validity=Validity.of(None))
        if search is not None:
            selection = Selection.of(search, search.kinds).asking_for(question.window)
            if search.ids is not None:
                among = self.items.places(connection, owner.root, search.ids)
        candidates = self._database.candidates(connection, owner.root, scope)
        if candidates is not None:
            rows = self.items.row_filter(owner, selection, among=among, count=question.count)
            window = None if question.timed is None else question.timed.window
            return find_candidates(candidates, self._embedding, question.text, vector, rows, window=window)
        snapshot = self._indexes.read(connection, owner.root, anew=anew)
        if snapshot is None:
            return None
        snapshot = snapshot.within(None if owner.id == owner.root else owner.id)
        allowed = self._allowed(connection, owner, scope, snapshot, selection)
        if among is not None:
            allowed &= np.isin(snapshot.seqs, among)
        return snapshot, self._embedding.for_query(question.text, vector, word_weights(snapshot)), allowed

    def _allowed(
        self, connection: Connection, owner: owners.Owner, scope: Scope, snapshot: Snapshot, selection: Selection
    ) -> NDArray[np.bool_]:
        """The rows of a snapshot that the scope contains and a selection has, shape (n,)."""
        allowed = snapshot.of_owner(None if owner.id == owner.root else owner.id)
        if selection.kinds is not None:
            allowed &= snapshot.of_kinds(tuple(selection.kinds))
        if expired := self.items.expired(connection, owner.root):
            allowed &= ~np.isin(snapshot.seqs, expired)
        if selection.validity is not None:
            allowed &= snapshot.valid(selection.validity)
        if selection.filters or selection.session_id is not None:
            places = self.items.matching(scope, replace(selection, validity=None))
            allowed &= np.isin(snapshot.seqs, places)
        elif selection.window:
            within = snapshot.said_within(selection.window.after, selection.window.before)
            allowed &= within | np.isin(snapshot.seqs, self.items.occurring(connection, owner.root, selection))
        return allowed

    def embed_texts(self, texts: Sequence[str]) -> EmbeddedTexts:
        """Embed texts before the transaction that restores them: hash, vector and terms of each.

        Raises:
            BackendUnavailableError: The embedder fails.
        """
        columns: dict[str, tuple[str, bytes, bytes]] = {}
        dimensions = 0
        unique = list(dict.fromkeys(texts))
        for start in range(0, len(unique), _RESTORE_BATCH):
            batch = unique[start : start + _RESTORE_BATCH]
            for text, vector in zip(batch, self._embedding.embed_batch(batch), strict=True):
                dimensions = len(vector)
                columns[text] = (text_hash(text), as_bytes(vector), pack_terms(text))

        return EmbeddedTexts(columns, lambda connection: self._check.record(connection, dimensions))

    def forget(self, root: int | None) -> None:
        """Drop one user's vectors and words from RAM; the user's next search reads them anew.

        Args:
            root: The user's root owner; None: only words, which the process does not keep by user.
        """
        if root is not None:
            self._indexes.forget(root)
        forget_words()


def _highest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Positions of the ``count`` highest scores that are not negative, highest first, older rows first among equals."""
    if len(scores) > count:
        candidates = np.argpartition(-scores, count - 1)[:count]
        # All scores equal to the lowest candidate's compete, so that ties do not depend on the partition.
        candidates = np.flatnonzero(scores >= scores[candidates].min())
    else:
        candidates = np.arange(len(scores))
    ordered = candidates[np.argsort(-scores[candidates], kind="stable")][:count]
    return ordered[scores[ordered] >= 0]

"""Questions to the graph: items related to an entity or item, and hits of a search that it links to the query."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from ....models import JSON, Hit, Related
from ....scope import Scope
from ...sql.item_rows import ItemRow
from . import cypher
from .client import GraphClient, Row
from .entity_names import is_in, key_of, words_of
from .projection import space_of

__all__ = ["GraphQueries", "raise_scores"]

_RELATED_SECONDS = 5.0
_BOOST_SECONDS = 0.25
_ROWS = 5_000
# An entity that more memories mention than this leads to no others.
_CROWD = 100
_FURTHER = 0.5

DIRECT, LINKED, MOST = 0.1, 0.1, 0.2
"""How far a hit rises at most towards 1: for an entity that the query names, and for one shared with the first hits."""
_FIRST = 3

ReadRows = Callable[[Scope, Sequence[str]], Mapping[str, ItemRow]]


def _weight(mentions: int) -> float:
    """The weight of an entity that two memories share: 1 if only they mention it, less if many do."""
    return 1 / (1 + math.log(max(mentions - 1, 1)))


class GraphQueries:
    """Questions to the graph of one database.

    Args:
        client: The graph.
        store: Gives the name by which the graph knows the database of the memories.
        read_rows: Reads items of a scope by their ids. Items that it does not find are left out of every answer.
    """

    def __init__(self, client: GraphClient, store: Callable[[], str], read_rows: ReadRows) -> None:
        self._client = client
        self._store = store
        self._read_rows = read_rows

    def related(self, scope: Scope, about: str, *, limit: int) -> list[Related]:
        """The items that the graph links to an item or to the name of an entity, the closest first."""
        space = space_of(self._store(), scope)
        item = self._read_rows(scope, [about]).get(about)
        entities = self._entities_of(scope, item) if item is not None else self._named(space, about)
        if not entities:
            return []
        rows = self._client.read(
            _limited_to_agent(cypher.RELATED, scope),
            seconds=_RELATED_SECONDS,
            entities=entities,
            space=space,
            agent=_agent(scope),
            most=max(4 * limit, 200),
            crowd=_CROWD,
            rows=_ROWS,
        )
        stored = self._read_rows(scope, sorted({row[name] for row in rows for name in ("item", "via")}))
        # The graph may be a moment behind: rows of an item's former text do not count.
        current = [
            row
            for row in rows
            if _is_current(stored, row["item"], row["hash"]) and _is_current(stored, row["via"], row["via_hash"])
        ]
        scored = _scored([row for row in current if row["item"] != about])
        best = sorted(scored, key=lambda each: (-scored[each][0], stored[each].seq))[:limit]
        return [_related(stored[each], *scored[each]) for each in best]

    def _entities_of(self, scope: Scope, item: ItemRow) -> list[str]:
        rows = self._client.read(
            _limited_to_agent(cypher.MENTIONED, scope), seconds=_RELATED_SECONDS, **self._mentioned_by(scope, [item.id])
        )
        return sorted({row["entity"] for row in rows if row["hash"] == item.hash})

    def _named(self, space: str, name: str) -> list[str]:
        """The entities with this name, or with all its words in their names."""
        key = key_of(name)
        if not key:
            return []
        rows = self._client.read(
            cypher.SIMILAR_NAMES, seconds=_RELATED_SECONDS, space=space, key=key, words=key.split(" ")
        )
        return [row["entity"] for row in rows]

    def _mentioned_by(self, scope: Scope, items: Sequence[str]) -> dict[str, JSON]:
        """The parameters of `cypher.MENTIONED` for items of a scope."""
        return {"ids": list(items), "space": space_of(self._store(), scope), "agent": _agent(scope)}

    def raise_hits(self, scope: Scope, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with their scores raised, best first (see `raise_scores`).

        Raises:
            BackendUnavailableError: The graph does not answer soon enough for a search.
        """
        mentioned_by = self._mentioned_by(scope, [hit.id for hit in hits])
        query_text = _limited_to_agent(cypher.MENTIONED, scope)
        return raise_scores(query, hits, self._client.glance(query_text, seconds=_BOOST_SECONDS, **mentioned_by))

    def count(self, scope: Scope) -> int:
        """How many nodes there are of the scope's user (or of an agent's own memory)."""
        space = space_of(self._store(), scope)
        rows = self._client.read(cypher.COUNT_SPACE, seconds=_RELATED_SECONDS, space=space)
        return int(rows[0]["nodes"])


def _limited_to_agent(query: str, scope: Scope) -> str:
    return query if _agent(scope) is None else cypher.for_agent(query)


def _agent(scope: Scope) -> str | None:
    """The agent to whose part of a user's memories a scope is limited; in all other scopes the space is the limit."""
    return scope.agent_id if scope.user_id is not None else None


def _is_current(stored: Mapping[str, ItemRow], item: str, text_hash: str) -> bool:
    return item in stored and stored[item].hash == text_hash


def _scored(rows: Sequence[Row]) -> dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]]:
    """Score, entities in common and path of each item that rows lead to."""
    direct: dict[str, dict[str, float]] = {}
    further: dict[str, tuple[float, tuple[str, ...]]] = {}
    for row in rows:
        weight = _weight(row["mentions"])
        if row["via"] == row["item"]:
            direct.setdefault(row["item"], {})[row["name"]] = weight
        else:
            way = (_FURTHER * weight * _weight(row["further"]), (row["name"], row["over"]))
            further[row["item"]] = max(further.get(row["item"], way), way)
    found: dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]] = {}
    for item, (score, path) in further.items():
        found[item] = (score, (), path)
    for item, weights in direct.items():
        names = sorted(weights, key=lambda name: (-weights[name], name))
        missing = math.prod(1 - 0.9 * weight for weight in weights.values())
        found[item] = (1 - missing, tuple(names), (names[0],))
    return found


def _related(row: ItemRow, score: float, entities: tuple[str, ...], path: tuple[str, ...]) -> Related:
    item = row.item()
    fields = {each.name: getattr(item, each.name) for each in dataclasses.fields(item)}
    return Related(**fields, score=score, entities=entities, path=path)


def _rarity(mentions: int) -> float:
    """As `_weight`, but falling faster: words that many memories share count in the score already.

    On LoCoMo `_weight` lost evidence among the first ten hits, and this one does not.
    """
    return 1 / max(mentions - 1, 1)


def raise_scores(query: str, hits: Sequence[Hit], rows: Sequence[Row]) -> list[Hit]:
    """Hits with their scores raised, best first; no hit falls, and none is added.

    A hit rises by a part of its distance to 1. The part is the sum of `DIRECT` times the weight of the rarest entity
    that both the hit and the query name, and `LINKED` times the weight of the rarest entity that it shares with one of
    the first hits, times the score of that hit; at most `MOST`.

    Args:
        query: The query.
        hits: Best first.
        rows: The entities that they mention: ``item``, ``entity``, ``key``, ``mentions``.
    """
    words = " ".join(words_of(query))
    mentioned: dict[str, dict[str, float]] = {}
    named: set[str] = set()
    for row in rows:
        mentioned.setdefault(row["item"], {})[row["entity"]] = _rarity(row["mentions"])
        if is_in(row["key"], words):
            named.add(row["entity"])
    first = [(hit, mentioned.get(hit.id, {})) for hit in hits[:_FIRST]]

    def score(hit: Hit) -> float:
        own = mentioned.get(hit.id, {})
        direct = max((weight for entity, weight in own.items() if entity in named), default=0.0)
        links = (
            own[entity] * other.score
            for other, theirs in first
            if other.id != hit.id
            for entity in own
            if entity in theirs
        )
        rise = min(DIRECT * direct + LINKED * max(links, default=0.0), MOST)
        return hit.score + (1 - hit.score) * rise

    ordered = sorted(
        ((score(hit), -place, hit) for place, hit in enumerate(hits)), key=lambda each: each[:2], reverse=True
    )
    return [hit.with_score(value) for value, _, hit in ordered]

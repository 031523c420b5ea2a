"""What the graph is asked: what is related to something, and which hits of a search have to do with the question."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from ....models import JSON, Hit, Related
from ....scope import Scope
from ...sql.items import ItemRow
from . import cypher
from .client import GraphClient, Row
from .entity_names import is_in, key_of, words_of
from .projection import memory_id, space_of

__all__ = ["GraphReading", "raised"]

_RELATED_SECONDS = 5.0
_BOOST_SECONDS = 0.25
_ROWS = 5_000
# An entity of more memories than this leads to no others: what everything mentions relates nothing.
_CROWD = 100
_FURTHER = 0.5

DIRECT, LINKED, MOST = 0.1, 0.1, 0.2
"""How far a hit rises at most towards 1: for naming what the question names, for what it shares with the first hits."""
_FIRST = 3

ReadRows = Callable[[Scope, Sequence[str]], Mapping[str, ItemRow]]


def _weight(mentions: int) -> float:
    """What it says that two memories mention the same: 1 for what only they do, less for what many do."""
    return 1 / (1 + math.log(max(mentions - 1, 1)))


class GraphReading:
    """Questions to the graph of one database.

    Args:
        client: The graph.
        store: Gives the name of the database of the memories.
        read_rows: Reads items of a scope by their ids. What it does not find is not there, whatever the graph says.
    """

    def __init__(self, client: GraphClient, store: Callable[[], str], read_rows: ReadRows) -> None:
        self._client = client
        self._store = store
        self._read_rows = read_rows

    def related(self, scope: Scope, about: str, *, limit: int) -> list[Related]:
        """See ``Engine.related_items``."""
        space = space_of(self._store(), scope)
        item = self._read_rows(scope, [about]).get(about)
        entities = self._entities_of(scope, item) if item is not None else self._named(space, about)
        if not entities:
            return []
        rows = self._client.read(
            _asked(cypher.RELATED, scope),
            seconds=_RELATED_SECONDS,
            entities=entities,
            space=space,
            agent=_agent(scope),
            most=max(4 * limit, 200),
            crowd=_CROWD,
            rows=_ROWS,
        )
        held = self._read_rows(scope, sorted({row[name] for row in rows for name in ("item", "via") if row[name]}))
        # The graph may be a moment behind: what an item said before counts no more.
        current = [row for row in rows if _is_now(held, row["item"], row["hash"])]
        current = [row for row in current if row["via"] is None or _is_now(held, row["via"], row["via_hash"])]
        found = _scored([row for row in current if row["item"] != about])
        best = sorted(found, key=lambda each: (-found[each][0], held[each].seq))[:limit]
        return [_related(held[each], *found[each]) for each in best]

    def _entities_of(self, scope: Scope, item: ItemRow) -> list[str]:
        rows = self._client.read(
            _asked(cypher.MENTIONED, scope), seconds=_RELATED_SECONDS, **self._mentioned_by(scope, [item.id])
        )
        return sorted({row["entity"] for row in rows if row["hash"] == item.hash})

    def _named(self, space: str, name: str) -> list[str]:
        """The entities of this name, or whose names hold all its words."""
        key = key_of(name)
        if not key:
            return []
        rows = self._client.read(
            cypher.SIMILAR_NAMES, seconds=_RELATED_SECONDS, space=space, key=key, words=key.split(" ")
        )
        return [row["entity"] for row in rows]

    def _mentioned_by(self, scope: Scope, items: Sequence[str]) -> dict[str, JSON]:
        """The parameters of the question what items of a scope mention."""
        store = self._store()
        ids = [memory_id(store, item) for item in items]
        return {"ids": ids, "space": space_of(store, scope), "agent": _agent(scope)}

    def raise_hits(self, scope: Scope, query: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with scores that know of the graph, best first (see `raised`).

        Raises:
            BackendUnavailableError: The graph does not answer soon enough for a search.
        """
        mentioned_by = self._mentioned_by(scope, [hit.id for hit in hits])
        return raised(
            query, hits, self._client.glance(_asked(cypher.MENTIONED, scope), seconds=_BOOST_SECONDS, **mentioned_by)
        )

    def count(self, scope: Scope) -> int:
        """How many nodes there are of the scope's user (or of an agent's own memory)."""
        space = space_of(self._store(), scope)
        rows = self._client.read(cypher.COUNT_SPACE, seconds=_RELATED_SECONDS, space=space)
        return int(rows[0]["nodes"])


def _asked(query: str, scope: Scope) -> str:
    return query if _agent(scope) is None else cypher.for_agent(query)


def _agent(scope: Scope) -> str | None:
    """Whose part of a user's memories a scope sees; of all others the space is the scope."""
    return scope.agent_id if scope.user_id is not None else None


def _is_now(held: Mapping[str, ItemRow], item: str, text_hash: str) -> bool:
    return item in held and held[item].hash == text_hash


def _scored(rows: Sequence[Row]) -> dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]]:
    """Score, entities in common and path of each item that rows lead to."""
    direct: dict[str, dict[str, float]] = {}
    further: dict[str, tuple[float, tuple[str, ...]]] = {}
    for row in rows:
        weight = _weight(row["mentions"])
        if row["via"] is None:
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
    """As `_weight`, falling faster: words that many memories share have had their part in the score already.

    On LoCoMo the slower one lost evidence among the first ten, and this one does not.
    """
    return 1 / max(mentions - 1, 1)


def raised(query: str, hits: Sequence[Hit], rows: Sequence[Row]) -> list[Hit]:
    """Hits with their scores raised, best first; no hit falls, and none is added.

    A hit rises by a part of what it lacks to 1: `DIRECT` times the weight of the rarest entity that it mentions and the
    question names, and `LINKED` times that of the rarest which it shares with one of the first hits, times the score
    of that hit; `MOST` altogether.

    Args:
        query: The question.
        hits: Best first.
        rows: What they mention: ``item``, ``entity``, ``key``, ``mentions``.
    """
    asked = " ".join(words_of(query))
    mentioned: dict[str, dict[str, float]] = {}
    named: set[str] = set()
    for row in rows:
        mentioned.setdefault(row["item"], {})[row["entity"]] = _rarity(row["mentions"])
        if is_in(row["key"], asked):
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
    return [dataclasses.replace(hit, score=value) for value, _, hit in ordered]

"""Items as nodes: what the graph is told of each, and the transaction that tells it.

::

    (:User)-[:REMEMBERS]->(:Memory)-[:MENTIONS]->(:Entity)-[:RELATED_TO {name}]->(:Entity)
                          (:Memory)-[:SAID_IN]->(:Session)
    (:Agent)-[:KEEPS]->(:Memory)               what an agent keeps of a user
    (:Agent)-[:REMEMBERS]->(:Memory)           what an agent remembers for itself

A node that no memory needs any more goes with the last that did, so that the graph says what the items say and no more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ....models import JSON
from ...sql.outbox import Entry
from . import cypher
from .edge_digest import digest_of
from .entity_names import key_of, words_of
from .node_ids import entity_id, memory_id, space_of

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

__all__ = ["Found", "OvertakenError", "deliver", "properties_of"]

_CAPTION = 60
# Ten things of which one memory speaks are 45 pairs; more pairs tell less.
_MOST_PAIRED = 10
_TIES = {
    "users": "REMEMBERS",
    "owning_agents": "REMEMBERS",
    "keeping_agents": "KEEPS",
    "sessions": "SAID_IN",
    "entities": "MENTIONS",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a text mentions.

    Attributes:
        names: The entities.
        relations: Entity, relation, entity, as an LLM found them.
        by: Who found them: ``mem0``, ``llm`` or ``rule``.
    """

    names: Sequence[str]
    relations: Sequence[tuple[str, str, str]] = ()
    by: str = "rule"


class OvertakenError(Exception):
    """Somebody else delivers meanwhile. ``fence`` is the number that the graph has seen."""

    def __init__(self, fence: int) -> None:
        super().__init__(fence)
        self.fence = fence


def deliver(
    transaction: ManagedTransaction,
    store: str,
    fence: int,
    told: Sequence[tuple[Entry, Found]],
    gone: Sequence[str],
    *,
    when_new: Callable[[], object] | None = None,
) -> None:
    """Tell the graph, in this transaction, what items say now and which are gone. To do it again changes nothing.

    Args:
        transaction: Where.
        store: The name of the database of the memories.
        fence: The number of the lease under which it is told.
        told: Items, and what is found in each.
        gone: Ids of items that do not exist any more.
        when_new: Called where the graph does not know the store yet, before it does.

    Raises:
        OvertakenError: Under a newer lease it was told other things already.
    """

    def run(query: str, **parameters: Any) -> list[Mapping[str, Any]]:
        return [record.data() for record in transaction.run(cast("Any", query), parameters)]

    (row,) = run(cypher.FENCE, store=store, fence=fence)
    if row["before"] > fence:
        raise OvertakenError(int(row["before"]))
    if row["before"] < 0 and when_new is not None:
        when_new()
    leaving = [memory_id(store, item) for item in gone]
    changed = [memory_id(store, entry.id) for entry, _ in told]
    untied = run(cypher.UNTIE, ids=[*leaving, *changed])
    if leaving:
        run(cypher.FORGET, ids=leaving)
    if told:
        run(cypher.TOLD, rows=[_row(store, entry, found) for entry, found in told])
        relations = [relation for entry, found in told for relation in _relations(store, entry, found)]
        if relations:
            run(cypher.RELATE, relations=relations)
    neighbours = sorted({each for row in untied for each in row["neighbours"] if each is not None})
    if neighbours:
        run(cypher.CLEAN, ids=neighbours)


def properties_of(store: str, entry: Entry) -> dict[str, JSON]:
    """What follows from an item for its node, and from nothing else; what is None is left out there."""
    return {
        "memweld_id": memory_id(store, entry.id),
        "id": entry.id,
        "name": entry.text if len(entry.text) <= _CAPTION else f"{entry.text[: _CAPTION - 1]}…",
        "text": entry.text,
        "hash": entry.hash,
        "kind": entry.kind,
        "key": entry.key,
        "agent": entry.scope.agent_id,
        "session": entry.session_id,
        "created_at": entry.created_at,
        "space": space_of(store, entry.scope),
    }


def _row(store: str, entry: Entry, found: Found) -> dict[str, JSON]:
    """The nodes of one item."""
    scope = entry.scope
    space = space_of(store, scope)

    def node(kind: str, name: str | None) -> list[dict[str, JSON]]:
        return [] if name is None else [{"memweld_id": f"{space}/{kind}:{name}", "name": name, "space": space}]

    agents = node("agent", scope.agent_id)
    session = None if entry.session_id is None else f"{scope.agent_id or ''}/{entry.session_id}"
    neighbours: dict[str, list[dict[str, JSON]]] = {
        "users": node("user", scope.user_id),
        "owning_agents": agents if scope.user_id is None else [],
        "keeping_agents": agents if scope.user_id is not None else [],
        "sessions": [{**each, "name": entry.session_id} for each in node("session", session)],
        "entities": [
            {"memweld_id": entity_id(space, key), "name": name, "key": key, "words": words_of(name), "space": space}
            for key, name in _keyed(found.names).items()
        ],
    }
    ties = [[_TIES[part], each["memweld_id"]] for part, nodes in neighbours.items() for each in nodes]
    related = [["RELATED_TO", each["one"], each["name"], each["other"]] for each in _relations(store, entry, found)]
    properties = properties_of(store, entry)
    told = {"updated_at": entry.updated_at, "entities_by": found.by, "ties": digest_of([*ties, *related])}
    return {"properties": properties | told, **neighbours}


def _keyed(names: Iterable[str]) -> dict[str, str]:
    keyed: dict[str, str] = {}
    for name in names:
        if key := key_of(name):
            keyed.setdefault(key, name)
    return keyed


def _relations(store: str, entry: Entry, found: Found) -> list[dict[str, str]]:
    """What an LLM said of two entities; of others, that one memory mentions both."""
    space, keys = space_of(store, entry.scope), list(_keyed(found.names))
    said = {(key_of(one), key_of(other)): name for one, name, other in found.relations}
    pairs = itertools.combinations(keys[:_MOST_PAIRED], 2)
    silent = ((one, other) for one, other in pairs if (one, other) not in said and (other, one) not in said)
    named = [
        *((one, other, name) for (one, other), name in said.items() if one in keys and other in keys and one != other),
        *((one, other, "mentioned with") for one, other in silent),
    ]
    return [
        {
            "one": entity_id(space, one),
            "other": entity_id(space, other),
            "name": name,
            "memory": memory_id(store, entry.id),
        }
        for one, other, name in named
    ]

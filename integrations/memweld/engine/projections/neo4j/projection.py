"""Items as nodes: what the graph holds of each item, and the transaction that writes it.

::

    (:User)-[:REMEMBERS]->(:Memory)-[:MENTIONS]->(:Entity)-[:RELATED_TO {name}]->(:Entity)
                          (:Memory)-[:SAID_IN]->(:Session)
    (:Agent)-[:KEEPS]->(:Memory)               an agent's memories of a user
    (:Agent)-[:REMEMBERS]->(:Memory)           an agent's own memories

A node that no memory needs any more goes with the last memory that did. All nodes of a user (or of an agent's own
memory) carry its *space* in their ids, so that two users share no node.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from ....models import JSON
from ....scope import Scope
from ...sql.outbox import Entry
from ..protocol import NewerLeaseError
from . import cypher
from .entity_names import key_of, words_of

if TYPE_CHECKING:
    from neo4j import ManagedTransaction

__all__ = [
    "Mentions",
    "entity_id",
    "is_as_projected",
    "memory_id",
    "project",
    "properties_of",
    "space_of",
    "tie_of",
]

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
class Mentions:
    """The entities that a text mentions.

    Attributes:
        names: Their names.
        relations: Entity, relation, entity, as an LLM found them.
        by: The finder: ``mem0``, ``llm`` or ``rule``.
    """

    names: Sequence[str]
    relations: Sequence[tuple[str, str, str]] = ()
    by: str = "rule"


# ids


def space_of(store: str, scope: Scope) -> str:
    """The space of a user, or of an agent's own memory, in the graph of the database ``store``."""
    owner = f"agent:{quote(scope.agent_id or '', safe='')}"
    if scope.user_id is not None:
        owner = f"user:{quote(scope.user_id, safe='')}"
    return f"{store}/{owner}"


def memory_id(store: str, item: int) -> str:
    """The node of a memory item (its ``seq``)."""
    return f"{store}/memory:{item}"


def entity_id(space: str, key: str) -> str:
    """The node of an entity. A space holds no bar, so that no other space's entity has this id."""
    return f"{space}|{key}"


# writing


def project(
    transaction: ManagedTransaction,
    store: str,
    fence: int,
    entries: Sequence[tuple[Entry, Mentions]],
    deleted: Sequence[int],
    *,
    when_new: Callable[[], object] | None = None,
) -> None:
    """Write entries and remove deleted items in this transaction. To do it again changes nothing.

    Args:
        transaction: Of Neo4j.
        store: The name of the database of the memories.
        fence: The number of the lease of the process that delivers.
        entries: Items, and what each mentions.
        deleted: Items that do not exist any more.
        when_new: Called where the graph does not know the store yet, before it does.

    Raises:
        NewerLeaseError: The graph has seen a newer lease.
    """

    def run(query: str, **parameters: Any) -> list[Mapping[str, Any]]:
        return [record.data() for record in transaction.run(cast("Any", query), parameters)]

    (row,) = run(cypher.FENCE, store=store, fence=fence)
    if row["before"] > fence:
        raise NewerLeaseError(int(row["before"]))
    if row["before"] < 0 and when_new is not None:
        when_new()
    leaving = [memory_id(store, item) for item in deleted]
    changed = [memory_id(store, entry.seq) for entry, _ in entries]
    untied = run(cypher.UNTIE, ids=[*leaving, *changed])
    if leaving:
        run(cypher.FORGET, ids=leaving)
    if entries:
        run(cypher.PROJECT, rows=[_row(store, entry, mentions) for entry, mentions in entries])
        relations = [relation for entry, mentions in entries for relation in _relations(store, entry, mentions)]
        if relations:
            run(cypher.RELATE, relations=relations)
    neighbours = sorted({each for row in untied for each in row["neighbours"] if each is not None})
    if neighbours:
        run(cypher.CLEAN, ids=neighbours)


def properties_of(store: str, entry: Entry) -> dict[str, JSON]:
    """The properties of a node that follow from its item alone. The graph leaves out those that are None."""
    return {
        "memweld_id": memory_id(store, entry.seq),
        "id": entry.id,
        "name": entry.text if len(entry.text) <= _CAPTION else f"{entry.text[: _CAPTION - 1]}…",
        "text": entry.text,
        "hash": entry.hash,
        "kind": entry.kind,
        "key": entry.key,
        "agent": entry.scope.agent_id,
        "session": entry.session_id,
        # Texts of one offset sort as their times do.
        "created_at": datetime.fromisoformat(entry.created_at).astimezone(timezone.utc).isoformat(),
        "space": space_of(store, entry.scope),
    }


def _row(store: str, entry: Entry, mentions: Mentions) -> dict[str, JSON]:
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
            for key, name in _by_key(mentions.names).items()
        ],
    }
    ties = [[_TIES[part], each["memweld_id"]] for part, nodes in neighbours.items() for each in nodes]
    related = [["RELATED_TO", each["one"], each["name"], each["other"]] for each in _relations(store, entry, mentions)]
    more = {"updated_at": entry.updated_at, "entities_by": mentions.by, "ties": _digest_of([*ties, *related])}
    return {"properties": properties_of(store, entry) | more, **neighbours}


def _by_key(names: Iterable[str]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for name in names:
        if key := key_of(name):
            by_key.setdefault(key, name)
    return by_key


def _relations(store: str, entry: Entry, mentions: Mentions) -> list[dict[str, str]]:
    """The relations that an LLM found; of other pairs, that one memory mentions both."""
    space, keys = space_of(store, entry.scope), list(_by_key(mentions.names))
    found = {(key_of(one), key_of(other)): name for one, name, other in mentions.relations}
    pairs = itertools.combinations(keys[:_MOST_PAIRED], 2)
    others = ((one, other) for one, other in pairs if (one, other) not in found and (other, one) not in found)
    named = [
        *((one, other, name) for (one, other), name in found.items() if one in keys and other in keys and one != other),
        *((one, other, "mentioned with") for one, other in others),
    ]
    return [
        {
            "one": entity_id(space, one),
            "other": entity_id(space, other),
            "name": name,
            "memory": memory_id(store, entry.seq),
        }
        for one, other, name in named
    ]


# comparing


def _digest_of(ties: Iterable[Sequence[str]]) -> str:
    """The digest of some ties, each a kind and the nodes that it leads to, whatever their order."""
    listed = json.dumps(sorted(list(tie) for tie in ties)).encode()
    return hashlib.blake2b(listed, digest_size=12).hexdigest()


def tie_of(kind: str, node: Mapping[str, JSON]) -> list[str]:
    """The tie to a node as the graph holds it; marked as changed if the node's properties contradict its id."""
    identity, space, name = (str(node.get(each)) for each in ("memweld_id", "space", "name"))
    if kind == _TIES["entities"]:
        is_sound = identity == f"{space}|{node.get('key')}" and key_of(name) == node.get("key")
    else:
        is_sound = identity.startswith(f"{space}/") and identity.endswith((f":{name}", f"/{name}"))
    return [kind, identity] if is_sound else [kind, identity, "changed"]


def is_as_projected(
    expected: Mapping[str, JSON], properties: Mapping[str, JSON], ties: Iterable[Sequence[str]]
) -> bool:
    """Whether the node of a memory is as `project` wrote it.

    Args:
        expected: The properties that follow from the item.
        properties: The properties of the node.
        ties: The ties of the node.
    """
    is_same = all(properties.get(name) == value for name, value in expected.items())
    return is_same and properties.get("ties") == _digest_of(ties)

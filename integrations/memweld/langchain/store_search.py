"""Search of the store by meaning: values with a text by their score, then those without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engine.filters import fits_conditions
from ..memory.memory import Memory
from ..models import JSON, ValueEntry
from ..validation import MAX_LIMIT

__all__ = ["StateHit", "search_records"]

_WIDER = 8


@dataclass(frozen=True, slots=True)
class StateHit:
    """A value, and how well it fits the query; None for a value without a text."""

    entry: ValueEntry
    score: float | None


def search_records(
    memory: Memory, query: str, *, under: str, where: Mapping[str, JSON] | None, offset: int, limit: int
) -> list[StateHit]:
    """The values that fit best, best first, then those that have no text, in their order.

    Args:
        memory: The user's memory.
        query: A question or some words.
        under: The namespace at or below which the values lie.
        where: Conditions on the values.
        offset: How many to skip.
        limit: How many at most.
    """
    count = offset + limit
    scored, complete = _scored(memory, query, under, where, count)
    found = scored[:count]
    if len(found) < count and complete:
        known = {(each.entry.namespace, each.entry.key) for each in scored}
        rest = memory.values.find(under, where=where, limit=count + len(known))
        found += [StateHit(entry, None) for entry in rest if (entry.namespace, entry.key) not in known]
    return found[offset:count]


def _scored(
    memory: Memory, query: str, under: str, where: Mapping[str, JSON] | None, count: int
) -> tuple[list[StateHit], bool]:
    """The values that records led to, best first, and whether these are all there are."""
    namespaces = memory.values.namespaces(under)
    if not namespaces:
        return [], True
    # A search filters by equality alone. It returns more, and values elsewhere or unfit are sorted out here.
    filters = {"namespace": namespaces[0]} if len(namespaces) == 1 else None
    limit = min(count * _WIDER if where else count, MAX_LIMIT)
    while True:
        hits = memory.search(query, limit=limit, kinds="record", filters=filters)
        places = {
            (str(hit.metadata["namespace"]), str(hit.metadata["key"])): hit.score
            for hit in hits
            if hit.metadata["namespace"] in namespaces and hit.agent_id == memory.agent_id
        }
        entries = memory.values.read(list(places))
        fitting = [entry for entry in entries if entry and (not where or fits_conditions(entry.value, where))]
        complete = len(hits) < limit
        if complete or len(fitting) >= count or limit == MAX_LIMIT:
            return [StateHit(entry, places[entry.namespace, entry.key]) for entry in fitting], complete
        limit = min(limit * _WIDER, MAX_LIMIT)

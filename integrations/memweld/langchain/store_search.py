"""Searching the store by meaning: the records of a namespace and those below it, and then what has no text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..engine.filters import fits_conditions
from ..memory.memory import Memory
from ..models import JSON, ValueEntry
from ..validation import MAX_LIMIT

__all__ = ["Found", "search_records"]

_WIDER = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A value, and how well it fits the query; None for a value without a text."""

    entry: ValueEntry
    score: float | None


def search_records(
    memory: Memory, query: str, *, under: str, where: Mapping[str, JSON] | None, offset: int, limit: int
) -> list[Found]:
    """The values that fit best, best first, then those that have no text, in their order.

    Args:
        memory: Whose.
        query: What to look for.
        under: The namespace under which the values lie.
        where: What they must be.
        offset: How many are left out at the beginning.
        limit: How many at most.
    """
    wanted = offset + limit
    scored, complete = _scored(memory, query, under, where, wanted)
    found = scored[:wanted]
    if len(found) < wanted and complete:
        known = {(each.entry.namespace, each.entry.key) for each in scored}
        rest = memory.values.find(under, where=where, limit=wanted + len(known))
        found += [Found(entry, None) for entry in rest if (entry.namespace, entry.key) not in known]
    return found[offset:wanted]


def _scored(
    memory: Memory, query: str, under: str, where: Mapping[str, JSON] | None, wanted: int
) -> tuple[list[Found], bool]:
    """The values that records led to, best first, and whether these are all there are."""
    namespaces = memory.values.namespaces(under)
    if not namespaces:
        return [], True
    # A search filters by equality alone: what lies elsewhere, or does not fit, is sorted out of more.
    filters = {"namespace": namespaces[0]} if len(namespaces) == 1 else None
    asked = min(wanted * _WIDER if where else wanted, MAX_LIMIT)
    while True:
        hits = memory.search(query, limit=asked, kinds="record", filters=filters)
        places = {
            (str(hit.metadata["namespace"]), str(hit.metadata["key"])): hit.score
            for hit in hits
            if hit.metadata["namespace"] in namespaces and hit.agent_id == memory.agent_id
        }
        entries = memory.values.read(list(places))
        fitting = [entry for entry in entries if entry and (not where or fits_conditions(entry.value, where))]
        complete = len(hits) < asked
        if complete or len(fitting) >= wanted or asked == MAX_LIMIT:
            return [Found(entry, places[entry.namespace, entry.key]) for entry in fitting], complete
        asked = min(asked * _WIDER, MAX_LIMIT)

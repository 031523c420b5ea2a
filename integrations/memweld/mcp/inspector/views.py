"""What each page reads: functions from a visit to the variables of its template. They change nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ...adapters.failures import FailurePolicy
from ...adapters.options import TurnOptions
from ...adapters.recall import TurnRecall
from ...memory.memory import Memory
from ...memory.profile import DEFAULT_PROFILE_BUDGET
from ...memory.recall import DEFAULT_BUDGET
from ...models import ChatMessage, Hit, MemoryItem, Session
from ...validation import validate_key
from .graph_layout import star_of
from .timeline import REASONS
from .visit import KINDS, SOURCES, Filters, Visit, number_in

__all__ = [
    "conflicts",
    "erase",
    "graph",
    "memories",
    "memory",
    "overview",
    "preferences",
    "profile",
    "recall",
    "session",
    "sessions",
    "state",
    "tasks",
]

_log = logging.getLogger("memweld.mcp")

_PAGE = 50
_MOST_FOUND = 500
"""How far a person can page through the hits of one search."""

_STARTS = 6


def overview(visit: Visit) -> dict[str, Any]:
    """How much there is, and the latest of each kind."""
    memory = visit.memory
    return {
        "counts": {name: number for name, number in memory.counts().items() if number},
        "latest": memory.all(limit=5, newest_first=True) if visit.has("get_all_memories") else [],
        "preferences": (
            memory.all(limit=8, kinds="preference", newest_first=True) if visit.has("get_preferences") else []
        ),
        "sessions": memory.sessions()[:5] if visit.has("get_messages") else [],
    }


def memories(visit: Visit) -> dict[str, Any]:
    """Memories, the latest first, or the hits of a search with the parts of their scores."""
    filters = Filters.of(visit)
    if filters.query is not None and not visit.has("search_memories"):
        filters = replace(filters, query=None)
    if filters.query is None:
        page = visit.memory.all(limit=_PAGE, cursor=visit.given("cursor"), newest_first=True, **filters.search)
        items, further = page, None if page.next is None else {"cursor": page.next}
    else:
        items, further = _found(visit, filters, filters.query)
    visit.count = len(items)
    return {
        "filters": filters,
        "items": items,
        "further": further,
        "kinds": KINDS,
        "sources": SOURCES,
        "is_first": not visit.given("cursor") and not visit.given("offset"),
        "parts": {item.id: _parts(item) for item in items if isinstance(item, Hit)},
    }


def _found(visit: Visit, filters: Filters, query: str) -> tuple[list[Hit], dict[str, str] | None]:
    offset = number_in(visit.query, "offset", 0, _MOST_FOUND)
    hits = visit.memory.search(query, limit=offset + _PAGE + 1, explain=True, **filters.search)
    further = {"offset": str(offset + _PAGE)} if len(hits) > offset + _PAGE < _MOST_FOUND else None
    return hits[offset : offset + _PAGE], further


def _parts(hit: Hit) -> dict[str, Any]:
    """The parts of a score: bars of a hundredth each, and the words with theirs."""
    explanation = hit.explanation
    if explanation is None:
        return {"bars": [], "words": [], "recency": 1.0}
    bars, start = list[dict[str, Any]](), 0.0
    for name, share in explanation.shares.items():
        width = max(round(100 * share, 1), 0.0)
        if width:
            bars.append({"name": name, "share": share, "start": round(start, 1), "width": width})
            start += width
    words = [(each.word, each.weight) for each in explanation.matches]
    return {"bars": bars, "words": words, "recency": explanation.recency}


def memory(visit: Visit) -> dict[str, Any]:
    """One memory with all that is known of it, and those that stood in its place before and after."""
    item = visit.memory.get(visit.required("id"))
    versions = visit.memory.versions(item.id)
    with_it = {item.id}
    for each in reversed(versions):
        if each.superseded_by in with_it:
            with_it.add(each.id)
    return {"item": item, "versions": versions, "earlier": len(with_it) - 1, "reasons": REASONS}


def conflicts(visit: Visit) -> dict[str, Any]:
    """Pairs of memories that say different things of the same."""
    found = visit.memory.conflicts(limit=_PAGE + 1)
    visit.count = min(len(found), _PAGE)
    return {"pairs": found[:_PAGE], "has_more": len(found) > _PAGE}


def profile(visit: Visit) -> dict[str, Any]:
    """The block that stands before a model without a question, and its memories."""
    budget = number_in(visit.query, "budget", DEFAULT_PROFILE_BUDGET, 1_000_000) or DEFAULT_PROFILE_BUDGET
    made = visit.memory.profile(budget=budget)
    visit.count = sum(len(section.lines) for section in made.sections)
    return {"profile": made, "budget": budget}


def preferences(visit: Visit) -> dict[str, Any]:
    """The preferences, those that agents keep included."""
    return _keyed(visit, "preference")


def tasks(visit: Visit) -> dict[str, Any]:
    """The outcomes of tasks."""
    return _keyed(visit, "task")


def _keyed(visit: Visit, kind: Any) -> dict[str, Any]:
    cursor = visit.given("cursor")
    page = visit.memory.all(limit=_PAGE, kinds=kind, cursor=cursor, newest_first=True)
    visit.count = len(page)
    return {"items": page, "further": page.next and {"cursor": page.next}}


def state(visit: Visit) -> dict[str, Any]:
    """The namespaces, and the values of one of them and of those below it."""
    values, under = visit.memory.values, visit.given("namespace")
    offset = number_in(visit.query, "offset", 0, 1_000_000)
    # A blank namespace is all of them.
    entries = values.find(under or "", offset=offset, limit=_PAGE + 1)
    visit.count = min(len(entries), _PAGE)
    further = {"offset": str(offset + _PAGE)} if len(entries) > _PAGE else None
    return {
        "namespaces": values.namespaces()[:200],
        "namespace": under,
        "entries": entries[:_PAGE],
        "further": further,
    }


def sessions(visit: Visit) -> dict[str, Any]:
    """The conversations, the latest used first."""
    offset = number_in(visit.query, "offset", 0, 1_000_000)
    found = visit.memory.sessions()
    page: list[Session] = found[offset : offset + _PAGE]
    visit.count = len(page)
    further = {"offset": str(offset + _PAGE)} if len(found) > offset + _PAGE else None
    return {"sessions": page, "total": len(found), "further": further}


def session(visit: Visit) -> dict[str, Any]:
    """One conversation, a page of its messages."""
    history = visit.memory.history(visit.required("id"))
    messages = history.messages(_PAGE + 1, before=visit.given("before"))
    shown = messages[-_PAGE:]
    visit.count = len(shown)
    return {
        "session_id": history.session_id,
        "messages": [_message(message) for message in shown],
        "earlier": shown[0].id if len(messages) > _PAGE else None,
    }


def _message(message: ChatMessage) -> dict[str, Any]:
    parts = [] if isinstance(message.content, str) else message.content
    framework = (message.native or {}).get("framework")
    return {
        "message": message,
        "framework": framework if isinstance(framework, str) else None,
        "others": [str(part.get("type", "part")) for part in parts if part.get("type") != "text"],
    }


def recall(visit: Visit) -> dict[str, Any]:
    """The block that an adapter would put before a model, for a typed question."""
    query = visit.query
    limit = number_in(query, "limit", 5, 100)
    budget = number_in(query, "budget", DEFAULT_BUDGET, 1_000_000) or DEFAULT_BUDGET
    least, days = number_in(query, "least", 0, 100), number_in(query, "days", 0, 100_000)
    options = TurnOptions(
        recall_limit=limit,
        recall_budget=budget,
        min_score=least / 100 if visit.given("least") else None,
        recency=timedelta(days=days) if days else None,
    )
    question = visit.given("q")
    recalled = None
    if question is not None:
        recalled = TurnRecall(options, FailurePolicy("raise", _log)).recall(visit.memory, question)
        visit.count = len(recalled.hits)
    return {"question": question, "recalled": recalled, "limit": limit, "budget": budget}


def graph(visit: Visit) -> dict[str, Any]:
    """The entities that the graph links to an entity or a memory; without one, those of the latest memories."""
    about = visit.given("about")
    memory = visit.memory
    if not memory.has_graph:
        return {"about": None, "middle": None, "star": None, "related": [], "starts": []}
    if about is None:
        return {"about": None, "middle": None, "star": None, "related": [], "starts": _starts(memory)}
    related = memory.related(validate_key("about", about), limit=40)
    visit.count = len(related)
    # The name of an entity, or the id of a memory.
    item = _item(memory, about)
    title = about if item is None else item.text
    return {"about": about, "middle": title, "star": star_of(title, related), "related": related, "starts": []}


def _item(memory: Memory, memory_id: str) -> MemoryItem | None:
    from ...errors import MemoryNotFoundError

    try:
        return memory.get(memory_id)
    except MemoryNotFoundError:
        return None


def _starts(memory: Memory) -> Sequence[str]:
    """Entities of the latest memories, from which a person can go on."""
    names: dict[str, None] = {}
    for item in memory.all(limit=_STARTS, newest_first=True):
        for each in memory.related(item.id, limit=10):
            names |= dict.fromkeys((*each.entities, *each.path))
    return list(names)[:24]


def erase(visit: Visit) -> dict[str, Any]:
    """What an erasure would remove."""
    return {"counts": {name: number for name, number in visit.memory.counts().items() if number}, "mistyped": False}

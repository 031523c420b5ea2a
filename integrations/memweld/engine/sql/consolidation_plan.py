"""The plan of a consolidation: duplicates by their canonical form, expired rows, long chains of versions, sessions.

A plan takes time in proportion to the number of memories: they are grouped by a key, and no pair is compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter
from typing import NamedTuple

from ...consolidation import ConsolidationPlan, ConsolidationStep, StepKind
from ...scope import Scope, known_timezone
from ...validation import local_time
from ..operations import ListSessions, PlanConsolidation
from ..operations.consolidation import MAX_STEPS
from ..statements.canonical import canonical_form, is_tied_to_its_day
from . import owners
from .database import Database
from .item_rows import ItemRow
from .items import Items
from .sessions import SessionStore
from .ttl import now

__all__ = ["SUMMARIZED", "duplicate_key", "plan_consolidation", "summarized_messages"]

SUMMARIZED = "summarized_messages"
"""The key in a summary's metadata: how many messages of its session it is of."""

_LONG_SESSION = 40
"""A session is long if it has so many messages, or so many more than its summary."""

_PAGE = 1_000


def plan_consolidation(
    database: Database, scope: Scope, operation: PlanConsolidation, *, can_summarize: bool
) -> ConsolidationPlan:
    """The steps for a scope (see `PlanConsolidation`)."""
    items = Items(database)
    with database.reading(scope):
        steps = chain(
            _expired(database, scope),
            _duplicates(items, scope, known_timezone(operation.timezone)),
            () if operation.keep_versions is None else _old_versions(items, scope, operation.keep_versions),
            _sessions(items, scope) if can_summarize and operation.summarize else (),
        )
        found = tuple(islice(steps, MAX_STEPS + 1))
    return ConsolidationPlan(steps=found[:MAX_STEPS], has_more=len(found) > MAX_STEPS)


def _expired(database: Database, scope: Scope) -> Iterator[ConsolidationStep]:
    with database.reading(scope) as connection:
        among = list(owners.contained(connection, scope))
        marks = ", ".join("?" * len(among)) or "NULL"
        count = sum(
            connection.execute(
                f"SELECT count(*) FROM {table} WHERE expires_at <= ? AND owner IN ({marks})", (now(), *among)
            ).fetchone()[0]
            for table in ("items", "state")
        )
    if count:
        yield ConsolidationStep(kind="expire", reason=f"{count:,} expired")


def duplicate_key(row: ItemRow, timezone: str | None) -> tuple[object, ...] | None:
    """Rows with an equal key say the same of the same person, up to the same time; None: the row equals no other.

    Args:
        row: The row.
        timezone: The zone in which days begin; None: that in which each row was said.
    """
    if row.kind != "item" or row.superseded_by is not None or not row.is_valid(now()):
        return None
    form = canonical_form(row.text)
    if form is None:
        return None
    day = local_time(datetime.fromisoformat(row.created_at), timezone).date() if is_tied_to_its_day(form) else None
    return form, day, row.relation, row.scope, row.role, row.name, row.source, row.valid_until, row.expires_at


def _duplicates(items: Items, scope: Scope, timezone: str | None) -> Iterator[ConsolidationStep]:
    first: dict[bytes, int] = {}
    groups: dict[bytes, list[int]] = {}
    for row in _pages(items, scope):
        key = duplicate_key(row, timezone)
        if key is not None:
            digest = hashlib.blake2b(repr(key).encode(), digest_size=16).digest()
            place = first.setdefault(digest, row.seq)
            if place != row.seq:
                groups.setdefault(digest, [place]).append(row.seq)
    for places in groups.values():
        rows = list(items.by_places(scope, places).values())
        # The latest one stays: all of them say the same.
        rows.sort(key=lambda row: (row.item().created_at, row.seq), reverse=True)
        yield _step("merge", rows, "they say the same")


def _pages(items: Items, scope: Scope) -> Iterator[ItemRow]:
    """All rows of free facts that are not superseded."""
    place = 0
    while rows := items.living(scope, after=place, limit=_PAGE):
        yield from rows
        place = rows[-1].seq


class _Version(NamedTuple):
    """A superseded row; ``ended_at`` tells the order in which they were superseded."""

    ended_at: float
    seq: int
    id: str


def _old_versions(items: Items, scope: Scope, keep: int) -> Iterator[ConsolidationStep]:
    versions: dict[str, list[_Version]] = {}
    place = 0
    while rows := items.superseded(scope, after=place, limit=_PAGE):
        for row in rows:
            if row.kind != "source" and row.superseded_by is not None:
                version = _Version(row.valid_until or 0.0, row.seq, row.id)
                versions.setdefault(row.superseded_by, []).append(version)
        place = rows[-1].seq
    superseded = {version.id for each in versions.values() for version in each}
    for living in versions.keys() - superseded:
        chained: list[_Version] = []
        following = [living]
        while following:
            found = [version for memory_id in following for version in versions.pop(memory_id, ())]
            chained += found
            following = [version.id for version in found]
        chained.sort()
        dropped = chained[1 : len(chained) - keep + 1] if keep > 1 else chained[: len(chained) - keep]
        if len(chained) > keep:
            rows = items.by_ids(scope, [version.id for version in dropped])
            ordered = [rows[version.id] for version in dropped if version.id in rows]
            yield _step("drop_versions", ordered, f"{living} has {len(chained)} earlier versions, {keep} stay")


def _sessions(items: Items, scope: Scope) -> Iterator[ConsolidationStep]:
    summaries = {row.session_id: row for row in items.with_metadata_key(scope, SUMMARIZED)}
    for session in SessionStore(items.database).sessions(scope, ListSessions()):
        summary = summaries.get(session.session_id)
        before = 0 if summary is None else summarized_messages(summary)
        if session.messages - before >= _LONG_SESSION:
            reason = f"{session.messages:,} messages, {before:,} of them summarised"
            step = _step("summarize", [] if summary is None else [summary], reason, session_id=session.session_id)
            yield step


def summarized_messages(row: ItemRow) -> int:
    """How many messages a summary is of; 0 where its metadata is another's."""
    count = json.loads(row.metadata).get(SUMMARIZED)
    return count if isinstance(count, int) else 0


def _step(kind: StepKind, rows: Sequence[ItemRow], reason: str, session_id: str | None = None) -> ConsolidationStep:
    return ConsolidationStep(
        kind=kind,
        ids=tuple(map(attrgetter("id"), rows)),
        texts=tuple(map(attrgetter("text"), rows)),
        reason=reason,
        session_id=session_id,
    )

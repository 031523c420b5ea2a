"""Consolidation of rows: the steps of a plan done in one transaction, and taken back in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from ...consolidation import ConsolidationReceipt, ConsolidationStep, ItemChange
from ...models import ChatMessage, MemoryItem
from ...scope import Scope, known_timezone
from ...validation import dump_json, utc_now
from ..export_data import owner_scope
from ..operations import Consolidate, ReadMessages
from .consolidation_plan import SUMMARIZED, duplicate_key
from .database import Connection, Database
from .item_rows import ItemRow, RowTemplate, row_of, text_hash
from .items import Items
from .mem0_entities import unlink
from .occurrences import merged
from .restore import EmbeddedTexts
from .sessions import SessionStore
from .supersession import ended
from .ttl import purge

__all__ = ["Consolidation", "Summary"]

_Rows: TypeAlias = "tuple[ItemRow | None, ItemRow | None]"
"""A row before and after a step; None: there is none."""

_MOST_CHARACTERS = 1_000_000
"""So many characters of memories a receipt holds at most: it must fit into one message to a server."""
_ROW_CHARACTERS = 400

_CHANGED = "it was changed meanwhile"
_FULL = "the receipt is full: consolidate again"
_GONE = "what has expired is gone for good"


class _SkippedError(Exception):
    """A step is not done, for the reason in the error. It is raised before the step's first write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The summary of a session.

    Attributes:
        text: The text; empty where there is none.
        problem: Why there is none.
        messages: The messages of the session that the LLM has seen, now or before.
        earlier: The summary of the first of them.
    """

    text: str = ""
    problem: str = ""
    messages: Sequence[ChatMessage] = ()
    earlier: str = ""


class Consolidation:
    """The steps for one scope.

    Args:
        database: The tables.
        scope: The scope.
        embedded: The vectors of the texts that are inserted.
    """

    def __init__(self, database: Database, scope: Scope, embedded: EmbeddedTexts) -> None:
        self._database = database
        self._items = Items(database)
        self._scope = scope
        self._embedded = embedded
        self._room = _MOST_CHARACTERS

    def run(
        self, operation: Consolidate, summaries: Mapping[str, Summary], is_current: Callable[[], bool]
    ) -> ConsolidationReceipt:
        """Do the steps of a plan (see `Consolidate`).

        Args:
            operation: The plan, and the zone of its days.
            summaries: The summaries, by session.
            is_current: Whether the scope was not erased since the summaries were made.
        """
        plan = operation.plan
        with self._database.writing(self._scope) as connection:
            purge(self._database, self._scope)
            known = summaries if is_current() else dict[str, Summary]()

            def rows_of(step: ConsolidationStep) -> Sequence[_Rows]:
                if step.kind == "merge":
                    return self._merged(step, known_timezone(operation.timezone))
                if step.kind == "drop_versions":
                    return self._dropped(step)
                if step.kind == "summarize":
                    return self._summarized(step, known.get(step.session_id or "", Summary(problem=_CHANGED)))
                return ()  # what has expired is gone

            done, skipped = self._each(connection, plan.steps, rows_of)
        has_more = plan.has_more or any(step.reason == _FULL for step in skipped)
        return ConsolidationReceipt(made_at=utc_now(), done=done, skipped=skipped, has_more=has_more)

    def undo(self, receipt: ConsolidationReceipt) -> ConsolidationReceipt:
        """Take back the steps of a receipt, the last one first (see `UndoConsolidation`)."""
        with self._database.writing(self._scope) as connection:
            purge(self._database, self._scope)
            done, skipped = self._each(connection, receipt.done[::-1], self._undone)
        return ConsolidationReceipt(made_at=utc_now(), done=done, skipped=skipped)

    def _each(
        self,
        connection: Connection,
        steps: Sequence[ConsolidationStep],
        rows_of: Callable[[ConsolidationStep], Sequence[_Rows]],
    ) -> tuple[tuple[ConsolidationStep, ...], tuple[ConsolidationStep, ...]]:
        """Write the rows of each step; the steps that were done, with their changes, and those that were not."""
        done: list[ConsolidationStep] = []
        skipped: list[ConsolidationStep] = []
        for step in steps:
            try:
                rows = rows_of(step)
                changes = tuple(ItemChange(before=_item(before), after=_item(after)) for before, after in rows)
                self._take_room(rows)
            except _SkippedError as reason:
                skipped.append(replace(step, reason=str(reason), changes=()))
                continue
            for before, after in rows:
                self._write(connection, before, after)
            texts = step.texts
            if step.kind == "summarize":
                texts = tuple(change.after.text for change in changes if change.after and not change.before)
            done.append(replace(step, texts=texts, changes=changes))
        return tuple(done), tuple(skipped)

    def _take_room(self, rows: Sequence[_Rows]) -> None:
        size = sum(
            _ROW_CHARACTERS + len(row.text) + len(row.metadata) + len(row.occurrences or "") + len(row.links or "")
            for pair in rows
            for row in pair
            if row is not None
        )
        if size > self._room:
            raise _SkippedError(_FULL)
        self._room -= size

    def _write(self, connection: Connection, before: ItemRow | None, after: ItemRow | None) -> None:
        if after is not None and before is not None:
            self._items.rewrite_details(after)
        elif after is not None:
            self._embedded.record_embedder(connection)
            self._items.insert(after, *self._embedded.texts[after.text][1:])
        elif before is not None:
            self._items.remove(self._scope, before.id)
            unlink(connection, self._scope, before.id)

    # the steps

    def _merged(self, step: ConsolidationStep, timezone: str | None) -> list[_Rows]:
        """The latest row with the occurrences, links and pin of the others, and these superseded by it."""
        rows = self._rows(step.ids)
        keys = {duplicate_key(row, timezone) for row in rows}
        if len(rows) < 2 or len(keys) > 1 or None in keys:
            raise _SkippedError(_CHANGED)
        kept, *others = rows
        moment = utc_now()
        at = moment.isoformat()
        result = kept
        changes: list[_Rows] = []
        for row in others:
            result = merged(result, row, is_dated=False)
            after = ended(row, by=kept.id, at=moment.timestamp(), changed_by="consolidate", updated_at=at)
            changes.append((row, replace(after, pinned_at=None, links=None)))
        pins = [row.pinned_at for row in rows if row.pinned_at is not None]
        # What was known of it, and when, stays answerable: the others say so with their own times.
        result = replace(result, created_at=kept.created_at, pinned_at=min(pins, default=None))
        if result != kept:
            # Later than before, for a restoration; and yet no recent change, since it says nothing new.
            latest = max(datetime.fromisoformat(row.updated_at) for row in rows)
            result = replace(result, updated_at=(latest + timedelta(microseconds=1)).isoformat())
        return [(kept, result), *changes, *self._linked_instead(others, kept.id, at)]

    def _linked_instead(self, rows: Sequence[ItemRow], kept: str, at: str) -> Iterator[_Rows]:
        """The sources of these rows, linked to the row that stays instead."""
        gone = {row.id for row in rows}
        sources = {source.id: source for row in rows for source in self._items.linked(row)}
        for source in sources.values():
            ids = dict.fromkeys(kept if each in gone else each for each in source.linked_ids)
            yield source, replace(source, links=dump_json(list(ids)), updated_at=at)

    def _dropped(self, step: ConsolidationStep) -> list[_Rows]:
        """Rows that are superseded deleted, and those that they supersede put under the next one that stays."""
        rows = self._rows(step.ids)
        if not rows or any(row.superseded_by is None for row in rows):
            raise _SkippedError(_CHANGED)
        gone = {row.id: row for row in rows}
        for row in rows:
            for source in self._items.linked(row):
                if source.superseded_by is not None and gone.keys() >= set(source.linked_ids):
                    gone[source.id] = source
        changes: list[_Rows] = []
        at = utc_now().isoformat()
        for row in self._items.superseded_by(self._scope, step.ids):
            following = row.superseded_by
            if row.id not in gone and following in gone:
                while following in gone:
                    following = gone[following].superseded_by
                changes.append((row, replace(row, superseded_by=following, updated_at=at)))
        return [*((row, None) for row in gone.values()), *changes]

    def _summarized(self, step: ConsolidationStep, summary: Summary) -> list[_Rows]:
        """A summary, in the place of the one before."""
        if not summary.text:
            raise _SkippedError(summary.problem)
        former = self._rows(step.ids)
        digest = text_hash(summary.text)
        if any(row.superseded_by for row in former) or self._items.by_hash(self._scope, digest) is not None:
            raise _SkippedError(_CHANGED)
        # The session may have been cleared while the LLM answered, or a message or the former summary changed.
        session = SessionStore(self._database).read(self._scope, ReadMessages(session_id=step.session_id or ""))
        seen = session[: len(summary.messages)], "".join(row.text for row in former[:1])
        if seen != (list(summary.messages), summary.earlier):
            raise _SkippedError(_CHANGED)
        moment = utc_now()
        template = RowTemplate(
            session_id=step.session_id,
            metadata=dump_json({SUMMARIZED: len(summary.messages)}),
            extraction="extracted",
            source="agent",
        )
        added = template.row(self._scope, summary.text, moment.isoformat())
        end, at = moment.timestamp(), moment.isoformat()
        superseded = (ended(row, by=added.id, at=end, changed_by="consolidate", updated_at=at) for row in former)
        return [(None, added), *zip(former, superseded, strict=True)]

    def _rows(self, ids: Sequence[str]) -> list[ItemRow]:
        """The rows with these ids, in order.

        Raises:
            _SkippedError: The scope has not all of them any more.
        """
        found = self._items.by_ids(self._scope, ids)
        if len(found) < len(set(ids)):
            raise _SkippedError(_CHANGED)
        return [found[memory_id] for memory_id in dict.fromkeys(ids)]

    # undoing

    def _undone(self, step: ConsolidationStep) -> list[_Rows]:
        """The rows as they were before a step."""
        if step.kind == "expire":
            raise _SkippedError(_GONE)
        ids = [change.memory_id for change in step.changes]
        current = self._items.by_ids(self._scope, ids)
        if len(set(ids)) < len(ids) or any(
            _item(current.get(change.memory_id)) != change.after for change in step.changes
        ):
            raise _SkippedError(_CHANGED)
        rows: list[_Rows] = []
        for change in step.changes:
            now, before = current.get(change.memory_id), self._row(change.before)
            self._check_place(now, before, ids)
            if now is not None and before is not None:
                # Users see neither, so that no receipt has them.
                own = (None, None) if before.superseded_by is None else (now.own_end, now.own_expiry)
                before = replace(before, relation=now.relation, own_end=own[0], own_expiry=own[1])
            rows.append((now, before))
        return rows

    def _row(self, item: MemoryItem | None) -> ItemRow | None:
        if item is None:
            return None
        return row_of(item, owner_scope(self._scope, item.agent_id), text_hash(item.text))

    def _check_place(self, now: ItemRow | None, before: ItemRow | None, ids: Sequence[str]) -> None:
        """Make sure that a row may take its place again.

        Raises:
            _SkippedError: Another row says the same now, or the one that supersedes it is gone.
        """
        if before is None:
            return
        if now is None and before.key is not None and before.superseded_by is None:
            raise _SkippedError(_CHANGED)  # no consolidation deletes the value of a key
        if now is not None and (now.text, now.kind, now.key, now.scope) != (
            before.text,
            before.kind,
            before.key,
            before.scope,
        ):
            raise _SkippedError(_CHANGED)
        if before.superseded_by is None:
            same = self._items.by_hash(before.scope, before.hash, before.kind)
            if same is not None and same.id != before.id and before.key is None:
                raise _SkippedError(f"{same.id} says the same now")
        elif before.superseded_by not in ids and self._items.get(self._scope, before.superseded_by) is None:
            raise _SkippedError(_CHANGED)


def _item(row: ItemRow | None) -> MemoryItem | None:
    return None if row is None else row.item()

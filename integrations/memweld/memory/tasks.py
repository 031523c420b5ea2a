"""Tasks: what came of the user's tasks, exact by id and found by meaning."""

from __future__ import annotations

from collections.abc import Mapping

from ..display import MOST_ROWS, Displayed, ResultList, html_table, shown_fields
from ..engine.operations import GetKeyed, ListItems, PutKeyed, Search
from ..engine.protocol import Engine
from ..errors import invalid
from ..models import JSON, MemoryItem, TaskOutcome
from ..scope import Scope
from ..validation import MAX_LIMIT, validate_key, validate_limit, validate_metadata, validate_text
from .asynchronous import AsyncFacade, async_method
from .preferences import keyed_versions

__all__ = ["AsyncTasks", "Tasks"]

_VERDICTS = {True: " (succeeded)", False: " (failed)", None: ""}


class Tasks(Displayed):
    """The outcomes of the user's tasks: exact by id, and similar ones found by meaning."""

    def __init__(self, engine: Engine, scope: Scope) -> None:
        self._engine = engine
        self._scope = scope

    def __repr__(self) -> str:
        return f"<Tasks of {self._scope}>"

    def _html(self) -> str:
        items = self._engine.run(self._scope, ListItems(limit=MOST_ROWS, kinds=["task"], newest_first=True)).items
        return html_table([shown_fields(_outcome(item, score=1.0)) for item in items], title=repr(self))

    def record(
        self,
        task_id: str,
        *,
        outcome: str,
        success: bool | None = None,
        metadata: Mapping[str, JSON] | None = None,
    ) -> TaskOutcome:
        """Record what came of a task, in the place of an earlier outcome, which becomes an earlier version.

        Args:
            task_id: 1 to 512 characters; a name that says something (``"ship-42"``) helps to find similar tasks.
            outcome: What happened, in words.
            success: Whether it went well; None where that is not known.
            metadata: Your own JSON data; the keys ``outcome`` and ``success`` are taken.

        Raises:
            InvalidInputError: An argument breaks a rule.
        """
        task_id = validate_key("task_id", task_id)
        outcome = validate_text("outcome", outcome)
        if success is not None and not isinstance(success, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise invalid("success", success, "it must be true, false or null", "Say whether the task went well.")
        own = validate_metadata(metadata)
        if taken := {"outcome", "success"} & set(own):
            raise invalid("metadata", own, f"the key {min(taken)!r} is taken", "Rename it.")
        operation = PutKeyed(
            kind="task",
            key=task_id,
            text=validate_text("task", f"{task_id}: {outcome}{_VERDICTS[success]}"),
            metadata={**own, "outcome": outcome, "success": success},
        )
        return _outcome(self._engine.run(self._scope, operation), score=1.0)

    def versions(self, task_id: str) -> list[TaskOutcome]:
        """The outcomes of a task, oldest first; empty where none is recorded. Up to 100 earlier outcomes stay."""
        items = keyed_versions(self._engine, self._scope, GetKeyed(kind="task", key=task_id))
        return ResultList(_outcome(item, score=1.0) for item in items)

    def context(self, task_id: str, *, limit: int = 5) -> list[TaskOutcome]:
        """The known outcomes for a task: its own first (score 1.0), then those of similar tasks.

        Args:
            task_id: The id of a recorded task, or a description of a new one.
            limit: How many outcomes at most, 1 to 10,000.
        """
        task_id = validate_key("task_id", task_id)
        limit = validate_limit(limit)
        own = self._engine.run(self._scope, GetKeyed(kind="task", key=task_id))
        outcomes = [] if own is None else [_outcome(own, score=1.0)]
        query = task_id if own is None else own.text
        search = Search(query=query, limit=min(limit + 1, MAX_LIMIT), kinds=["task"])
        hits = self._engine.run(self._scope, search)
        outcomes += [_outcome(hit, score=hit.score) for hit in hits if own is None or hit.id != own.id]
        return ResultList(outcomes[:limit])


class AsyncTasks(AsyncFacade[Tasks]):
    """`Tasks` for async code."""

    record = async_method(Tasks.record, lane="write")
    versions = async_method(Tasks.versions)
    context = async_method(Tasks.context, lane="search")


def _outcome(item: MemoryItem, *, score: float) -> TaskOutcome:
    metadata = dict(item.metadata)
    outcome = metadata.pop("outcome", item.text)
    success = metadata.pop("success", None)
    return TaskOutcome(
        task_id=item.key or item.id,
        outcome=outcome,
        success=success,
        metadata=metadata,
        recorded_at=item.updated_at,
        score=score,
    )

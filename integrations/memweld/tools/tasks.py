"""The toolset ``tasks``: what came of a user's tasks."""

from __future__ import annotations

from pydantic import Field

from ..memory.memory import Memory
from ..models import JSON, TaskOutcome
from .answers import as_utc, numbered
from .arguments import Arguments
from .memory import MAX_SEARCH_LIMIT
from .run import Answer, tool

__all__ = ["TASKS_TOOLS"]


class GetTaskContext(Arguments):
    """Arguments of ``get_task_context``."""

    task_id: str = Field(description="The task's id, or a description of it.")
    limit: int = Field(default=5, ge=1, le=MAX_SEARCH_LIMIT, description="How many outcomes at most; 5 if left out.")


class RecordTaskOutcome(Arguments):
    """Arguments of ``record_task_outcome``."""

    task_id: str = Field(description="The task's id; an earlier outcome of it is replaced.")
    outcome: str = Field(description="What came of it, in words.")
    success: bool | None = Field(default=None, description="Whether it went well.")


def _outcome_data(outcome: TaskOutcome) -> dict[str, JSON]:
    return {
        "task_id": outcome.task_id,
        "outcome": outcome.outcome,
        "success": outcome.success,
        "recorded_at": as_utc(outcome.recorded_at),
        "score": round(outcome.score, 4),
    }


@tool(
    "tasks",
    "Before a task: read what came of it, and of similar tasks, the last time.",
    {"task_id": "ship-42"},
    read_only=True,
)
def _get_task_context(memory: Memory, arguments: GetTaskContext) -> Answer:
    outcomes = memory.tasks.context(arguments.task_id, limit=arguments.limit)
    verdict = {True: "succeeded", False: "failed", None: "no verdict"}
    lines = (
        f"{outcome.task_id} ({verdict[outcome.success]}, {outcome.recorded_at:%Y-%m-%d}): {outcome.outcome}"
        for outcome in outcomes
    )
    head = f"Found {len(outcomes)} task outcomes for {memory.scope}{':' if outcomes else ''}"
    return Answer(head + numbered(lines), {"outcomes": [_outcome_data(outcome) for outcome in outcomes]})


@tool(
    "tasks",
    "After a task: record what came of it, so that the next attempt can learn from it.",
    {"task_id": "ship-42", "outcome": "Delivered a day late", "success": False},
    destructive=True,
)
def _record_task_outcome(memory: Memory, arguments: RecordTaskOutcome) -> Answer:
    outcome = memory.tasks.record(arguments.task_id, outcome=arguments.outcome, success=arguments.success)
    return Answer(f"Outcome of task {outcome.task_id} recorded for {memory.scope}", {"outcome": _outcome_data(outcome)})


TASKS_TOOLS = (_get_task_context, _record_task_outcome)

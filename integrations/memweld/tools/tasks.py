"""The toolset ``tasks``: what came of a user's tasks."""

from __future__ import annotations

from pydantic import Field

from ..memory.memory import Memory
from ..models import JSON, TaskOutcome
from .answers import (
    Excerpt,
    as_utc,
    bad_cursor,
    entry_page,
    excerpts,
    in_pages,
    named,
    next_page,
    numbered,
    text_cursor,
    text_place,
)
from .arguments import Arguments, Cursor
from .memory import MAX_SEARCH_LIMIT
from .run import Answer, tool

__all__ = ["TASKS_TOOLS"]

_CONTEXT = "get_task_context"


class GetTaskContext(Arguments):
    """Arguments of ``get_task_context``."""

    task_id: str = Field(description="The task's id, or a description of it.")
    limit: int = Field(default=5, ge=1, le=MAX_SEARCH_LIMIT, description="How many outcomes at most; 5 if left out.")
    cursor: Cursor = None


class RecordTaskOutcome(Arguments):
    """Arguments of ``record_task_outcome``."""

    task_id: str = Field(description="The task's id; an earlier outcome of it is replaced.")
    outcome: str = Field(description="What came of it, in words.")
    success: bool | None = Field(default=None, description="Whether it went well.")


def _outcome_data(outcome: TaskOutcome, cut: Excerpt) -> dict[str, JSON]:
    data: dict[str, JSON] = {
        "task_id": outcome.task_id,
        "outcome": cut.text,
        "success": outcome.success,
        "recorded_at": as_utc(outcome.recorded_at),
        "score": round(outcome.score, 4),
    }
    return data | {"more_characters": cut.more, "cursor": text_cursor(outcome.task_id)} if cut.more else data


@tool(
    "tasks",
    "Before a task: read what came of it, and of similar tasks, the last time.",
    {"task_id": "ship-42"},
    read_only=True,
)
def _get_task_context(memory: Memory, arguments: GetTaskContext) -> Answer:
    if arguments.cursor is not None:
        return _whole_outcome(memory, arguments.cursor)
    outcomes = memory.tasks.context(arguments.task_id, limit=arguments.limit)
    verdict = {True: "succeeded", False: "failed", None: "no verdict"}
    cuts = excerpts((outcome.outcome for outcome in outcomes), query=arguments.task_id)
    lines: list[str] = []
    for outcome, cut in zip(outcomes, cuts, strict=True):
        head = f"{outcome.task_id} ({verdict[outcome.success]}, {outcome.recorded_at:%Y-%m-%d})"
        lines.append(f"{head}: {cut.line(in_pages(_CONTEXT, text_cursor(outcome.task_id)))}")
    text = f"Found {len(outcomes)} task outcomes for {memory.scope}{':' if outcomes else ''}{numbered(lines)}"
    return Answer(text, {"outcomes": list(map(_outcome_data, outcomes, cuts))})


def _whole_outcome(memory: Memory, cursor: str) -> Answer:
    place = text_place(cursor)
    outcome = None if place is None else next(iter(memory.tasks.context(place[0], limit=1)), None)
    if place is None or outcome is None or outcome.task_id != place[0]:
        raise bad_cursor(cursor)
    page, part, following = entry_page(_CONTEXT, cursor, outcome.outcome, place[1])
    data: dict[str, JSON] = {"task_id": outcome.task_id, "part": part}
    return Answer(f"Outcome of task {named(outcome.task_id)}: {page}", data | next_page(following))


@tool(
    "tasks",
    "After a task: record what came of it, so that the next attempt can learn from it.",
    {"task_id": "ship-42", "outcome": "Delivered a day late", "success": False},
    destructive=True,
)
def _record_task_outcome(memory: Memory, arguments: RecordTaskOutcome) -> Answer:
    outcome = memory.tasks.record(arguments.task_id, outcome=arguments.outcome, success=arguments.success)
    data = _outcome_data(outcome, excerpts([outcome.outcome])[0])
    return Answer(f"Outcome of task {named(outcome.task_id)} recorded for {memory.scope}", {"outcome": data})


TASKS_TOOLS = (_get_task_context, _record_task_outcome)

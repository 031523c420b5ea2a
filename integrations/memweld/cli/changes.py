"""The commands for memories that change: earlier versions, consolidation and its undoing."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    AsJson,
    MemoryId,
    Url,
    User,
    counted,
    existing,
    local_day,
    read_json,
    show,
    show_json,
    text_or_stdin,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..consolidation import ConsolidationPlan, ConsolidationReceipt, ConsolidationStep
    from ..memory.memory import Memory

__all__ = [
    "conflicts_command",
    "consolidate_command",
    "keep_both_command",
    "supersede_command",
    "undo_command",
    "update_command",
    "versions_command",
]

_DONE = {"merge": "merged", "expire": "deleted", "drop_versions": "versions deleted", "summarize": "summarised"}


def consolidate_command(
    user: User,
    *,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else only the plan is shown.")] = False,
    receipt: Annotated[
        Path | None, typer.Option(help="With --apply: a new file for the receipt, which `memweld undo` takes.")
    ] = None,
    keep_versions: Annotated[
        int | None, typer.Option(help="So many earlier versions of a memory stay; all if not given.", min=0, max=1_000)
    ] = None,
    summaries: Annotated[bool, typer.Option(help="Have the LLM, if there is one, summarise long sessions.")] = True,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Merge memories of a user that say the same, and delete what has expired."""
    from ..errors import InvalidInputError

    if receipt is not None and not apply:
        raise InvalidInputError("A plan has no receipt: pass --apply, or leave --receipt out.")
    if receipt is not None and os.path.lexists(receipt):
        # Nothing else undoes an earlier consolidation.
        raise InvalidInputError(
            f"The file {receipt} exists, perhaps an earlier receipt. Name a new one with --receipt."
        )
    with existing(url) as backend:
        memory = backend.user(user)
        plan = memory.consolidate(keep_versions=keep_versions, summarize=summaries)
        if not apply:
            if as_json:
                show_json(_all_of(plan))
            elif plan.steps:
                _show_steps(plan.steps)
                show("Nothing is changed yet: --apply does it; with --receipt FILE it can be undone.")
            else:
                show(f"There is nothing to consolidate for user {user}.")
            return
        result = memory.consolidate(plan=plan) if receipt is None else _apply(memory, plan, receipt)
    if as_json:
        show_json(_all_of(result))
        return
    _show_steps(result.done)
    for step in result.skipped:
        show(f"not done ({step.reason}): {step.kind}")
    show(f"Consolidated user {user}: {counted(len(result.done), 'steps')}")
    if receipt is not None:
        show(f"`memweld undo {receipt} --user {user}` takes it back.")
    elif result.done:
        show("Without --receipt FILE it cannot be undone; `memweld versions ID` shows what was merged.")
    if result.has_more:
        show(f"More is left: run it again{'' if receipt is None else ' with another --receipt'}.")


def _apply(memory: Memory, plan: ConsolidationPlan, receipt: Path) -> ConsolidationReceipt:
    """Do a plan. Without its receipt it cannot be undone, so the file comes first."""
    from ..files import open_private

    # Another process may have made its receipt since.
    with os.fdopen(open_private(receipt, new=True), "w", encoding="utf-8") as file:
        try:
            result = memory.consolidate(plan=plan)
        except BaseException:
            receipt.unlink(missing_ok=True)
            raise
        file.write(f"{json.dumps(result.to_dict(), ensure_ascii=False)}\n")
    return result


def _all_of(made: ConsolidationPlan | ConsolidationReceipt) -> object:
    """All fields, with whole times: `undo` reads a receipt back."""
    from pydantic import TypeAdapter

    return TypeAdapter(type(made)).dump_python(made, mode="json", warnings=False, fallback=dict)


def undo_command(
    file: Annotated[Path, typer.Argument(help="A receipt that `memweld consolidate` wrote.")],
    user: User,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take a consolidation back; memories that were changed since stay as they are."""
    receipt = read_json(file, "memweld consolidate --apply --receipt")
    with existing(url) as backend:
        result = backend.user(user).undo(receipt)
    if as_json:
        show_json(_all_of(result))
        return
    show(f"Undone for user {user}: {counted(len(result.done), 'steps')}")
    for step in result.skipped:
        show(f"not undone ({step.reason}): {step.kind} {', '.join(step.texts)}")


def versions_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """List the versions of a memory of a user, oldest first."""
    from ..safe_text import safe_for_terminal
    from ..validation import local_time

    with existing(url) as backend:
        memory = backend.user(user)
        versions = memory.versions(memory_id)
    if as_json:
        show_json({"versions": versions})
        return
    local = partial(local_time, timezone_name=memory.timezone)
    spans = [
        (local(item.valid_from or item.created_at), item.valid_until and local(item.valid_until)) for item in versions
    ]
    is_within_a_day = any(end is not None and start.date() == end.date() for start, end in spans)
    form, width = ("%Y-%m-%d %H:%M", 16) if is_within_a_day else ("%Y-%m-%d", 10)
    for item, (start, end) in zip(versions, spans, strict=True):
        until = "" if end is None else f"{end:{form}}"
        changed_by = item.changed_by or ""
        show(f"{item.id}  {start:{form}} – {until:{width}}  {changed_by:11}  {safe_for_terminal(item.text)}")


def update_command(
    memory_id: MemoryId,
    text: Annotated[str, typer.Argument(help="The new text; - reads it from stdin.")],
    user: User,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Replace the text of a memory of a user; the text before becomes an earlier version."""
    content = text_or_stdin(text)
    with existing(url) as backend:
        item = backend.user(user).update(memory_id, content)
    if as_json:
        show_json({"memory": item})
        return
    show(f"Updated memory {memory_id}")
    if item.superseded_by is not None:
        show(f"It is no longer true: memory {item.superseded_by} is in its place. Update that one if it is wrong.")
    if item.redacted:
        show(f"redacted: {', '.join(item.redacted)}")


def supersede_command(
    memory_id: MemoryId,
    user: User,
    by: Annotated[str, typer.Option(metavar="ID", help="The ID of the memory that replaces it.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Replace a memory of a user that is no longer true by another one."""
    with existing(url) as backend:
        item = backend.user(user).supersede(memory_id, by=by)
    if as_json:
        show_json({"memory": item})
    else:
        show(f"Memory {by} now replaces {memory_id}")


def keep_both_command(
    memory_id: MemoryId,
    other_id: Annotated[str, typer.Argument(metavar="ID", help="The ID of the other memory.")],
    user: User,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say that two memories of a user are both true."""
    with existing(url) as backend:
        backend.user(user).keep_both(memory_id, other_id)
    if as_json:
        show_json({"kept": [memory_id, other_id]})
    else:
        show(f"Memories {memory_id} and {other_id} are both true")


def conflicts_command(
    user: User,
    limit: Annotated[int, typer.Option(help="How many pairs at most, 1 to 10,000.", min=1, max=10_000)] = 100,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List pairs of memories of a user that say different things of the same, such as two homes."""
    from ..safe_text import safe_for_terminal

    with existing(url) as backend:
        memory = backend.user(user)
        pairs = memory.conflicts(limit=limit)
    if as_json:
        show_json({"conflicts": pairs})
        return
    for pair in pairs:
        for name, item in (("newer", pair.newer), ("older", pair.older)):
            show(f"{name}  {item.id}  {local_day(item.created_at, memory)}  {safe_for_terminal(item.text)}")
    remedy = "`memweld supersede OLDER --by NEWER` decides for one; `memweld keep-both` says that both are true."
    show(remedy if pairs else "There are none.")


def _show_steps(steps: Sequence[ConsolidationStep]) -> None:
    from ..safe_text import safe_for_terminal

    for step in steps:
        show(f"{_DONE[step.kind]}: {safe_for_terminal(step.reason)}")
        if step.session_id is not None:
            show(f"  session {safe_for_terminal(step.session_id)}")
        for number, text in enumerate(step.texts):
            note = "  (stays)" if step.kind == "merge" and number == 0 else ""
            show(f"  {safe_for_terminal(text)}{note}")

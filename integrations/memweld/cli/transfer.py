"""The commands ``memweld copy`` and ``memweld import``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, connected, counted, existing, show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..scope import Scope
    from ..transfer.copier import Copied
    from ..transfer.import_plan import Plan

__all__ = ["copy_command", "import_command"]


class Origin(str, Enum):
    """The program whose data are imported."""

    MEM0 = "mem0"
    BOTWIRE = "botwire"
    LANGCHAIN = "langchain"


FromToken = Annotated[
    str | None,
    typer.Option(envvar="MEMWELD_FROM_TOKEN", help="The token for FROM, if it is a server.", show_default=False),
]
ToToken = Annotated[
    str | None,
    typer.Option(envvar="MEMWELD_TO_TOKEN", help="The token for TO, if it is a server.", show_default=False),
]


SessionName = Annotated[
    str | None,
    typer.Option("--session", help="langchain: the session that a dump becomes. mem0: that of rows without a run_id."),
]
Namespaces = Annotated[
    list[str] | None, typer.Option("--namespace", help="botwire: a namespace to read; may be given several times.")
]
SourceToken = Annotated[
    str | None,
    typer.Option(envvar="MEMWELD_SOURCE_TOKEN", help="botwire: the token of its server.", show_default=False),
]
AllUsers = Annotated[bool, typer.Option("--all-users", help="mem0: every row for the user or agent that it names.")]


def copy_command(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The URL of the backend to read.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The URL of the backend to write.")],
    *,
    user: Annotated[
        str | None, typer.Option("--user", help="Copy this user, with what agents keep of the user.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="Copy this agent's own memory; with --user, its part of the user's.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Copy all users and agents.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be copied, and write nothing.")] = False,
    from_token: FromToken = None,
    to_token: ToToken = None,
    as_json: AsJson = False,
) -> None:
    """Copy memories from one backend to another and compare both. Interrupted, it continues where it was."""
    from ..errors import InvalidInputError
    from ..transfer.copier import copy

    if everybody == (user is not None or agent is not None):
        raise InvalidInputError("Say whom to copy: --user ID, --agent ID (or both), or --all.")
    with existing(source, from_token) as old, connected(target, to_token) as new:
        done = different = nonempty = 0
        rows: list[dict[str, object]] = []
        for report in copy(old, new, user_id=user, agent_id=agent, everybody=everybody, dry_run=dry_run):
            done += 1
            nonempty += not report.source.is_empty
            different += not (dry_run or report.equal)
            rows.append(_copied_row(report))
            # An empty scope deserves no line, unless the operator named it.
            if as_json:
                continue
            if not everybody or not report.source.is_empty or not (dry_run or report.equal):
                _show_copied(report, dry_run=dry_run)
    if not nonempty and not different:
        # A mistyped name must not look like a finished copy.
        whose = "" if everybody else " of the named user or agent"
        show(f"memweld: nothing was copied: FROM has nothing{whose}.", err=True, fg="red")
        raise typer.Exit(1)
    if as_json:
        show_json({"copied": rows, "different": different, "dry_run": dry_run})
        raise typer.Exit(1 if different else 0)
    if dry_run:
        show(f"Dry run: nothing was written. {done} scope(s) would be copied.")
    elif different:
        show(f"{different} of {done} scope(s) differ; see above.")
        raise typer.Exit(1)
    else:
        show(f"{done} scope(s) copied; both sides are equal.")


def _copied_row(report: Copied) -> dict[str, object]:
    return {
        "user_id": report.scope.user_id,
        "agent_id": report.scope.agent_id,
        "source": dict(report.source.counts),
        "target": None if report.target is None else dict(report.target.counts),
        "stored": report.stored,
        "equal": report.equal,
        "problem": report.problem,
    }


def _show_copied(report: Copied, *, dry_run: bool) -> None:
    show(f"{report.scope}: {_counted(report.source.counts)}")
    if report.problem is not None:
        show(f"  {' '.join(report.problem.split())}", fg="red")
    elif report.target is not None and not dry_run:
        show(f"  new or changed: {_counted(report.stored)}")
        if report.equal:
            show(f"  equal: {report.source.digest[:16]} on both sides")
        else:
            text = (
                f"  different: {report.source.digest[:16]} here, {report.target.digest[:16]} there, which has "
                f"{_counted(report.target.counts)}. It held something else or later before, or the source was "
                "written to meanwhile: then run it again."
            )
            show(text, fg="red")


def _counted(counts: Mapping[str, int]) -> str:
    from ..transfer.reader import STORES

    return ", ".join(counted(counts[store], store) for store in STORES if counts.get(store)) or "nothing"


def import_command(
    source: Annotated[str, typer.Argument(metavar="FILE_OR_URL", help="A file; for botwire the URL of its server.")],
    *,
    origin: Annotated[Origin, typer.Option("--from", help="The program that it comes from.", show_default=False)],
    user: Annotated[str | None, typer.Option("--user", envvar="MEMWELD_USER_ID", help="The user who gets it.")] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="The agent that keeps it; without --user its own memory.")
    ] = None,
    all_users: AllUsers = False,
    session: SessionName = None,
    namespace: Namespaces = None,
    as_state: Annotated[
        bool, typer.Option("--as-state", help="botwire: keep chat histories as values instead of sessions.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="botwire: replace values that are there and differ.")
    ] = False,
    table: Annotated[str, typer.Option(help="langchain: the table of a SQLChatMessageHistory.")] = "message_store",
    source_token: SourceToken = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be stored, and write nothing.")] = False,
    url: Annotated[
        str | None, typer.Option("--url", envvar="MEMWELD_URL", help="Where memory is kept.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import data of mem0, a botwire server or LangChain. A second run stores nothing twice."""
    from ..transfer.importers.botwire import read_botwire
    from ..transfer.importers.files import changed_at, load
    from ..transfer.importers.langchain import read_langchain_file
    from ..transfer.importers.mem0 import read_mem0

    scope = _requested_scope(origin, user, agent, all_users=all_users)
    if origin is Origin.MEM0:
        file = Path(source)
        plan = read_mem0(load(file), scope=scope, session_id=session, at=changed_at(file))
    elif origin is Origin.LANGCHAIN:
        plan = read_langchain_file(Path(source), scope=_required(scope), session_id=session, table=table)
    else:
        plan = read_botwire(
            source,
            namespace or [],
            scope=_required(scope),
            token=source_token,
            sessions=not as_state,
        )
    if not as_json:
        _show_plan(plan)
    if not dry_run:
        with connected(url) as backend:
            plan.store(backend, overwrite=overwrite)
    if as_json:
        show_json(_import_row(plan, dry_run=dry_run))
    elif dry_run:
        show("Dry run: nothing was written.")
    else:
        _show_stored(plan)


def _import_row(plan: Plan, *, dry_run: bool) -> dict[str, object]:
    scopes = [
        {"user_id": scope.user_id, "agent_id": scope.agent_id, "counts": dict(plan.counts_of(parts))}
        for scope, parts in sorted(plan.parts.items(), key=lambda pair: str(pair[0]))
    ]
    return {
        "scopes": scopes,
        "skipped": dict(plan.skipped),
        "stored": dict(plan.stored),
        "merged": plan.merged,
        "unchanged": plan.unchanged,
        "left": plan.left,
        "dry_run": dry_run,
    }


def _requested_scope(origin: Origin, user: str | None, agent: str | None, *, all_users: bool) -> Scope | None:
    from ..errors import InvalidInputError
    from ..scope import Scope

    if all_users:
        if origin is not Origin.MEM0:
            raise InvalidInputError(f"--all-users is for mem0, whose rows name their users; {origin.value} has none.")
        return None
    if user is None and agent is None:
        raise InvalidInputError("Say whose memory it becomes: --user ID, --agent ID or both.")
    return Scope(user_id=user, agent_id=agent)


def _required(scope: Scope | None) -> Scope:
    assert scope is not None  # noqa: S101 - --all-users was refused
    return scope


def _show_plan(plan: Plan) -> None:
    for scope, parts in sorted(plan.parts.items(), key=lambda pair: str(pair[0])):
        show(f"{scope}: {_counted(plan.counts_of(parts))}")
    if not plan.parts:
        show("There is nothing to import.")
    for reason, count in plan.skipped.items():
        show(f"Skipped: {count} {reason}")


def _show_stored(plan: Plan) -> None:
    if plan.merged:
        show(f"Merged: {plan.merged} items with an equal text, which have their sessions and metadata now")
    if plan.unchanged:
        show(f"There already: {plan.unchanged}")
    show(f"New or changed: {_counted(plan.stored)}")
    if plan.left:
        differ = "value that differs" if plan.left == 1 else "values that differ"
        show(f"Left as it is: {plan.left} {differ}; --overwrite replaces what differs.")

"""The commands for operators."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from .options import AsJson, Url, connected, existing, show, show_json

__all__ = ["doctor_command", "migrate_command", "reindex_command", "stats_command", "users_command"]


def users_command(url: Url = None, as_json: AsJson = False) -> None:
    """List the users of whom something is stored."""
    with existing(url) as backend:
        users = backend.users()
    if as_json:
        show_json({"users": users})
        return
    for user in users:
        show(user)
    if not users:
        show("Nothing is stored of any user.")


def stats_command(
    user: Annotated[str | None, typer.Option("--user", help="Count for this user; for all if not given.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Count what is stored, of one user or of all."""
    with existing(url) as backend:
        users = backend.users() if user is None else [user]
        counts = {"users": len(users)} if user is None else {}
        for each in users:
            for store, count in backend.user(each).counts().items():
                counts[store] = counts.get(store, 0) + count
    if as_json:
        show_json(counts)
        return
    for store, count in counts.items():
        show(f"{store}: {count:,}")


def reindex_command(
    *,
    url: Url = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_EMBEDDER",
            help="The new embedder: static, fastembed, fastembed:MODEL, or a mem0 configuration as JSON.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Embed all memories again after a change of the embedder. Interrupted, it continues where it was."""
    from ..connect import connect

    with connect(url, embedder=_embedder(embedder)) as backend:
        done = backend.admin.reindex()
    if as_json:
        show_json({"embedded": done})
        return
    show(f"Embedded {done} memories again." if done else "Nothing to do: all memories are of this embedder.")


def _embedder(text: str | None) -> Any:
    """The ``embedder`` for `connect`, from the command line or the environment."""
    from ..errors import ConfigurationError

    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--embedder is not the JSON that it should be: {error}") from error


def migrate_command(
    *,
    url: Url = None,
    role: Annotated[
        str | None,
        typer.Option(help="Postgres: the role of the application, for which row-level security is put in force."),
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Postgres: make a new key, without which SQL cannot choose another user.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the tables of a database server to what this version works with."""
    with connected(url) as backend:
        migration = backend.admin.migrate(role=role, signed=signed)
    if as_json:
        show_json(None if migration is None else {"revision": migration.revision, "binding_key": migration.binding_key})
    elif migration is None:
        show("Nothing to do: this memory needs no migration by hand.")
    else:
        secured = f", with row-level security for the role {role}" if role else ""
        show(f"The tables are at revision {migration.revision}{secured}.")
        if migration.binding_key is not None:
            show(f"Add this to the URL of the application: binding_key={migration.binding_key}")


def doctor_command(
    *,
    url: Url = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Tell the graph, or the mem0 store, again what it has wrong.")
    ] = False,
    repair_user: Annotated[
        str | None, typer.Option(help="Tell the graph all of this user again.", show_default=False)
    ] = None,
    repair_all: Annotated[bool, typer.Option("--repair-all", help="Tell the graph all of everybody again.")] = False,
    forget_graph: Annotated[
        bool, typer.Option("--forget-graph", help="There is no graph any more: keep no changes for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show versions, settings and extras, and what is wrong with them."""
    from .doctor import Repair, examine
    from .doctor import forget_graph as forget

    if forget_graph:
        show(f"memweld: {forget(url)} changes wait for a graph no more.", err=True)
    request = Repair(repair_user, repair_all) if repair or repair_all or repair_user is not None else None
    findings = examine(url, repair=request)
    problems = sum(finding.problem for finding in findings)
    if as_json:
        show_json({"problems": problems, "findings": [dataclasses.asdict(finding) for finding in findings]})
        raise typer.Exit(1 if problems else 0)
    width = max(len(finding.label) for finding in findings)
    for finding in findings:
        show(f"{finding.label:<{width}}  {finding.text}", fg="red" if finding.problem else None)
    show(f"\n{problems} problem(s) found." if problems else "\nAll is well.")
    if problems:
        raise typer.Exit(1)

"""The commands for one user's memory."""

from __future__ import annotations

import json
import os
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    After,
    AsJson,
    AsOf,
    Before,
    Filter,
    IncludeInactive,
    Kinds,
    MemoryId,
    Session,
    Sources,
    Ttl,
    Url,
    User,
    conditions_of,
    connected,
    counted,
    existing,
    local_day,
    read_json,
    show,
    show_json,
    text_or_stdin,
)
from .tables import show_hits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..memory.memory import Memory
    from ..models import MemoryItem

__all__ = [
    "add_command",
    "delete_command",
    "erase_command",
    "export_command",
    "get_command",
    "list_command",
    "restore_command",
    "search_command",
    "sessions_command",
]


def add_command(
    text: Annotated[str, typer.Argument(help="What to remember; - reads it from stdin.")],
    user: User,
    *,
    supersedes: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A memory that is no longer true because of it; may be given several times."),
    ] = None,
    valid_from: Annotated[str | None, typer.Option(help="The day or time (ISO) from which on it is true.")] = None,
    valid_until: Annotated[str | None, typer.Option(help="The day or time (ISO) at which it stops being true.")] = None,
    created_at: Annotated[str | None, typer.Option(help="The day or time (ISO) at which it was said.")] = None,
    pinned: Annotated[bool, typer.Option("--pin", "--pinned", help="Pin it, so that the profile shows it.")] = False,
    ttl: Ttl = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remember something about a user."""
    from ..tools.answers import replaced_by

    content = text_or_stdin(text)
    with connected(url) as backend:
        memory = backend.user(user)
        latest = memory.all(limit=1, newest_first=True, include_inactive=True)
        items = memory.add(
            [{"role": "user", "content": content}],
            supersedes=supersedes or None,
            valid_from=valid_from,
            valid_until=valid_until,
            created_at=created_at,
            pinned=pinned,
            ttl=ttl,
        )
        added = _added(memory, items, latest)
        # What a known text superseded when it was new is no news.
        superseded = replaced_by(memory, items) if added or supersedes else []
        notes = () if as_json else _notes_on(memory, items, superseded)
    if as_json:
        show_json({"added": added, "memories": items, "superseded": superseded})
        return
    parts = [f"Added {counted(added, 'memories')} for user {user}"] if added or not items else []
    if added < len(items):
        parts.append(f"{len(items) - added} known already: nothing was added twice")
    show("; ".join(parts))
    for note in notes:
        show(note)


def _added(memory: Memory, items: Sequence[MemoryItem], latest: Sequence[MemoryItem]) -> int:
    """How many of the items are stored behind the one that was the latest; others may add and delete meanwhile."""
    ids, behind = {item.id for item in items}, {item.id for item in latest}
    newest = memory.all(limit=len(items) + 100, newest_first=True, include_inactive=True)
    return sum(item.id in ids for item in takewhile(lambda item: item.id not in behind, newest))


def _notes_on(memory: Memory, items: Sequence[MemoryItem], superseded: Sequence[MemoryItem]) -> list[str]:
    """Lines on what items replaced, what they conflict with, whether they hold now, and what is redacted in them."""
    from ..memory.recall import validity_note
    from ..safe_text import safe_for_terminal
    from ..tools.answers import conflicts_of

    others = [("supersedes", each) for each in superseded]
    others += [("conflicts with", each) for each in conflicts_of(memory, items)]
    notes = [f"{what} {other.id}  {safe_for_terminal(other.text)}" for what, other in others]
    notes += [f"not valid now{note}" for note in (validity_note(item, memory.timezone) for item in items) if note]
    return notes + [f"redacted: {', '.join(item.redacted)}" for item in items if item.redacted]


def search_command(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    user: User,
    *,
    limit: Annotated[int, typer.Option(help="How many memories at most, 1 to 10,000.", min=1, max=10_000)] = 10,
    min_score: Annotated[
        float | None, typer.Option(help="Only memories with at least this score.", min=0, max=1)
    ] = None,
    kinds: Kinds = None,
    sources: Sources = None,
    session: Session = None,
    after: After = None,
    before: Before = None,
    as_of: AsOf = None,
    include_inactive: IncludeInactive = False,
    filters: Filter = None,
    explain: Annotated[bool, typer.Option("--explain", help="With --json: also the parts of each score.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Find memories of a user, best first."""
    with existing(url) as backend:
        memory = backend.user(user)
        hits = memory.search(
            query,
            limit=limit,
            min_score=min_score,
            **conditions_of(kinds=kinds, sources=sources, session=session, after=after, before=before, filters=filters),
            as_of=as_of,
            include_inactive=include_inactive,
            explain=explain,
        )
    if as_json:
        show_json({"memories": hits})
    elif hits:
        show_hits(hits, memory.timezone)
    else:
        show(f"Nothing fits in what is remembered of user {user}.")


def list_command(
    user: User,
    *,
    limit: Annotated[int, typer.Option(help="How many memories at most, 1 to 10,000.", min=1, max=10_000)] = 100,
    cursor: Annotated[
        str | None, typer.Option("--cursor", "--after-cursor", help="The cursor that the page before ended with.")
    ] = None,
    kinds: Kinds = None,
    sources: Sources = None,
    session: Session = None,
    after: After = None,
    before: Before = None,
    as_of: AsOf = None,
    include_inactive: IncludeInactive = False,
    filters: Filter = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the memories of a user, oldest first."""
    from ..memory.recall import validity_note
    from ..safe_text import safe_for_terminal

    conditions = conditions_of(
        kinds=kinds, sources=sources, session=session, after=after, before=before, filters=filters
    )
    with existing(url) as backend:
        memory = backend.user(user)
        page = memory.all(limit=limit, cursor=cursor, as_of=as_of, include_inactive=include_inactive, **conditions)
    if as_json:
        show_json({"memories": page, "next": page.next})
        return
    for item in page:
        note = validity_note(item, memory.timezone)
        show(f"{item.id}  {local_day(item.created_at, memory)}  {safe_for_terminal(item.text)}{note}")
    if not page:
        has_conditions = any(value is not None for value in (as_of, *conditions.values()))
        what = "Nothing fits the conditions in what is" if has_conditions else "Nothing is"
        show(f"{what} remembered of user {user}.")
    elif page.next is not None:
        show(f"More follow: --cursor {page.next}")


def get_command(memory_id: MemoryId, user: User, url: Url = None, as_json: AsJson = False) -> None:
    """Show one memory of a user."""
    from ..safe_text import safe_for_terminal
    from ..tools.answers import item_data

    with existing(url) as backend:
        item = backend.user(user).get(memory_id)
    if as_json:
        show_json({"memory": item})
        return
    for name, value in item_data(item).items():
        show(f"{name}: {safe_for_terminal(value if isinstance(value, str) else json.dumps(value))}")


def delete_command(
    user: User,
    memory_id: Annotated[str | None, typer.Argument(metavar="ID", help="The memory's ID, or give conditions.")] = None,
    *,
    kinds: Kinds = None,
    sources: Sources = None,
    session: Session = None,
    after: After = None,
    before: Before = None,
    filters: Filter = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before deleting by conditions.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Delete one memory of a user, or those that meet all conditions."""
    from ..errors import InvalidInputError

    conditions = conditions_of(
        kinds=kinds, sources=sources, session=session, after=after, before=before, filters=filters
    )
    has_conditions = any(value is not None for value in conditions.values())
    if has_conditions == (memory_id is not None):
        raise InvalidInputError("Give either the ID of a memory, or conditions such as --session or --before.")
    with existing(url) as backend:
        memory = backend.user(user)
        if memory_id is not None:
            memory.delete(memory_id)
            deleted: str | int = memory_id
        else:
            if not yes:
                question = f"Delete what meets these conditions of user {user}? It cannot be undone."
                typer.confirm(question, abort=True, err=as_json)
            deleted = memory.delete_all(**conditions)
    if as_json:
        show_json({"deleted": deleted})
    else:
        show(f"Deleted memory {deleted}" if memory_id is not None else f"Deleted {counted(int(deleted), 'memories')}")


def sessions_command(user: User, url: Url = None, as_json: AsJson = False) -> None:
    """List the sessions of a user, the latest used first."""
    from ..safe_text import safe_for_terminal
    from ..tools.answers import as_utc

    with existing(url) as backend:
        sessions = backend.user(user).sessions()
    if as_json:
        show_json({"sessions": sessions})
        return
    for session in sessions:
        name = safe_for_terminal(session.session_id)
        show(f"{name}  {counted(session.messages, 'messages')}, the last at {as_utc(session.updated_at)}")
    if not sessions:
        show(f"User {user} has no sessions.")


def export_command(
    user: User,
    output: Annotated[Path | None, typer.Option(help="The file to write; stdout if not given, or -.")] = None,
    url: Url = None,
    as_json: Annotated[bool, typer.Option("--json", help="With a file: say in JSON how much is in it.")] = False,
) -> None:
    """Write all data of a user as JSON."""
    from ..errors import BackendUnavailableError, InvalidInputError
    from ..files import open_private

    with existing(url) as backend:
        memory = backend.user(user)
        counts = memory.counts()
        # A mistyped name must not look like a finished export.
        if not any(counts.values()):
            raise InvalidInputError(f"Nothing is stored of user {user!r}: `memweld users` lists those who are.")
        exported = memory.export()
    if output is None or str(output) == "-":
        show_json(exported)
        return
    try:
        # Only the owner of the file may read the export, as with the database.
        with os.fdopen(open_private(output), "w", encoding="utf-8") as file:
            file.write(f"{json.dumps(exported, ensure_ascii=False, indent=2)}\n")
    except OSError as error:
        raise BackendUnavailableError(f"Cannot write {output}: {error.strerror or error}") from error
    if as_json:
        show_json({"user_id": user, "file": str(output), "counts": counts})
        return
    stored = ", ".join(counted(count, store) for store, count in counts.items() if count)
    show(f"Exported user {user} to {output}: {stored}")


def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that `memweld export` wrote.")],
    user: User,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Put an exported user back, here or in another backend. A second time changes nothing."""
    exported = read_json(file, "memweld export")
    with connected(url) as backend:
        counts = backend.user(user).restore(exported)
    if as_json:
        show_json({"user_id": user, "counts": counts})
        return
    show(f"Restored user {user} from {file}")
    for store, count in counts.items():
        show(f"  {store}: {count}")


def erase_command(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove all data of a user. It cannot be undone."""
    with connected(url) as backend:
        memory = backend.user(user)
        if not yes:
            typer.confirm(
                f"Erase everything of user {user} in {backend.url}? It cannot be undone.", abort=True, err=as_json
            )
        receipt = memory.erase()
    if as_json:
        show_json(receipt)
        return
    show(f"Erased {receipt.total} rows of user {receipt.user_id} at {receipt.erased_at:%Y-%m-%dT%H:%M:%SZ}")
    for store, count in receipt.counts.items():
        show(f"  {store}: {count}")
    if receipt.graph == "pending":
        show("The graph follows when it can be reached again: `memweld doctor` says when it has.")

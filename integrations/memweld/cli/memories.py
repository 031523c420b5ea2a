"""The commands for one user's memory: add, search, export, restore, erase."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from .options import Url, User, connected

__all__ = ["add_command", "erase_command", "export_command", "restore_command", "search_command"]


def add_command(text: Annotated[str, typer.Argument(help="What to remember.")], user: User, url: Url = None) -> None:
    """Remember something about a user."""
    from ..tools import TOOLS

    with connected(url) as backend:
        arguments = {"messages": [{"role": "user", "content": text}]}
        typer.echo(TOOLS["add_memory"](backend.user(user), arguments).text)


def search_command(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    user: User,
    limit: Annotated[int, typer.Option(help="How many memories at most, 1 to 50.")] = 10,
    url: Url = None,
) -> None:
    """Find memories of a user."""
    from ..tools import TOOLS

    with connected(url) as backend:
        typer.echo(TOOLS["search_memories"](backend.user(user), {"query": query, "limit": limit}).text)


def export_command(
    user: User,
    output: Annotated[Path | None, typer.Option(help="The file to write; the screen if not given.")] = None,
    url: Url = None,
) -> None:
    """Write all data of a user as JSON."""
    from ..errors import BackendUnavailableError

    with connected(url) as backend:
        text = json.dumps(backend.user(user).export(), ensure_ascii=False, indent=2)
    if output is None:
        typer.echo(text)
        return
    try:
        # Only the owner of the file may read the export, as with the database; also where it is there already. A link
        # that another user made leads nowhere.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(output, flags, 0o600), "w", encoding="utf-8") as file:
            if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                os.fchmod(file.fileno(), 0o600)
            file.write(f"{text}\n")
    except OSError as error:
        raise BackendUnavailableError(f"Cannot write {output}: {error.strerror}") from error
    typer.echo(f"Exported user {user} to {output}")


def restore_command(
    file: Annotated[Path, typer.Argument(help="A file that `memweld export` wrote.")],
    user: User,
    url: Url = None,
) -> None:
    """Put an exported user back, here or in another backend. A second time changes nothing."""
    from ..errors import BackendUnavailableError, InvalidInputError

    try:
        exported = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{file} is not the JSON that `memweld export` writes: {error}") from error
    with connected(url) as backend:
        counts = backend.user(user).restore(exported)
    typer.echo(f"Restored user {user} from {file}")
    for store, count in counts.items():
        typer.echo(f"  {store}: {count}")


def erase_command(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
) -> None:
    """Remove all data of a user. It cannot be undone."""
    from ..urls import public_url

    with connected(url) as backend:
        memory = backend.user(user)
        if not yes:
            typer.confirm(
                f"Erase everything of user {user} in {public_url(backend.url)}? It cannot be undone.", abort=True
            )
        receipt = memory.erase()
    typer.echo(f"Erased {receipt.total} rows of user {receipt.user_id} at {receipt.erased_at:%Y-%m-%dT%H:%M:%SZ}")
    for store, count in receipt.counts.items():
        typer.echo(f"  {store}: {count}")
    if receipt.graph == "pending":
        typer.echo("The graph follows when it can be reached again: `memweld doctor` says when it has.")

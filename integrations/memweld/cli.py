"""The command line, ``memweld``: serve, demo, doctor, and what can be done with one user's memory.

Only typer is imported here; each command imports what it needs, so that ``--help`` and a server's start are quick.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from .backend import Backend

__all__ = ["app"]


class _Group(TyperGroup):
    """Commands whose errors, where they are memweld's own, are one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from .errors import MemweldError

        try:
            return super().invoke(ctx)
        except MemweldError as error:
            typer.secho(f"memweld: {' '.join(str(error).split())}", err=True, fg="red")
            raise typer.Exit(1) from error


app = typer.Typer(
    name="memweld",
    help="One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP.",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="MEMWELD_URL",
        help="Where memory is kept, e.g. sqlite:///team.db. The file in your data directory if not given.",
    ),
]
User = Annotated[
    str,
    typer.Option("--user", envvar="MEMWELD_USER_ID", help="Whose memory it is.", show_default=False),
]


class Transport(str, Enum):
    """How a server is reached."""

    STDIO = "stdio"


class Errors(str, Enum):
    """How a server answers a failed tool call."""

    JSONRPC = "jsonrpc"
    TOOL = "tool"


def _connect(url: str | None) -> Backend:
    from .backend import connect

    return connect(url)


def _show_version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        typer.echo(f"memweld {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP."""


@app.command()
def serve(
    *,
    url: Url = None,
    transport: Annotated[Transport, typer.Option(help="How clients reach the server.")] = Transport.STDIO,
    toolsets: Annotated[
        str | None,
        typer.Option(
            help="Which tools, with commas: memory, preferences, tasks, or names of tools. All sets if not given."
        ),
    ] = None,
    errors: Annotated[
        Errors, typer.Option(help="How a failed call is answered: a JSON-RPC error, or a result marked isError.")
    ] = Errors.JSONRPC,
    user: Annotated[
        str | None,
        typer.Option("--user", envvar="MEMWELD_USER_ID", help="The default user, for calls that name nobody."),
    ] = None,
    lock_user: Annotated[
        bool,
        typer.Option("--lock-user/--no-lock-user", envvar="MEMWELD_LOCK_USER", help="That user is the only one."),
    ] = False,
) -> None:
    """Serve the memory to MCP clients."""
    from .mcp import create_server

    chosen = None if toolsets is None else [word.strip() for word in toolsets.split(",") if word.strip()]
    with _connect(url) as backend:
        server = create_server(backend, errors=errors.value, toolsets=chosen, user_id=user, lock_user=lock_user)
        server.run(transport=transport.value)


@app.command()
def add(text: Annotated[str, typer.Argument(help="What to remember.")], user: User, url: Url = None) -> None:
    """Remember something about a user."""
    from .tools import TOOLS

    with _connect(url) as backend:
        spoken = {"messages": [{"role": "user", "content": text}]}
        typer.echo(TOOLS["add_memory"](backend.user(user), spoken).text)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    user: User,
    limit: Annotated[int, typer.Option(help="How many memories at most, 1 to 50.")] = 10,
    url: Url = None,
) -> None:
    """Find what is remembered about a user."""
    from .tools import TOOLS

    with _connect(url) as backend:
        typer.echo(TOOLS["search_memories"](backend.user(user), {"query": query, "limit": limit}).text)


@app.command()
def export(
    user: User,
    output: Annotated[Path | None, typer.Option(help="The file to write; the screen if not given.")] = None,
    url: Url = None,
) -> None:
    """Write out all that is kept of a user, as JSON."""
    from .errors import BackendUnavailableError

    with _connect(url) as backend:
        text = json.dumps(backend.user(user).export(), ensure_ascii=False, indent=2)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise BackendUnavailableError(f"Cannot write {output}: {error.strerror}") from error
    typer.echo(f"Exported user {user} to {output}")


@app.command()
def erase(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
) -> None:
    """Remove all that is kept of a user. It cannot be undone."""
    from .backend import redacted

    with _connect(url) as backend:
        memory = backend.user(user)
        if not yes:
            typer.confirm(
                f"Erase everything of user {user} in {redacted(backend.url)}? It cannot be undone.", abort=True
            )
        receipt = memory.erase()
    typer.echo(f"Erased {receipt.total} rows of user {receipt.user_id} at {receipt.erased_at:%Y-%m-%dT%H:%M:%SZ}")
    for store, count in receipt.counts.items():
        typer.echo(f"  {store}: {count}")


@app.command()
def doctor(url: Url = None) -> None:
    """Show versions, settings and extras, and what is wrong with them."""
    from .doctor import examine

    findings = examine(url)
    width = max(len(finding.label) for finding in findings)
    for finding in findings:
        typer.secho(f"{finding.label:<{width}}  {finding.text}", fg="red" if finding.problem else None)
    problems = sum(finding.problem for finding in findings)
    typer.echo(f"\n{problems} problem(s) found." if problems else "\nAll is well.")
    if problems:
        raise typer.Exit(1)


@app.command()
def demo(
    conversation: Annotated[
        Path | None, typer.Option(help="A JSON list of messages to read in and answer questions about.")
    ] = None,
    # Not from MEMWELD_URL: a demo plays in a file of its own unless it is told otherwise in so many words.
    url: Annotated[str | None, typer.Option(help="Where to play; a temporary file by default.")] = None,
) -> None:
    """Play a story that one memory carries through every framework."""
    from .demo.main import demo as play

    play(conversation=conversation, url=url)

"""The command line, ``memweld``: serve, demo, doctor, and what can be done with one user's memory.

Only typer is imported here; each command imports what it needs, so that ``--help`` and a server's start are quick.
"""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from .moving.commands import copy_command, import_command

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
    HTTP = "http"
    SSE = "sse"


class Errors(str, Enum):
    """How a server answers a failed tool call."""

    JSONRPC = "jsonrpc"
    TOOL = "tool"


def _connect(url: str | None) -> Backend:
    from .backend import connect

    return connect(url)


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


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
    transport: Annotated[
        Transport, typer.Option(help="How clients reach the server; http answers at /mcp, and SSE at /sse beside it.")
    ] = Transport.STDIO,
    host: Annotated[str, typer.Option(help="HTTP: the name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="HTTP: the port; 0 for any free one.", min=0, max=65535)] = 8710,
    stateless: Annotated[
        bool, typer.Option("--stateless", help="HTTP: no sessions, so that any replica may serve any request.")
    ] = False,
    allowed_hosts: Annotated[
        str | None, typer.Option(help="HTTP: names that clients may call the server by, with commas.")
    ] = None,
    allowed_origins: Annotated[
        str | None, typer.Option(help="HTTP: origins of web pages that may call, with commas.")
    ] = None,
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
    writes_per_day: Annotated[
        int | None,
        typer.Option(help="HTTP: how many values a user may store a day in a namespace of the key-value API.", min=1),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_AUTH",
            help="HTTP: whose tokens are accepted: tokens:FILE, jwt:FILE (a public key) or jwt:https://… (a key set).",
        ),
    ] = None,
    auth_issuer: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_ISSUER", help="JWT: who makes the tokens (iss).")
    ] = None,
    auth_audience: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_AUDIENCE", help="JWT: for whom they are made (aud).")
    ] = None,
    auth_scopes: Annotated[
        str | None, typer.Option(envvar="MEMWELD_AUTH_SCOPES", help="Scopes that every token needs, with commas.")
    ] = None,
    auth_algorithm: Annotated[
        str, typer.Option(envvar="MEMWELD_AUTH_ALGORITHM", help="JWT: the one algorithm that is accepted.")
    ] = "RS256",
    public_url: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_PUBLIC_URL",
            help="JWT: where clients reach the server, to tell them where tokens come from.",
        ),
    ] = None,
    insecure_open_to_anyone_who_connects: Annotated[
        bool,
        typer.Option(
            "--insecure-open-to-anyone-who-connects",
            help="HTTP: serve other machines without tokens. Whoever reaches the port reads and changes all memories.",
        ),
    ] = False,
) -> None:
    """Serve the memory to MCP clients."""
    from .errors import ConfigurationError
    from .mcp import create_server
    from .mcp.auth import auth_from

    over_http = transport is not Transport.STDIO
    if auth is not None and not over_http:
        raise ConfigurationError("stdio has no tokens: leave --auth out, or serve with --transport http.")
    if auth is not None and insecure_open_to_anyone_who_connects:
        raise ConfigurationError("--auth and --insecure-open-to-anyone-who-connects exclude each other.")
    provider = auth and auth_from(
        auth,
        issuer=auth_issuer,
        audience=auth_audience,
        required_scopes=_words(auth_scopes) or (),
        algorithm=auth_algorithm,
        public_url=public_url,
    )
    with _connect(url) as backend:
        server = create_server(
            backend,
            auth=provider or None,
            errors=errors.value,
            toolsets=_words(toolsets),
            user_id=user,
            lock_user=lock_user,
            writes_per_day=writes_per_day,
            insecure_open_to_anyone_who_connects=insecure_open_to_anyone_who_connects,
        )
        if not over_http:
            server.run()
            return
        server.run(
            transport=transport.value,
            host=host,
            port=port,
            stateless_http=stateless,
            allowed_hosts=_words(allowed_hosts),
            allowed_origins=_words(allowed_origins),
        )


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
        # All that is known of somebody is for its owner's eyes alone, as the database is.
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise BackendUnavailableError(f"Cannot write {output}: {error.strerror}") from error
    typer.echo(f"Exported user {user} to {output}")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `memweld export` wrote.")],
    user: User,
    url: Url = None,
) -> None:
    """Put back what was exported of a user, here or in another backend. To do it again changes nothing."""
    from .errors import BackendUnavailableError, InvalidInputError

    try:
        exported = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{file} is not the JSON that `memweld export` writes: {error}") from error
    with _connect(url) as backend:
        counts = backend.user(user).restore(exported)
    typer.echo(f"Restored user {user} from {file}")
    for store, count in counts.items():
        typer.echo(f"  {store}: {count}")


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
    if receipt.graph == "pending":
        typer.echo("The graph follows when it can be reached again: `memweld doctor` says when it has.")


app.command("copy")(copy_command)
app.command("import")(import_command)


@app.command()
def reindex(
    *,
    url: Url = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            envvar="MEMWELD_EMBEDDER",
            help="The new embedder: static, fastembed, fastembed:MODEL, or a mem0 configuration as JSON.",
        ),
    ] = None,
) -> None:
    """Embed all memories again after a change of the embedder. Interrupted, it continues where it was."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .backend import connect

    chosen = _embedder(embedder)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with connect(url, embedder=chosen) as backend, Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("Embedding", total=None)
        done = backend.reindex(lambda made, total: bar.update(task, completed=made, total=total))
        bar.update(task, completed=done, total=done)
    typer.echo(f"Embedded {done} memories again." if done else "Nothing to do: all memories are of this embedder.")


def _embedder(text: str | None) -> Any:
    """What `connect` takes, from what the command line or the environment says."""
    from .errors import ConfigurationError

    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--embedder is not the JSON that it should be: {error}") from error


@app.command()
def migrate(
    *,
    url: Url = None,
    role: Annotated[
        str | None,
        typer.Option(help="Postgres: the role of the application, for which row-level security is put in force."),
    ] = None,
    signed: Annotated[
        bool, typer.Option("--signed", help="Postgres: make a new key, without which SQL cannot choose another user.")
    ] = False,
) -> None:
    """Bring the tables of a database server to what this version works with."""
    with _connect(url) as backend:
        revision = backend.migrate(role=role, signed=signed)
    if revision is None:
        typer.echo("Nothing to do: this memory needs no migration by hand.")
    else:
        secured = f", with row-level security for the role {role}" if role else ""
        revision, _, key = revision.partition(" ")
        typer.echo(f"The tables are at revision {revision}{secured}.")
        if key:
            typer.echo(f"Add this to the URL of the application: binding_key={key}")


@app.command()
def doctor(
    *,
    url: Url = None,
    repair: Annotated[bool, typer.Option("--repair", help="Tell the graph again what it has wrong.")] = False,
    repair_user: Annotated[
        str | None, typer.Option(help="Tell the graph all of this user again.", show_default=False)
    ] = None,
    repair_all: Annotated[bool, typer.Option("--repair-all", help="Tell the graph all of everybody again.")] = False,
    forget_graph: Annotated[
        bool, typer.Option("--forget-graph", help="There is no graph any more: keep no changes for it.")
    ] = False,
) -> None:
    """Show versions, settings and extras, and what is wrong with them."""
    from .doctor import Repair, examine
    from .doctor import forget_graph as forget

    if forget_graph:
        typer.echo(f"{forget(url)} changes wait for a graph no more.")
    wanted = Repair(repair_user, repair_all) if repair or repair_all or repair_user is not None else None
    findings = examine(url, repair=wanted)
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

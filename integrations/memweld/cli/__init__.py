"""The command line, ``memweld``: serve, demo, doctor, and what can be done with one user's memory.

Only typer is imported here; each command imports what it needs, so that ``--help`` and a server's start are quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from .admin import doctor_command, migrate_command, reindex_command
from .demo_command import demo_command
from .errors import Group
from .memories import add_command, erase_command, export_command, restore_command, search_command
from .serve import serve_command
from .transfer import copy_command, import_command

__all__ = ["app"]

app = typer.Typer(
    name="memweld",
    help="One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP.",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"memweld {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP."""


for name, command in {
    "serve": serve_command,
    "add": add_command,
    "search": search_command,
    "export": export_command,
    "restore": restore_command,
    "erase": erase_command,
    "copy": copy_command,
    "import": import_command,
    "reindex": reindex_command,
    "migrate": migrate_command,
    "doctor": doctor_command,
    "demo": demo_command,
}.items():
    app.command(name)(command)

"""The command line, ``memweld``: its commands, and how they fail.

Only typer is imported here. Each command imports its own needs, so that ``--help`` and a server start quickly.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .admin import doctor_command, migrate_command, reindex_command, stats_command, users_command
from .demo import demo_command
from .memories import (
    add_command,
    delete_command,
    erase_command,
    export_command,
    get_command,
    list_command,
    restore_command,
    search_command,
    sessions_command,
)
from .serve import serve_command
from .transfer import copy_command, import_command

__all__ = ["app"]


class _Group(TyperGroup):
    """Commands whose errors, where they are memweld's own, are one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from ..errors import MemweldError
        from .options import show

        try:
            return super().invoke(ctx)
        except MemweldError as error:
            show(f"memweld: {' '.join(str(error).split())}", err=True, fg="red")
            raise typer.Exit(1) from error


app = typer.Typer(
    name="memweld",
    help="One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP.",
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich cuts the names of options at 80 columns
)


def _show_version(requested: bool) -> None:
    if requested:
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
    "list": list_command,
    "get": get_command,
    "delete": delete_command,
    "sessions": sessions_command,
    "users": users_command,
    "stats": stats_command,
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

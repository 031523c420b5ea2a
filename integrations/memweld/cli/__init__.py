"""The command line, ``memweld``: its commands, and how they fail.

Only typer is imported here. Each command imports its own needs, so that ``--help`` and a server start quickly.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .admin import doctor_command, migrate_command, reindex_command, stats_command, users_command
from .changes import (
    conflicts_command,
    consolidate_command,
    keep_both_command,
    supersede_command,
    undo_command,
    update_command,
    versions_command,
)
from .demo import demo_command
from .help import Command, examples, write_sections
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
from .overview import show_overview
from .preferences import delete_preference_command, preferences_command, set_preference_command
from .profile import pin_command, profile_command, unpin_command
from .serve import serve_command
from .transfer import copy_command, import_command
from .ui import ui_command

__all__ = ["app"]


class _Notices(logging.Handler):
    """Writes what memweld logs to stderr, as it writes its errors."""

    def emit(self, record: logging.LogRecord) -> None:
        from .options import show

        show(f"memweld: {record.getMessage()}", err=True)


class _Group(TyperGroup):
    """Commands whose errors, where they are memweld's own, are one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from ..errors import MemweldError
        from .options import show

        notices, log = _Notices(logging.WARNING), logging.getLogger("memweld")
        log.addHandler(notices)
        try:
            return super().invoke(ctx)
        except MemweldError as error:
            show(f"memweld: {' '.join(str(error).split())}", err=True, fg="red")
            raise typer.Exit(1) from error
        finally:
            log.removeHandler(notices)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by what they are for."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            rows = sections.setdefault(command.rich_help_panel or "Commands", [])
            rows.append((name, command.get_short_help_str(200)))
        write_sections(formatter, sections)


app = typer.Typer(
    name="memweld",
    cls=_Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich cuts the names of options at 80 columns
    epilog="\b\nExamples:\n"
    '  memweld add "I love Python" --user ana\n'
    '  memweld search "which language?" --user ana\n'
    "  memweld serve --transport http --generate-token\n"
    "Each command has examples too: memweld search --help",
)


def _show_version(requested: bool) -> None:
    if requested:
        from .. import __version__

        typer.echo(f"memweld {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback uses it
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """One user-scoped memory that spans LangChain, CrewAI, AutoGen and MCP."""
    if context.invoked_subcommand is None:
        show_overview()


_COMMANDS = {
    "A user's memory": {
        "add": add_command,
        "search": search_command,
        "list": list_command,
        "get": get_command,
        "update": update_command,
        "versions": versions_command,
        "profile": profile_command,
        "pin": pin_command,
        "unpin": unpin_command,
        "preferences": preferences_command,
        "set-preference": set_preference_command,
        "delete-preference": delete_preference_command,
        "conflicts": conflicts_command,
        "supersede": supersede_command,
        "keep-both": keep_both_command,
        "delete": delete_command,
        "consolidate": consolidate_command,
        "undo": undo_command,
        "sessions": sessions_command,
        "export": export_command,
        "restore": restore_command,
        "erase": erase_command,
    },
    "All of it": {
        "users": users_command,
        "stats": stats_command,
        "copy": copy_command,
        "import": import_command,
        "reindex": reindex_command,
        "migrate": migrate_command,
    },
    "Serving and looking": {
        "serve": serve_command,
        "ui": ui_command,
        "doctor": doctor_command,
        "demo": demo_command,
    },
}
for section, commands in _COMMANDS.items():
    for name, command in commands.items():
        app.command(name, cls=Command, rich_help_panel=section, epilog=examples(name))(command)

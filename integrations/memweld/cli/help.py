"""The help of the commands: sections for commands and options, and examples. rich is not used: it cuts long options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

__all__ = ["EXAMPLES", "Command", "examples", "write_sections"]

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "add": (
        'memweld add "I love Python" --user ana',
        "pbpaste | memweld add - --user ana",
        'memweld add "I work from Faro" --user ana --valid-from 2026-07-01 --valid-until 2026-08-01',
        'memweld add "I am vegan now" --user ana --supersedes 56b82121-fc35-4921-b940-1a54ac5772d5 --pin',
    ),
    "search": (
        'memweld search "which language?" --user ana',
        "memweld search tea --user ana --min-score 0.3 --kinds item,preference --json",
        'memweld search "where do I live?" --user ana --as-of 2025-03-01',
    ),
    "list": ("memweld list --user ana", "memweld list --user ana --session chat-1 --include-inactive --json"),
    "get": ("memweld get 56b82121-fc35-4921-b940-1a54ac5772d5 --user ana",),
    "delete": ("memweld delete 56b82121-fc35-4921-b940-1a54ac5772d5 --user ana",),
    "profile": ("memweld profile --user ana",),
    "pin": ("memweld pin 56b82121-fc35-4921-b940-1a54ac5772d5 --user ana",),
    "unpin": ("memweld unpin 56b82121-fc35-4921-b940-1a54ac5772d5 --user ana",),
    "update": ('memweld update 56b82121-fc35-4921-b940-1a54ac5772d5 "My cat is called Mimi" --user ana',),
    "preferences": ("memweld preferences --user ana", "memweld preferences theme --user ana --json"),
    "set-preference": (
        "memweld set-preference theme dark --user ana",
        'memweld set-preference drinks \'["tea", "water"]\' --user ana',
    ),
    "delete-preference": ("memweld delete-preference theme --user ana",),
    "versions": ("memweld versions 56b82121-fc35-4921-b940-1a54ac5772d5 --user ana",),
    "conflicts": ("memweld conflicts --user ana",),
    "supersede": ("memweld supersede 01K9XOLDER --by 01K9XNEWER --user ana",),
    "keep-both": ("memweld keep-both 01K9XNEWER 01K9XOLDER --user ana",),
    "consolidate": (
        "memweld consolidate --user ana",
        "memweld consolidate --user ana --apply --receipt tidy.json",
    ),
    "undo": ("memweld undo tidy.json --user ana",),
    "sessions": ("memweld sessions --user ana",),
    "users": ("memweld users --json",),
    "stats": ("memweld stats", "memweld stats --user ana --json"),
    "export": ("memweld export --user ana --output ana.json",),
    "restore": ("memweld restore ana.json --user ana",),
    "erase": ("memweld erase --user ana",),
    "copy": ("memweld copy sqlite:///old.db sqlite:///new.db --all --dry-run",),
    "import": ("memweld import dump.json --from mem0 --user ana --dry-run",),
    "reindex": ("memweld reindex --embedder fastembed",),
    "migrate": ("memweld migrate --role app --signed",),
    "doctor": ("memweld doctor", "memweld doctor --json"),
    "serve": (
        "memweld serve --user ana --lock-user",
        "memweld serve --transport http --generate-token",
        "memweld serve --transport http --auth tokens:tokens.json --audit audit.jsonl",
    ),
    "ui": ("memweld ui", "memweld ui --url sqlite:///team.db --no-browser"),
    "demo": ("memweld demo",),
}
"""What people type, by command. A test parses each."""


def examples(command: str) -> str | None:
    """The end of a command's help; None without examples."""
    lines = EXAMPLES.get(command)
    return None if lines is None else "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def write_sections(formatter: Any, rows: Mapping[str, list[tuple[str, str]]]) -> None:
    """Write tables of names and texts below their titles.

    Args:
        formatter: Of click.
        rows: The rows by their title.
    """
    for title, entries in rows.items():
        with formatter.section(title):
            formatter.write_dl(entries)


class Command(TyperCommand):
    """A command whose help lists options by what they are for, as the beginning of their texts says: ``HTTP: …``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by section."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                sections["Arguments"].append(record)
                continue
            topic, colon, _ = str(getattr(parameter, "help", "")).partition(": ")
            sections.setdefault(topic if colon and topic.isalnum() else "Options", []).append(record)
        write_sections(formatter, {title: rows for title, rows in sections.items() if rows})

"""Options that several commands share, and the backend that they open."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .completion import complete_session, complete_user

if TYPE_CHECKING:
    from ..memory.backend import Backend
    from ..memory.memory import Memory

__all__ = [
    "After",
    "AsJson",
    "AsOf",
    "Before",
    "Filter",
    "IncludeInactive",
    "Kinds",
    "MemoryId",
    "Session",
    "Sources",
    "Ttl",
    "Url",
    "User",
    "conditions_of",
    "connected",
    "counted",
    "existing",
    "fields_of",
    "local_day",
    "read_json",
    "show",
    "show_json",
    "text_or_stdin",
    "words",
]

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
    typer.Option(
        "--user",
        envvar="MEMWELD_USER_ID",
        help="Whose memory it is.",
        show_default=False,
        autocompletion=complete_user,
    ),
]

Session = Annotated[
    str | None,
    typer.Option("--session", help="Only what belongs to this session.", autocompletion=complete_session),
]
Sources = Annotated[
    str | None,
    typer.Option(
        help="Only from these sources, with commas: user, assistant, tool, document, import, agent; or trusted."
    ),
]
Kinds = Annotated[
    str | None,
    typer.Option(help="Only these kinds, with commas: item, source, preference, task, record."),
]
After = Annotated[str | None, typer.Option("--after", help="Only what was said from this day or time (ISO) on.")]
Before = Annotated[str | None, typer.Option("--before", help="Only what was said before this day or time (ISO).")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="What was held true at this day or time (ISO), instead of now.")
]
IncludeInactive = Annotated[bool, typer.Option("--include-inactive", help="Also what is superseded, or not valid now.")]
Ttl = Annotated[float | None, typer.Option(help="Seconds until it is forgotten; never if left out.")]
Filter = Annotated[
    str | None,
    typer.Option("--filter", help='Conditions on metadata, in JSON: \'{"topic": "work", "price": {"$gte": 3}}\'.'),
]
MemoryId = Annotated[str, typer.Argument(metavar="ID", help="The memory's ID, as `memweld list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def show(text: str, *, fg: str | None = None, err: bool = False) -> None:
    """Write lines to the terminal, without what a stored text could do to it."""
    from ..safe_text import safe_for_terminal

    typer.secho(safe_for_terminal(text, line_break=None), fg=fg, err=err)


def conditions_of(
    *,
    kinds: str | None,
    sources: str | None,
    session: str | None,
    after: str | None,
    before: str | None,
    filters: str | None,
) -> dict[str, Any]:
    """The conditions of a command as `Memory` takes them.

    Raises:
        InvalidInputError: The filter is no JSON.
    """
    from ..errors import InvalidInputError

    try:
        read = None if filters is None else json.loads(filters)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f'The --filter {filters!r} is no JSON: {error}. Write {{"topic": "work"}}.') from error
    chosen = {"kinds": words(kinds), "sources": sources if sources == "trusted" else words(sources)}
    return {**chosen, "session_id": session, "after": after, "before": before, "filters": read}


def fields_of(value: Any) -> dict[str, Any]:
    """All fields of a memory or another data class, also those that say nothing."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _plain(value: Any) -> object:
    """A value that JSON does not know: a time (in UTC), a score's parts, a data class, a mapping."""
    from ..explanation import Explanation
    from ..tools.answers import as_utc

    if isinstance(value, datetime):
        return as_utc(value)
    if isinstance(value, Explanation):
        return value.as_json()
    return fields_of(value) if dataclasses.is_dataclass(value) else dict(value)


def show_json(value: object) -> None:
    """Write a value as JSON: times in UTC, data classes with all fields.

    Characters that show nothing, or that a terminal obeys, are escaped.
    """
    text = json.dumps(value, ensure_ascii=False, indent=2, default=_plain)
    if not text.isascii():
        text = "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)
    typer.echo(text.replace("\x7f", "\\u007f"))


def connected(url: str | None, token: str | None = None, *, redact: Literal["secrets"] | None = None) -> Backend:
    """The backend of a URL, or of the settings."""
    from ..connect import connect

    return connect(url, token=token, redact=redact)


def existing(url: str | None, token: str | None = None) -> Backend:
    """The backend of a URL, or of the settings; for commands that must not make a file.

    Raises:
        InvalidInputError: It is a file that does not exist.
    """
    from ..engine.sqlite.url import path_of
    from ..errors import InvalidInputError
    from ..settings import default_file, load_settings

    place = url or load_settings().url or f"sqlite:///{default_file()}"
    path = path_of(place) if place.lower().startswith("sqlite://") else None
    if path is not None and not Path(path).exists():
        raise InvalidInputError(f"There is no file {path}. Name another URL, or add a first memory to this one.")
    return connected(url, token)


def read_json(file: Path, command: str) -> Any:
    """The content of a file of JSON.

    Args:
        file: The file.
        command: The command that writes such files, for errors.

    Raises:
        BackendUnavailableError: It cannot be read.
        InvalidInputError: It is no JSON.
    """
    from ..errors import BackendUnavailableError, InvalidInputError

    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BackendUnavailableError(f"Cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{file} is not the JSON that `{command}` writes: {error}") from error


def local_day(moment: datetime, memory: Memory) -> str:
    """The day of a time in the zone of a memory, in which its owner names days."""
    from ..validation import local_time

    return f"{local_time(moment, memory.timezone):%Y-%m-%d}"


def counted(count: int, things: str) -> str:
    """A number of things: ``1 memory``, ``2 memories``."""
    one = f"{things[:-3]}y" if things.endswith("ies") else things[:-1]
    return f"{count} {one if count == 1 else things}"


def text_or_stdin(text: str) -> str:
    """The text of a memory; of ``-`` what stdin has.

    Raises:
        InvalidInputError: It is empty.
    """
    from ..errors import InvalidInputError

    content = sys.stdin.read().removesuffix("\n") if text == "-" else text
    if not content.strip():
        raise InvalidInputError("The text is empty. Add what was said.")
    return content


def words(text: str | None) -> list[str] | None:
    """The words between commas; None for None."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]

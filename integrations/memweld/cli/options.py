"""Options that several commands share, and the backend that they open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..memory.backend import Backend

__all__ = ["AsJson", "Url", "User", "connected", "show_json", "words"]

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

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def show_json(value: object) -> None:
    """Write a value as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def connected(url: str | None, token: str | None = None) -> Backend:
    """The backend of a URL, or of the settings."""
    from ..connect import connect

    return connect(url, token=token)


def words(text: str | None) -> list[str] | None:
    """The words between commas; None for None."""
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]

"""The command ``memweld demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo_command"]


def demo_command(
    conversation: Annotated[
        Path | None, typer.Option(help="A JSON list of messages to read in and answer questions about.")
    ] = None,
    # Not from MEMWELD_URL: a demo plays in a file of its own unless it is told otherwise in so many words.
    url: Annotated[str | None, typer.Option(help="Where to play; a temporary file by default.")] = None,
) -> None:
    """Play a story that one memory carries through every framework."""
    from .demo.main import demo as play

    play(conversation=conversation, url=url)

"""The command ``memweld demo``: LangChain, CrewAI, AutoGen and MCP share one memory, each in its own process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo_command"]


def demo_command(
    conversation: Annotated[
        Path | None, typer.Option(help="A JSON list of messages to read in and answer questions about.")
    ] = None,
    # Not from MEMWELD_URL: a demo must not write into the user's own memory by accident.
    url: Annotated[str | None, typer.Option(help="Where to play; a temporary file by default.")] = None,
) -> None:
    """Play a story that one memory carries through every framework."""
    from .main import demo

    demo(conversation=conversation, url=url)

"""The demo: introduction, story, and a conversation of the user's own."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from ... import connect
from ...errors import missing_extra
from ...models import ChatMessage
from .conversation import load_conversation, remember, talk
from .models import is_real, model_name
from .stage import perform
from .story import STORY

__all__ = ["demo"]

_INTRODUCTION = """\
LangChain, CrewAI, AutoGen and MCP tools each keep memory in their own way, and nothing that one learns about a user \
reaches the other. Here they share [bold]one memory per user[/bold]. Each scene below is a process of its own; \
all they have in common is this file:
[cyan]{url}[/cyan]
{models}"""
_SCRIPTED = (
    "[yellow]No OPENAI_API_KEY is set, so the models are scripted:[/yellow] they repeat what memweld put before them. "
    "Agents, tools, server, embeddings and storage are real."
)
_REAL = "The models are real: {model}. Each says what it makes of what memweld put before it."


def demo(conversation: Path | None = None, url: str | None = None, *, console: Console | None = None) -> None:
    """Play the story; then read a conversation, if one is named, and answer questions about it.

    Args:
        conversation: A JSON list of ``{role, content, name?, created_at?}``.
        url: The backend; a temporary file, if None.
        console: Where to print.

    Raises:
        MissingExtraError: One of the four frameworks is not installed.
        MemweldError: A scene failed, or the conversation cannot be read.
    """
    console = console or Console()
    _check_installed()
    messages = None if conversation is None else load_conversation(conversation)
    with tempfile.TemporaryDirectory(prefix="memweld-demo-") as folder:
        place = url or f"sqlite:///{Path(folder) / 'memory.db'}"
        models = _REAL.format(model=model_name()) if is_real() else _SCRIPTED
        console.print(Panel(_INTRODUCTION.format(url=place, models=models), title="memweld", border_style="green"))
        perform(STORY, place, console)
        if conversation is not None and messages is not None:
            _read_aloud(place, conversation, messages, console)
        else:
            console.print(
                "Try your own: [bold]memweld demo --conversation FILE[/bold] (a JSON list of role, content, and name "
                "and created_at where known) reads a conversation and answers your questions about it."
            )


def _check_installed() -> None:
    for package in ("langchain", "crewai", "autogen_agentchat", "fastmcp"):
        if find_spec(package) is None:
            raise missing_extra("langchain,crewai,autogen,mcp", package)


def _read_aloud(url: str, conversation: Path, messages: list[ChatMessage], console: Console) -> None:
    with connect(url) as backend:
        reader = backend.user("reader")
        count = remember(reader, messages, conversation.stem, console)
        console.print(f"{conversation.name}: {len(messages)} messages read, {count} memories kept.")
        talk(reader, console)

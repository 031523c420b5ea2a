"""A conversation from a file: read into memory, then questions about it, answered with what is found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from ... import Memory
from ...errors import InvalidInputError, invalid
from ...memory.messages import to_messages
from ...models import ChatMessage
from ...safe_text import safe_for_terminal

__all__ = ["answer", "load_conversation", "remember", "talk"]

_FOUND = 5


def load_conversation(path: Path) -> list[ChatMessage]:
    """The messages of a file: a JSON list of ``{role, content, name?, created_at?}``.

    Raises:
        InvalidInputError: The file cannot be read, or is no such list; the message says what is wrong and where.
    """
    remedy = 'Write a JSON list such as [{"role": "user", "content": "Hello"}].'
    try:
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid("conversation", str(path), f"it cannot be read: {error.strerror}", "Name a file.") from error
    except (ValueError, RecursionError) as error:
        raise invalid("conversation", str(path), f"it is not JSON in UTF-8: {error}", remedy) from error
    if not isinstance(parsed, list) or not parsed:
        raise invalid("conversation", str(path), "it holds no list of messages", remedy)
    return to_messages(cast("list[dict[str, Any]]", parsed))


def remember(memory: Memory, conversation: list[ChatMessage], session_id: str, console: Console) -> int:
    """Put the conversation into the history and each message into memory; the number of memories."""
    memory.history(session_id).append(conversation)
    stored: set[str] = set()
    for message in track(conversation, description="Remembering", console=console, transient=True):
        text = message.text.strip()
        if not text or message.role not in ("user", "assistant"):
            continue
        content = f"{message.name}: {text}" if message.name else text
        turn = [{"role": message.role, "content": content}]
        items = memory.add(turn, session_id=session_id, created_at=message.created_at, infer=False)
        stored.update(item.id for item in items)
    return len(stored)


def answer(memory: Memory, question: str) -> Table:
    """The memories that fit a question, with scores and times."""
    table = Table("Score", "When", "Memory", title=escape(safe_for_terminal(question)), title_justify="left")
    for hit in memory.search(question, limit=_FOUND):
        table.add_row(f"{hit.score:.2f}", f"{hit.created_at:%Y-%m-%d %H:%M}", escape(safe_for_terminal(hit.text)))
    return table


def _questions(console: Console) -> Iterator[str]:
    while True:
        try:
            question = console.input("[bold]Your question (an empty line ends): [/bold]").strip()
        except (EOFError, KeyboardInterrupt):
            return
        if not question:
            return
        yield question


def talk(memory: Memory, console: Console) -> None:
    """Answer typed questions until an empty line or the end of the input."""
    for question in _questions(console):
        try:
            console.print(answer(memory, question))
        except InvalidInputError as error:
            console.print(f"[red]{escape(safe_for_terminal(str(error)))}[/red]")

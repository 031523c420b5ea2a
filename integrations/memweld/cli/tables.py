"""Tables for the terminal, as wide as it is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..models import Hit

__all__ = ["show_hits"]

_WITH_IDS = 120
"""The columns of a terminal that has room for ids."""


def show_hits(hits: Sequence[Hit], timezone: str | None) -> None:
    """Write the hits of a search: score, date, kind, session and text; ids where the terminal is wide.

    Stored text is made safe for the terminal first, and has no markup.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..memory.recall import validity_note
    from ..safe_text import safe_for_terminal
    from ..validation import local_time

    console = Console(file=sys.stdout, highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    has_sessions = any(hit.session_id is not None for hit in hits)
    has_ids = console.width >= _WITH_IDS
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("date", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    if has_sessions:
        table.add_column("session", max_width=16, no_wrap=True, overflow="ellipsis")
    table.add_column("memory", ratio=1, overflow="fold")
    if has_ids:
        table.add_column("id", no_wrap=True)
    for hit in hits:
        cells = [f"{hit.score:.2f}", f"{local_time(hit.created_at, timezone):%Y-%m-%d}", hit.kind]
        cells += [hit.session_id or ""] * has_sessions
        cells.append(f"{hit.text}{validity_note(hit, timezone)}")
        cells += [hit.id] * has_ids
        table.add_row(*(Text(safe_for_terminal(cell)) for cell in cells))
    console.print(table)

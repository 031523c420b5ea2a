"""Writes tables as Markdown, and a benchmark's last output into a documentation page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

_BEGIN, _END = "<!-- begin: printed by {} -->", "<!-- end: printed by {} -->"


def markdown(table: Table) -> str:
    """A table in Markdown, below its title."""
    rows = [[str(cell) for cell in cells] for cells in zip(*(column.cells for column in table.columns), strict=True)]
    header = [str(column.header) for column in table.columns]
    rule = ["--:" if column.justify == "right" else "---" for column in table.columns]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
    title = str(table.title or "")
    return f"**{title[:1].upper()}{title[1:]}**\n\n{lines}" if title else lines


def split_page(page: Path, program: str) -> tuple[str, str]:
    """The text before and after a program's output, with the marks.

    Raises:
        ValueError: The page has no such marks.
    """
    begin, end = _BEGIN.format(program), _END.format(program)
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page} has no place for what {program} prints: {begin} … {end}")
    return before + begin, end + after


def write_printed(page: Path, program: str, parts: Sequence[str]) -> None:
    """Replace the output between a program's marks in a page."""
    before, after = split_page(page, program)
    page.write_text("\n\n".join([before, *parts, after]))

"""Tables as Markdown, and a page of the documentation that holds what a benchmark printed last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

_BEGIN, _END = "<!-- begin: printed by {} -->", "<!-- end: printed by {} -->"


def markdown(table: Table) -> str:
    """A table with its title in front."""
    rows = [[str(cell) for cell in cells] for cells in zip(*(column.cells for column in table.columns), strict=True)]
    header = [str(column.header) for column in table.columns]
    rule = ["--:" if column.justify == "right" else "---" for column in table.columns]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
    title = str(table.title or "")
    return f"**{title[:1].upper()}{title[1:]}**\n\n{lines}" if title else lines


def split_page(page: Path, program: str) -> tuple[str, str]:
    """What stands before and after what a program printed, its marks included.

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
    """Put parts into a page, between the marks of a program, in the place of what stood there."""
    before, after = split_page(page, program)
    page.write_text("\n\n".join([before, *parts, after]))

"""How results look: a readable ``repr`` for consoles, tables of HTML for notebooks.

Stored text comes from users and tools. Everything shown as HTML goes through `safe_for_html`. No ``repr`` raises.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from datetime import datetime
from typing import Any, SupportsIndex, TypeVar, cast, overload

from .safe_text import safe_for_html

__all__ = [
    "MOST_ROWS",
    "Displayed",
    "Readable",
    "ResultList",
    "html_bar",
    "html_fields",
    "html_table",
    "html_text",
    "is_notebook",
    "show",
    "shown_fields",
    "written",
]

T = TypeVar("T")

logger = logging.getLogger("memweld.display")

# For the program: where the text stands elsewhere.
_UNSHOWN = ("changes", "message_id", "occurrences", "links", "native")
# A table in a notebook shows so many rows, and so many characters of a text.
MOST_ROWS = 50
_MOST_CHARACTERS = 400
# Jupyter aligns the cells of a table to the right.
_LEFT = 'style="text-align:left"'
_BAR = "display:inline-block;height:.6em"
_BAR_WIDTH = 8


def shown_fields(value: object) -> dict[str, Any]:
    """The fields of a data class that say something: not those that hold their default."""
    shown: dict[str, Any] = {}
    for each in getattr(type(value), "__dataclass_fields__", {}).values():
        content = getattr(value, each.name)
        default = each.default if each.default_factory is MISSING else each.default_factory()
        if content is not None and content != default and each.name not in _UNSHOWN:
            shown[each.name] = content
    if shown.get("updated_at") == shown.get("created_at"):
        shown.pop("updated_at", None)
    return shown


class Displayed:
    """The base of what a notebook shows as HTML: a subclass writes ``_html``. A failure leaves the plain ``repr``."""

    __slots__ = ()

    def _html(self) -> str:
        raise NotImplementedError

    def _repr_html_(self) -> str | None:
        try:
            return self._html()
        except Exception as error:  # noqa: BLE001 - of an embedder, a database, a network
            # A backend that does not answer must not hide the object itself.
            logger.debug("memweld: %s has no table: %s", type(self).__name__, type(error).__name__)
            return None


class Readable(Displayed):
    """The base of data classes that a user prints: fields that say nothing are left out, times are as people write."""

    __slots__ = ()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={_plain(value)}" for name, value in shown_fields(self).items())
        return f"{type(self).__name__}({fields})"

    def _html(self) -> str:
        return html_fields(shown_fields(self))


class ResultList(list[T], Displayed):
    """A list of results, and nothing but a list to programs. A console shows a result a line, a notebook a table."""

    def __repr__(self) -> str:
        lines = ",\n ".join(map(repr, self))
        return f"[{lines}]"

    @overload
    def __getitem__(self, index: SupportsIndex) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> ResultList[T]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> T | ResultList[T]:
        """An element; or, of a slice, a list that looks the same."""
        found = super().__getitem__(index)
        return ResultList(cast("list[T]", found)) if isinstance(index, slice) else cast("T", found)

    def _html(self) -> str:
        return html_table([shown_fields(each) or {"": each} for each in self[:MOST_ROWS]], total=len(self))


def show(value: Displayed) -> None:
    """Show a value in the notebook or console that the program runs in: a table there, text here."""
    if is_notebook():
        importlib.import_module("IPython.display").display(value)
    else:
        print(value)  # noqa: T201 - the caller asked for it


def is_notebook() -> bool:
    """Whether the program is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def html_table(rows: Sequence[Mapping[str, Any]], *, total: int = 0, title: str = "") -> str:
    """A table of HTML. Its text has no colours, so that it fits light and dark themes.

    Args:
        rows: The cells of each row by column. Columns come in the order of their first appearance, ids last. A user who
            is the same in all rows has no column.
        total: How many rows there are; the end of the table says how many are left out.
        title: A line above the table.
    """
    above = f"<i>{safe_for_html(title)}</i>" if title else ""
    if not rows:
        return f"{above} <i>(empty)</i>"
    names = list(dict.fromkeys(name for row in rows for name in row))
    if len({row.get("user_id") for row in rows}) == 1 and len(rows) > 1:
        names = [name for name in names if name != "user_id"]
    names.sort(key=lambda name: name == "id")
    head = _row("th", (safe_for_html(name) for name in names))
    body = [_row("td", (_cell(name, row[name]) if name in row else "" for name in names)) for row in rows]
    more = total - len(rows)
    end = f'<tr><td colspan="{len(names)}" {_LEFT}><i>… and {more:,} more</i></td></tr>' if more > 0 else ""
    return f"{above}<table>{head}{''.join(body)}{end}</table>"


def html_fields(fields: Mapping[str, Any]) -> str:
    """One value as a table: a row for each field."""
    rows = (_row("td", (f"<b>{safe_for_html(name)}</b>", _cell(name, value))) for name, value in fields.items())
    return f"<table>{''.join(rows)}</table>"


def html_text(value: Any) -> str:
    """Any value as HTML: text in its lines, a time to the minute, other values as JSON or as Python writes them."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, Displayed):
        return value._repr_html_() or ""  # pyright: ignore[reportPrivateUsage] - the name is Jupyter's
    text = written(value)
    cut = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
    return safe_for_html(cut, line_break="<br>")


def html_bar(share: float, color: str = "#5b8def", title: str = "") -> str:
    """A bar as long as a share from 0 to 1."""
    width = min(max(share, 0.0), 1.0) * _BAR_WIDTH
    named = f' title="{safe_for_html(title)}"' if title else ""
    return f'<span{named} style="{_BAR};background:{color};width:{width:.2f}em"></span>'


def _row(tag: str, cells: Iterable[str]) -> str:
    parts = (f"<{tag} {_LEFT}>{cell}</{tag}>" for cell in cells)
    return f"<tr>{''.join(parts)}</tr>"


def _cell(name: str, value: Any) -> str:
    if name == "score" and isinstance(value, float):
        return f"{value:.2f} {html_bar(value)}"
    if name == "id":
        return f"<code>{html_text(value)}</code>"
    return html_text(value)


def written(value: Any) -> str:
    """A text as it is, any other value as JSON or as Python writes it."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return repr(value)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value.isoformat(" ", "seconds") if isinstance(value, datetime) else repr(value)

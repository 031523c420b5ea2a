"""Makes stored text safe for its reader: a model, a terminal, an HTML page.

Stored text comes from users and tools. No such text may imitate another entry of a list, close the recalled block,
pose as a chat template's token, or drive a terminal. All functions take linear time, and change what is shown only.
"""

from __future__ import annotations

import html
import re
import unicodedata

__all__ = ["safe_for_html", "safe_for_model", "safe_for_terminal"]

# Categories that show nothing: control, format (zero-width, bidirectional, tags), surrogate, private use (chat clients
# use some as control tokens), line and paragraph separator.
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters and signs of ordinary categories that show nothing, and characters that Unicode reserves for such.
_INVISIBLE = frozenset(
    {
        *map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u2065\u2800\u3164\uffa0"),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xFFF0, 0xFFF9),
        *range(0xE0000, 0xE1000),
    }
)
# Format characters that a reader sees: the number and verse signs of Arabic, Syriac and Kaithi.
_VISIBLE = frozenset({*range(0x0600, 0x0606), 0x06DD, 0x070F, 0x0890, 0x0891, 0x08E2, 0x110BD, 0x110CD})
# They join emoji, and shape Persian and Indic words. Elsewhere they hide.
_JOINERS = frozenset({0x200C, 0x200D})
_STRAY_JOINER = re.compile(r"[\u200c\u200d]{2,}|(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")

# An opening bracket is text before a digit, `=`, `-`, `>`, and before a space with a word. Anything else may be a tag.
_TAG = re.compile(
    r"[<\uff1c\ufe64](?![\d=>-]|\Z| \w)|[<\uff1c\ufe64\u2039\u2329\u27e8\u3008\u276e](?=[\W_]{0,8}memories)",
    re.IGNORECASE,
)
# The tokens of Mistral, Llama 2 and BERT: [INST], [/INST], [TOOL_CALLS], [CLS], [gMASK].
_TOKEN = re.compile(r"[\[\uff3b](?=/?[gs]?[A-Z_\uff21-\uff3a]{2,32}[\]\uff3d])")


class _Visible(dict[int, "str | None"]):
    """A table for `str.translate` that deletes what shows nothing. It decides on each character once."""

    def __missing__(self, code: int) -> str | None:
        kept = code in _VISIBLE or code in _JOINERS
        hidden = code in _INVISIBLE or unicodedata.category(chr(code)) in _INVISIBLE_CATEGORIES
        self[code] = chr(code) if kept or not hidden else None
        return self[code]


_VISIBLE_TABLE = _Visible()


def safe_for_terminal(text: str, *, line_break: str | None = " ") -> str:
    r"""The text without escape sequences and without characters that hide or reorder others.

    Args:
        text: Any text.
        line_break: The text that stands for line breaks. Other white space becomes single spaces. To keep lines, indent
            them (``"\n  "``), so that none looks like a line of yours. None keeps lines and white space.
    """
    if line_break is None:
        lines = ("\t".join(map(_visible, line.split("\t"))) for line in text.splitlines())
        return "\n".join(lines) + ("\n" if text.endswith("\n") else "")
    lines = (" ".join(_visible(line).split()) for line in text.splitlines())
    return line_break.join(filter(None, lines))


def safe_for_model(text: str, *, line_break: str | None = " ") -> str:
    """The text as data for a model: one line, without hidden characters, tags and control tokens of chat templates.

    An opening ``<`` of what may be a tag reads ``&lt;``, and that of a token such as ``[INST]`` reads ``&#91;``.

    Args:
        text: Any text.
        line_break: As in `safe_for_terminal`.
    """
    return _TOKEN.sub("&#91;", _TAG.sub("&lt;", safe_for_terminal(text, line_break=line_break)))


def safe_for_html(text: str, *, line_break: str = " ") -> str:
    """The text as the content of an element, or of an attribute in quotes, of an HTML page.

    Args:
        text: Any text.
        line_break: As in `safe_for_terminal`; it is not escaped, and may be ``<br>``.
    """
    lines = (html.escape(safe_for_terminal(line)) for line in text.splitlines())
    return line_break.join(filter(None, lines))


def _visible(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    visible = line.replace("\t", " ").translate(_VISIBLE_TABLE)
    return visible if visible.isascii() else _STRAY_JOINER.sub("", visible)

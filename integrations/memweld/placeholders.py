"""The marks that redaction leaves in a text: ``[redacted: card number]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["placeholder", "redacted_in"]

_PLACEHOLDER = re.compile(r"\[redacted: ([^\[\]\r\n]{1,64})\]")


def placeholder(name: str) -> str:
    """The mark in the place of what a redaction took out; ``name`` says what that was."""
    return f"[redacted: {name}]"


def redacted_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The names of all marks in the texts, each once, in the order in which they stand."""
    return tuple(dict.fromkeys(name for text in texts for name in _PLACEHOLDER.findall(text)))

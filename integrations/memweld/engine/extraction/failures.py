"""Failures of LLMs, explained in one line that quotes neither the prompt nor a key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

__all__ = ["ExtractionFailedError", "explain_failure", "status_of"]

_CHARACTERS = 200
_LEAST_QUOTED = 12
_MOST_CAUSES = 5
_HINTS = {
    400: "the provider refuses the request",
    401: "the provider refuses the key; check it",
    403: "the provider refuses the key for this model; check both",
    404: "there is no such model at this address; check the name and the address",
    429: "the provider limits the rate, or the quota is used up; wait or raise it",
}
_TOO_LONG = (
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum context",
    "n_ctx",
    "prompt is too long",
    "too many tokens",
)
_CONTEXT = (
    "the prompt is too long for the context of the model; take extraction='compact', shorter texts or a larger context"
)
# Addresses, paths, keys with their usual beginnings, and other long words with digits. They see a short line.
_SECRETS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S+|(?<!\S)/\S{1,400}/\S+|\b(?:sk|pk|rk|gsk|key|token)[-_][\w*.-]+"
    r"|(?i:bearer|basic) {1,8}\S+|(?=[\w*+/=-]{0,400}[\d*])[\w*+/=-]{24,}"
)


class ExtractionFailedError(Exception):
    """The LLM failed, or its answer is no list of facts. The message is one line for the item stored instead."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status that a model's client reports, by the attributes that clients have."""
    for cause in _causes(error):
        for owner in (cause, getattr(cause, "response", None)):
            for name in ("status_code", "status", "http_status", "code"):
                status = getattr(owner, name, None)
                if isinstance(status, int) and 400 <= status < 600:
                    return status
    return None


def explain_failure(error: BaseException, prompt: Sequence[str]) -> str:
    """One line: the type, the status, what it means, and the first line of the error without secrets.

    Args:
        error: What the model's client raised.
        prompt: The texts that it was sent, which the line must not quote.
    """
    try:
        text = " ".join(str(cause) for cause in _causes(error))
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise
        text, lines = "", []
    status = status_of(error)
    is_too_long = any(sign in text.lower() for sign in _TOO_LONG)
    hint = _CONTEXT if is_too_long else _HINTS.get(status or 0)
    line = _scrubbed(lines[0], prompt) if lines else ""
    details = ", ".join(str(each) for each in (status, hint) if each is not None)
    return f"the LLM raised {type(error).__name__}{f' ({details})' if details else ''}{f': {line}' if line else ''}"


def _scrubbed(line: str, prompt: Sequence[str]) -> str:
    """The beginning of a line without secrets, and without pieces of the prompt."""
    line = _without_quotes(line[: 2 * _CHARACTERS], "\n".join(prompt))
    line = "".join(each for each in _SECRETS.sub("…", line) if each.isprintable())
    return line if len(line) <= _CHARACTERS else f"{line[: _CHARACTERS - 1]}…"


def _without_quotes(line: str, prompt: str) -> str:
    """The line with an ellipsis for each piece of at least twelve characters that the prompt has, too."""
    quoted = [False] * len(line)
    for start in range(len(line) - _LEAST_QUOTED + 1):
        if line[start : start + _LEAST_QUOTED] in prompt:
            quoted[start : start + _LEAST_QUOTED] = [True] * _LEAST_QUOTED
    kept = (
        "…" if is_quoted and (place == 0 or not quoted[place - 1]) else "" if is_quoted else character
        for place, (character, is_quoted) in enumerate(zip(line, quoted, strict=True))
    )
    return "".join(kept)

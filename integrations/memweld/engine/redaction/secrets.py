"""The patterns of ``redact="secrets"``: each kind of secret, and where a text has one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ...placeholders import placeholder
from .numbers import card_numbers, ibans
from .passwords import assigned_secrets, field_secret, passwords, pins, url_passwords
from .tokens import private_keys, service_keys, tokens

__all__ = ["SECRETS", "redact_field", "redact_secrets"]

SECRETS: tuple[tuple[str, Callable[[str], Iterator[tuple[int, int]]]], ...] = (
    ("private key", private_keys),
    ("API key", service_keys),
    ("token", tokens),
    ("password", url_passwords),
    ("password", passwords),
    ("secret", assigned_secrets),
    ("IBAN", ibans),
    ("card number", card_numbers),
    ("security code", pins),
)
"""What is taken out, in this order: the name in the placeholder, and the function that finds it."""


def redact_secrets(text: str) -> str:
    """The text with a placeholder for each secret in it, in time linear in its length."""
    for name, find in SECRETS:
        text = _replaced(text, find(text), placeholder(name))
    return text


def _replaced(text: str, spans: Iterable[tuple[int, int]], mark: str) -> str:
    parts, place = list[str](), 0
    for start, end in sorted(spans):
        if start >= place:
            parts += (text[place:start], mark)
        place = max(place, end)
    return "".join((*parts, text[place:])) if parts else text


def redact_field(name: str, text: str) -> str:
    """`redact_secrets` for the text of a field, whose name may say that all of it is a secret."""
    kind = field_secret(name, text)
    if kind is not None:
        return placeholder(kind)
    return text if len(text) < 12 and text.isdecimal() else redact_secrets(text)

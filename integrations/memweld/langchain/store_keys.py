"""Namespaces and keys of a LangGraph store as those of `Memory.state`, and back.

The item ``("trips", "porto")``, ``"plan"`` is the value ``plan`` of ``state("langgraph/trips/porto")``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["decode_key", "decode_namespace", "encode_key", "encode_namespace"]

_ROOT = "langgraph"
# These are encoded: the marks that this module sets, and characters that no database keeps.
_IN_LABELS = re.compile("[%/\x00\ud800-\udfff]")
_IN_KEYS = re.compile("[%\x00\ud800-\udfff]")
_BLANK = re.compile(r"\s")
_ENCODED = re.compile("(?:%[0-9A-F]{2})+")
_NO_KEY = "%"


def _encode(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode(errors="surrogatepass"))


def _decode(text: str) -> str:
    def decoded(match: re.Match[str]) -> str:
        return bytes.fromhex(match.group().replace("%", "")).decode(errors="surrogatepass")

    return _ENCODED.sub(decoded, text)


def encode_namespace(labels: Sequence[str]) -> str:
    """The namespace of the state in which the items of these labels lie."""
    return "/".join((_ROOT, *(_IN_LABELS.sub(_encode, label) for label in labels)))


def decode_namespace(namespace: str) -> tuple[str, ...]:
    """The labels of a namespace that `encode_namespace` made."""
    return tuple(_decode(label) for label in namespace.split("/")[1:])


def encode_key(key: str) -> str:
    """The key of the state for a key of the store, which may be blank or empty."""
    encoded = _IN_KEYS.sub(_encode, key)
    return encoded if encoded.strip() else _BLANK.sub(_encode, encoded) or _NO_KEY


def decode_key(key: str) -> str:
    """The key that was encoded."""
    return "" if key == _NO_KEY else _decode(key)

"""The proof that a transaction may be bound to a user, where there is a key for it."""

from __future__ import annotations

import hashlib

__all__ = ["proof"]


def proof(key: bytes, user: str, agent: str) -> str:
    """What shows that a transaction may be bound to this user, or agent; see ``is_bound`` in the migrations."""
    inner = hashlib.sha256(key + f"{user}\n{agent}".encode()).digest()
    return hashlib.sha256(key + inner).hexdigest()

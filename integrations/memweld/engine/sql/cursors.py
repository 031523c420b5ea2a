"""Sealed numbers for callers: page cursors and epochs that tell nothing of other users, and that none can forge.

Row numbers count what all users write. A cursor therefore holds its position encrypted, under a key that the database
keeps in ``meta``: every process that opens the database reads it. Encryption and signature are one (SIV): the tag is a
MAC of scope and position, and the key stream derives from the tag.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets

from ...scope import Scope
from .database import Database

__all__ = ["Cursors"]

_SELECT = "SELECT value FROM meta WHERE key = 'cursor_key'"
_INSERT = "INSERT INTO meta (key, value) VALUES ('cursor_key', ?) ON CONFLICT DO NOTHING"
_TAG_BYTES = 16
_NUMBER_BYTES = 8
_MAX_NUMBERS = 4  # one SHA-256 digest masks them
_EPOCH_BYTES = 6  # JSON readers keep integers below 2**53 exactly


class Cursors:
    """Makes and reads the sealed numbers of one database. Thread-safe.

    Args:
        database: Where the key is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: bytes | None = None

    def seal(self, scope: Scope, purpose: str, *numbers: int) -> str:
        """A cursor for up to four numbers from 0 to 2**63. It opens for this scope and purpose alone."""
        data = b"".join(number.to_bytes(_NUMBER_BYTES, "big") for number in numbers)
        tag = self._tag(scope, purpose, data)
        return base64.urlsafe_b64encode(tag + self._masked(scope, tag, data)).decode().rstrip("=")

    def open(self, scope: Scope, purpose: str, cursor: str) -> tuple[int, ...] | None:
        """The numbers of a cursor; None for any other text, a cursor of another scope included."""
        try:
            sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            return None
        tag, masked = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if not masked or len(masked) % _NUMBER_BYTES or len(masked) > _MAX_NUMBERS * _NUMBER_BYTES:
            return None
        data = self._masked(scope, tag, masked)
        if not hmac.compare_digest(tag, self._tag(scope, purpose, data)):
            return None
        starts = range(0, len(data), _NUMBER_BYTES)
        return tuple(int.from_bytes(data[start : start + _NUMBER_BYTES], "big") for start in starts)

    def epoch(self, scope: Scope, owner: int) -> int:
        """A number that stands for the row of an owner, below 2**48."""
        return int.from_bytes(self._tag(scope, "epoch", owner.to_bytes(_NUMBER_BYTES, "big"))[:_EPOCH_BYTES], "big")

    def _tag(self, scope: Scope, purpose: str, data: bytes) -> bytes:
        named = json.dumps([purpose, scope.user_id, scope.agent_id]).encode()
        return hmac.digest(self._loaded(scope), named + b"\x00" + data, hashlib.sha256)[:_TAG_BYTES]

    def _masked(self, scope: Scope, tag: bytes, data: bytes) -> bytes:
        stream = hmac.digest(self._loaded(scope), b"stream\x00" + tag, hashlib.sha256)
        return bytes(left ^ right for left, right in zip(data, stream, strict=False))

    def _loaded(self, scope: Scope) -> bytes:
        if self._key is None:
            row = self._database.first(scope, _SELECT, ())
            if row is None:
                # Read in the same transaction: a reader around this one sees an earlier moment.
                with self._database.writing(scope) as connection:
                    connection.execute(_INSERT, (secrets.token_hex(32),))
                    row = connection.execute(_SELECT).fetchone()
            self._key = bytes.fromhex(row[0])
        return self._key

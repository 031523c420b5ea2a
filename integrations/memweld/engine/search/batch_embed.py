"""Texts that are to be restored, embedded before the transaction that stores them."""

from __future__ import annotations

from collections.abc import Sequence

from ..sql.database import Connection
from ..sql.items import text_hash
from ..sql.restore import Packed
from .embedder_check import EmbedderOfFile
from .embedders import GuardedEmbedding
from .snapshot import as_bytes
from .tokenizer import pack_terms

__all__ = ["pack"]

_BATCH = 256


def pack(texts: Sequence[str], embedding: GuardedEmbedding, claim: EmbedderOfFile) -> Packed:
    """Hash, vector and terms of each text.

    Raises:
        BackendUnavailableError: The embedder fails.
    """
    packed: dict[str, tuple[str, bytes, bytes]] = {}
    dimensions = 0
    wanted = list(dict.fromkeys(texts))
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        for text, vector in zip(batch, embedding.embed_batch(batch), strict=True):
            dimensions = len(vector)
            packed[text] = (text_hash(text), as_bytes(vector), pack_terms(text))

    def claimed(connection: Connection) -> None:
        claim.claim(connection, dimensions)

    return Packed(packed, claimed)

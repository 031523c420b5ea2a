"""An embedder for tests: it hashes words into a small vector. It needs no model and no download."""

from __future__ import annotations

import hashlib
import math
import re

__all__ = ["HashEmbedder"]

_WORD = re.compile(r"\w+")


class HashEmbedder:
    """Places texts that share words near each other. It knows no meaning, and answers the same on every machine.

    It has the methods of LangChain's ``Embeddings``, so ``connect(embedder=HashEmbedder())`` takes it.

    Args:
        dimensions: The length of the vectors.
    """

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.model = f"memweld-hash-{dimensions}"

    def embed_query(self, text: str) -> list[float]:
        """One text as a unit vector of ``dimensions`` numbers."""
        vector = [0.0] * self.dimensions
        for word in _WORD.findall(text.lower()):
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            place = int.from_bytes(digest, "big")
            vector[place % self.dimensions] += 1.0 if place & (1 << 40) else -1.0
        length = math.sqrt(sum(number * number for number in vector))
        return [number / length for number in vector] if length else [1.0, *vector[1:]]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Several texts, each as by `embed_query`."""
        return [self.embed_query(text) for text in texts]

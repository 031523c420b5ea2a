"""LLMs and embedders of mem0's, made from their configurations ``{"provider": …, "config": {…}}``."""

# mem0 2.2 has no type stubs.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ....errors import ConfigurationError
from ...search.embedders import Vector
from .side_effects import load_mem0

load_mem0()
from mem0.utils.factory import EmbedderFactory, LlmFactory  # noqa: E402 - behind what its import needs

__all__ = ["Mem0Embedder", "make_llm"]


def make_llm(config: Mapping[str, Any]) -> Any:
    """An LLM with the method ``generate_response``.

    Raises:
        ConfigurationError: mem0 cannot make it.
    """
    provider = config.get("provider")
    try:
        return LlmFactory.create(str(provider), dict(config.get("config") or {}))
    except Exception as error:
        raise ConfigurationError(f"The LLM {provider!r} cannot be made: {error}") from error


class Mem0Embedder:
    """An embedder of mem0's.

    Raises:
        ConfigurationError: mem0 cannot make it.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        provider = config.get("provider")
        details = dict(cast("Mapping[str, Any]", config.get("config") or {}))
        try:
            self._embedding = cast("Any", EmbedderFactory.create(provider, details, None))
        except Exception as error:
            raise ConfigurationError(f"The embedder {provider!r} cannot be made: {error}") from error
        self.fingerprint = f"{provider}/{details.get('model', '')}/{details.get('embedding_dims', '')}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text."""
        # One by one: some of mem0's 2.2 embedders inherit a batch that ignores the action, others none at all.
        return [np.asarray(self._embedding.embed(text, "add"), dtype=np.float32) for text in texts]

    def embed_query(self, query: str) -> Vector:
        """The vector of a query."""
        return np.asarray(self._embedding.embed(query, "search"), dtype=np.float32)

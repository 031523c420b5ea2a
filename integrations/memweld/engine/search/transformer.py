"""Transformer embeddings by fastembed (ONNX, no PyTorch): any model that fastembed knows, or one of your own."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from ...errors import ConfigurationError, missing_extra
from .embedders import Vector

__all__ = ["DEFAULT_MODEL", "TransformerEmbedder", "load_transformer"]

DEFAULT_MODEL = "BAAI/bge-small-en-v1.5"

_HUB = "https://huggingface.co"
_TIMEOUT_SECONDS = 5.0


class TransformerEmbedder:
    """A fastembed ``TextEmbedding``. The model embeds queries and memories each in its own way.

    Args:
        model: The loaded model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.fingerprint = f"fastembed/{model.model_name}"

    def embed_texts(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text."""
        return [np.asarray(vector, dtype=np.float32) for vector in self._model.passage_embed(list(texts))]

    def embed_query(self, query: str) -> Vector:
        """The vector of a query."""
        return np.asarray(next(iter(self._model.query_embed(query))), dtype=np.float32)


def load_transformer(name: str | None = None) -> TransformerEmbedder:
    """Load a model by its name, from fastembed's cache or, once, from the Hugging Face Hub.

    Args:
        name: One of ``fastembed.TextEmbedding.list_supported_models()``; None for `DEFAULT_MODEL`.

    Raises:
        MissingExtraError: fastembed is not installed.
        ConfigurationError: fastembed does not know the model, or it is not in the cache and cannot be downloaded.
    """
    try:
        from fastembed import TextEmbedding
    except ImportError as error:
        raise missing_extra("fastembed", "fastembed") from error
    name = name or DEFAULT_MODEL
    description = next(
        (each for each in TextEmbedding.list_supported_models() if each["model"].lower() == name.lower()), None
    )
    if description is None:
        raise ConfigurationError(
            f"fastembed does not know the model {name!r}: choose one of TextEmbedding.list_supported_models(), or pass "
            "embedder=TextEmbedding(…) with a model of your own."
        )
    if _may_be_cached(description):
        # An incomplete copy raises; the code below downloads it.
        with contextlib.suppress(Exception):
            return TransformerEmbedder(TextEmbedding(name, local_files_only=True))
    # Without an answer, fastembed 0.9 tries three times and sleeps in between, 40 seconds in all.
    if not _hub_is_reachable():
        raise ConfigurationError(
            f"The model {name!r} is not in fastembed's cache ({_cache()}), and the Hugging Face Hub cannot be reached "
            "to download it: go online once, or set FASTEMBED_CACHE_PATH to a directory that holds it."
        )
    try:
        return TransformerEmbedder(TextEmbedding(name))
    except Exception as error:
        raise ConfigurationError(f"fastembed cannot load the model {name!r}: {error}") from error


def _cache() -> Path:
    from fastembed.common.utils import define_cache_dir

    return Path(define_cache_dir())


def _may_be_cached(description: dict[str, Any]) -> bool:
    """Whether the cache has a directory for the model, under the name of either of its sources."""
    sources = cast("dict[str, Any]", description.get("sources") or {})
    repository = str(sources.get("hf") or "")
    directories = (f"models--{repository.replace('/', '--')}", f"fast-{description['model'].split('/')[-1]}")
    return any((_cache() / directory).is_dir() for directory in directories)


def _hub_is_reachable() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "TRUE", "YES", "ON"}:
        return False
    hub = os.environ.get("HF_ENDPOINT") or _HUB
    target = urlsplit(getproxies().get(urlsplit(hub).scheme) or hub)
    address = (target.hostname or "", target.port or (80 if target.scheme == "http" else 443))
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=_TIMEOUT_SECONDS):
            answered.set()

    # In a thread, because a name look-up has no time limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_SECONDS)
    return answered.is_set()

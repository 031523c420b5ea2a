"""The protocols of a store that holds the vectors in place of the tables, and of its settings."""

from __future__ import annotations

from typing import Protocol

from ..protocol import Progress
from ..sql.database import Database
from .embedder_check import EmbedderCheck
from .embedders import GuardedEmbedding
from .item_store import ItemStore

__all__ = ["VectorStoreSettings", "VectorsElsewhere"]


class VectorsElsewhere(Protocol):
    """An open store that holds the vectors in place of the tables."""

    def make_item_store(self, *, cache_bytes: int) -> ItemStore:
        """The items table, searched through the vectors of this store."""
        ...

    def rebuild(self, progress: Progress | None = None) -> int:
        """Give all vectors to the embedder of this process; the number of items."""
        ...

    def close(self) -> None:
        """Give the store back."""
        ...


class VectorStoreSettings(Protocol):
    """The settings of a store that holds the vectors in place of the tables."""

    @property
    def name(self) -> str:
        """The name under which a file records where its vectors are."""
        ...

    def open(self, database: Database, embedding: GuardedEmbedding, check: EmbedderCheck) -> VectorsElsewhere:
        """Open the store for the items of a database."""
        ...

"""The other stores that ``engine.py`` compares with memweld, used as their documentation recommends.

Each holds the same texts and vectors, and answers the ten nearest rows of one user. All but mem0 receive the query's
vector; mem0 asks the same embedder for it.
"""

from __future__ import annotations

import importlib
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from numpy.typing import NDArray

from memweld.engine.search.static_model import StaticEmbedder

os.environ |= {"HF_HUB_OFFLINE": "1", "MEM0_TELEMETRY": "false", "ANONYMIZED_TELEMETRY": "false"}

Vectors = NDArray[np.float32]
LIMIT, DIMENSIONS, BATCH = 10, 256, 2000


class Shared(Embeddings):
    """The static embedder, and vectors made in advance."""

    model = "static"

    def __init__(self) -> None:
        self.embedder = StaticEmbedder()
        self.known: dict[str, list[float]] = {}

    def unit(self, texts: Sequence[str]) -> Vectors:
        made = np.stack(self.embedder.embed_texts(texts))
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.known.get(text) or self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.unit([text])[0].tolist()


class Mem0:
    """mem0 with its default, a local Qdrant; filled through its own vector store, in batches.

    Local Qdrant commits each point alone and searches in RAM, so its file may lie in RAM too, or it is never filled.
    """

    packages = ("mem0ai", "qdrant-client")

    def __init__(self, place: Path, shared: Shared) -> None:
        os.environ["MEM0_DIR"] = str(place)
        from mem0 import Memory

        shm = Path("/dev/shm")
        self._in_ram = tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else place)
        store = {"path": f"{self._in_ram.name}/qdrant", "embedding_model_dims": DIMENSIONS, "on_disk": True}
        self._memory: Any = Memory.from_config(
            {
                "vector_store": {"provider": "qdrant", "config": store},
                "embedder": {"provider": "langchain", "config": {"model": shared}},
                "llm": {"provider": "openai", "config": {"api_key": "none is needed"}},
                "history_db_path": str(place / "history.db"),
            }
        )

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Vectors) -> None:
        moment = "2025-10-15T10:30:00+00:00"
        payloads = [
            {"data": text, "user_id": user, "hash": str(at), "created_at": moment}
            for at, (user, text) in enumerate(zip(users, texts, strict=True))
        ]
        for at in range(0, len(texts), BATCH):
            ids = [str(uuid.uuid4()) for _ in payloads[at : at + BATCH]]
            self._memory.vector_store.insert(
                vectors=vectors[at : at + BATCH].tolist(), payloads=payloads[at : at + BATCH], ids=ids
            )

    def search(self, user: str, query: str, vector: Vectors) -> int:
        return len(self._memory.search(query, filters={"user_id": user}, top_k=LIMIT, threshold=0.0)["results"])


class Chroma:
    """A persistent collection with the user as metadata."""

    packages = ("chromadb",)

    def __init__(self, place: Path, shared: Shared) -> None:
        import chromadb
        from chromadb.config import Settings

        client: Any = chromadb.PersistentClient(str(place / "chroma"), settings=Settings(anonymized_telemetry=False))
        self._collection = client.create_collection("memories", metadata={"hnsw:space": "cosine"})

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Vectors) -> None:
        for at in range(0, len(texts), BATCH):
            part = slice(at, at + BATCH)
            self._collection.add(
                ids=[str(number) for number in range(at, at + len(texts[part]))],
                embeddings=vectors[part],
                documents=list(texts[part]),
                metadatas=[{"user": user} for user in users[part]],
            )

    def search(self, user: str, query: str, vector: Vectors) -> int:
        found = self._collection.query(query_embeddings=[vector], n_results=LIMIT, where={"user": user})
        return len(found["ids"][0])


class LanceDB:
    """A table with a column for the user; no index, so that it is exact, as its documentation advises below 100k."""

    packages = ("lancedb",)

    def __init__(self, place: Path, shared: Shared) -> None:
        import lancedb

        self._database: Any = lancedb.connect(str(place / "lance"))
        self._table: Any = None

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Vectors) -> None:
        import pyarrow as pa

        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSIONS)
        data = pa.table({"user": list(users), "text": list(texts), "vector": column})
        self._table = self._database.create_table("memories", data)

    def search(self, user: str, query: str, vector: Vectors) -> int:
        return len(self._table.search(vector).where(f"user = '{user}'", prefilter=True).limit(LIMIT).to_list())


class LangGraph:
    """`SqliteStore` with a namespace for each user; it needs a SQLite that loads extensions."""

    packages = ("langgraph-checkpoint-sqlite", "sqlite-vec")

    def __init__(self, place: Path, shared: Shared) -> None:
        from langgraph.store.sqlite import SqliteStore

        driver: Any = sqlite3
        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            driver = importlib.import_module("pysqlite3")
        self._shared = shared
        connection = driver.connect(str(place / "store.db"), check_same_thread=False, isolation_level=None)
        self._store = SqliteStore(connection, index={"dims": DIMENSIONS, "embed": shared, "fields": ["text"]})
        self._store.setup()

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Vectors) -> None:
        from langgraph.store.base import PutOp

        for at in range(0, len(texts), BATCH):
            part = slice(at, at + BATCH)
            self._shared.known = dict(zip(texts[part], vectors[part].tolist(), strict=True))
            puts = [
                PutOp((user,), f"key {at + number}", {"text": text})
                for number, (user, text) in enumerate(zip(users[part], texts[part], strict=True))
            ]
            self._store.batch(puts)

    def search(self, user: str, query: str, vector: Vectors) -> int:
        self._shared.known = {query: vector.tolist()}
        return len(self._store.search((user,), query=query, limit=LIMIT))


RIVALS: dict[str, Any] = {"mem0": Mem0, "chroma": Chroma, "lancedb": LanceDB, "sqlitestore": LangGraph}

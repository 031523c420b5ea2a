"""Compares `MemweldStore` with LangGraph's SqliteStore and InMemoryStore: ratios of one run, not milliseconds.

    python tests/benchmarks/langgraph_store.py [--items 100 1000 10000] [--calls 30]

All three have the same items and the same embedder; the two persistent ones have a file each. Their calls alternate, so
a noisy machine disturbs all alike. The items lie in 20 namespaces under one label. SqliteStore searches by meaning only
with a SQLite that loads extensions. If Python's own does not, ``pip install pysqlite3-binary`` gives one.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import SqliteStore
from rich.console import Console
from rich.table import Table

import memweld
from memweld.engine.search.static_model import StaticEmbedder
from memweld.langchain import MemweldStore

WORDS = "bees tram river tiles sardines ficus hotel market bridge cellar music garden winter letter bread sea".split()
NAMESPACES = 20


def driver() -> Any:
    """A SQLite module that loads extensions, if there is one."""
    if hasattr(sqlite3.Connection, "enable_load_extension"):
        return sqlite3
    try:
        return importlib.import_module("pysqlite3")
    except ImportError:
        return None


class Shared(Embeddings):
    """One static embedder for all."""

    model = "static"

    def __init__(self) -> None:
        self._embedder = StaticEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [np.asarray(vector).tolist() for vector in self._embedder.embed_texts(texts)]

    def embed_query(self, text: str) -> list[float]:
        return np.asarray(self._embedder.embed_query(text)).tolist()


def item(number: int) -> PutOp:
    words = [WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5, 7, 11)]
    value = {"text": f"Note {number}: {' '.join(words)}", "n": number, "done": bool(number % 3)}
    return PutOp(("notes", f"group {number % NAMESPACES}"), f"key {number}", value)


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(stores: dict[str, BaseStore], items: int, calls: int) -> dict[str, dict[str, float]]:
    """The median seconds of each operation in each store."""
    took: dict[str, dict[str, float]] = {"batch put": {}}
    for name, store in stores.items():
        store.batch([item(-1)])  # the first call makes models and tables
        ops = [item(number) for number in range(items)]
        took["batch put"][name] = timed(lambda store=store, ops=ops: store.batch(ops))
    operations: dict[str, Callable[[BaseStore, int], Any]] = {
        "put": lambda store, call: store.batch([item(items + call)]),
        "put, not found by meaning": lambda store, call: store.put(("plain",), f"key {call}", {"n": call}, index=False),
        "get": lambda store, call: store.get(item(call).namespace, item(call).key),
        "search": lambda store, _: store.search(("notes",), limit=10),
        "search, one namespace": lambda store, call: store.search(item(call).namespace, limit=10),
        "search with filter": lambda store, call: store.search(("notes",), filter={"n": {"$gte": call}}, limit=10),
        "search with query": lambda store, call: store.search(("notes",), query=f"{WORDS[call % 16]} note", limit=10),
        "search with query, one namespace": lambda store, call: store.search(
            item(call).namespace, query=f"{WORDS[call % 16]} note", limit=10
        ),
        "list_namespaces": lambda store, _: store.list_namespaces(),
        "delete": lambda store, call: store.delete(item(call).namespace, item(call).key),
    }
    for label, operation in operations.items():
        samples: dict[str, list[float]] = {name: [] for name in stores}
        for call in range(calls):
            for name, store in stores.items():
                samples[name].append(timed(functools.partial(operation, store, call)))
        took[label] = {name: statistics.median(each) for name, each in samples.items()}
    return took


def show(console: Console, items: int, took: dict[str, dict[str, float]]) -> None:
    table = Table(title=f"{items:,} items: MemweldStore takes … times as long as")
    for column in ("operation", "SqliteStore", "InMemoryStore", "MemweldStore, ms"):
        table.add_column(column, justify="left" if column == "operation" else "right")
    for label, times in took.items():
        mine = times["memweld"]
        ratios = [f"{mine / times[name]:.2f}" if name in times else "-" for name in ("sqlite", "memory")]
        table.add_row(label, *ratios, f"{1000 * mine:.2f}")
    console.print(table)


def main(sizes: Sequence[int], calls: int) -> None:
    console = Console(width=110)
    if driver() is None:
        console.print("No SQLite here loads extensions: SqliteStore embeds nothing and ignores the queries.")
    embedder = Shared()
    config: Any = {"dims": len(embedder.embed_query("x")), "embed": embedder, "fields": ["text"]}
    for items in sizes:
        with tempfile.TemporaryDirectory() as folder:
            module = driver()
            connection = (module or sqlite3).connect(
                str(Path(folder) / "theirs.db"), check_same_thread=False, isolation_level=None
            )
            theirs = SqliteStore(connection, index=config if module else None)
            theirs.setup()
            with memweld.connect(f"sqlite:///{folder}/ours.db", embedder=embedder) as backend:
                ours: BaseStore = MemweldStore(backend.user("ana"), index={"fields": ["text"]})
                stores = {"memweld": ours, "sqlite": theirs, "memory": InMemoryStore(index=config)}
                show(console, items, measure(stores, items, min(calls, items)))
            connection.close()
    packages = ("langgraph", "langgraph-checkpoint-sqlite")
    found = ", ".join(f"{package} {version(package)}" for package in packages)
    console.print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {found}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--calls", type=int, default=30)
    arguments = parser.parse_args()
    main(arguments.items, arguments.calls)

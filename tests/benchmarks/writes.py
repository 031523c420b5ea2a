"""Compares writes with the bare SQLite statement of the same bytes, and shows where an add's time goes.

    python tests/benchmarks/writes.py [--calls N] [--held N]

Both write into files that already hold ``--held`` memories, with the same durability. Calls alternate, so a noisy
machine disturbs both alike, and the table has medians. The bare statement is one INSERT of one row, committed alone:
the item with its vector and terms, into a table whose only index is the id's. The program times ``add`` with the
default embedder, and with an embedder that knows all vectors already, which leaves out the embedder's time.

Where an add's time goes: the program times the parts inside further adds, with the default embedder. SQLite's part is
memweld's statements, with its indexes; the rest is Python around them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from measuring import ms, sentences, timed, vocabulary
from rich.console import Console
from rich.table import Table
from rivals import Shared

import memweld

Durability = Literal["normal", "full"]

BARE = """
CREATE TABLE items (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, owner INTEGER, root INTEGER, stamp INTEGER,
    kind TEXT, role TEXT, text TEXT, hash TEXT, metadata TEXT, extraction TEXT, created_at TEXT, updated_at TEXT,
    terms BLOB, vector BLOB);
CREATE TABLE messages (seq INTEGER PRIMARY KEY, session INTEGER, id TEXT UNIQUE, role TEXT, content TEXT,
    created_at TEXT);
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT, version INTEGER, updated_at TEXT);
"""
INSERT_ITEM = f"""
INSERT INTO items (id, owner, root, stamp, kind, role, text, hash, metadata, extraction, created_at, updated_at,
    terms, vector) VALUES ({", ".join("?" * 14)})
"""
MOMENT = "2025-10-15T10:30:00.000000+00:00"


class Bare:
    """SQLite without memweld."""

    def __init__(self, path: Path, durability: Durability, texts: Sequence[str]) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(f"PRAGMA synchronous = {durability}")
        for statement in BARE.split(";"):
            self.connection.execute(statement)
        self._texts = texts
        # Prepared before, like everything else that is not a statement.
        self._items = [self._item(number, text) for number, text in enumerate(texts)]
        self._ids = [f"{number:026}" for number in range(len(texts))]
        self._values = [json.dumps({"text": text}) for text in texts]

    @staticmethod
    def _item(number: int, text: str) -> tuple[Any, ...]:
        terms, vector = random.randbytes(4 * (text.count(" ") + 1)), random.randbytes(1024)
        known = (str(uuid.uuid4()), 1, 1, number, "item", "user", text, random.randbytes(16).hex())
        return (*known, "{}", "verbatim", MOMENT, MOMENT, terms, vector)

    def add(self, number: int) -> None:
        self.connection.execute(INSERT_ITEM, self._items[number])

    def append(self, number: int) -> None:
        row = (1, self._ids[number], "user", self._texts[number], MOMENT)
        self.connection.execute(
            "INSERT INTO messages (session, id, role, content, created_at) VALUES (?, ?, ?, ?, ?)", row
        )

    def set(self, number: int) -> None:
        self.connection.execute(
            "INSERT INTO state VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, "
            "version = version + 1, updated_at = excluded.updated_at",
            ("k", self._values[number], MOMENT),
        )

    def get(self, _: int) -> None:
        self.connection.execute("SELECT value, version FROM state WHERE key = ?", ("k",)).fetchone()


class Known:
    """An embedder without work."""

    model = "known"

    def __init__(self, texts: Sequence[str], vectors: Any) -> None:
        self._vectors = dict(zip(texts, vectors, strict=True))

    def embed_documents(self, texts: list[str]) -> list[Any]:
        return [self._vectors[text] for text in texts]

    def embed_query(self, text: str) -> Any:
        return self._vectors[text]


class TimedConnection:
    """A connection that records the time of each statement."""

    def __init__(self, connection: sqlite3.Connection, took: dict[str, list[float]]) -> None:
        self._connection, self._took = connection, took

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        answers: list[sqlite3.Cursor] = []
        seconds = timed(lambda: answers.append(self._connection.execute(sql, parameters)))
        self._took["SQLite, the commit" if sql == "COMMIT" else "SQLite, the statements"].append(seconds)
        return answers[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class TimedCall:
    """A function that records the time of each call."""

    def __init__(self, call: Callable[..., Any], took: list[float]) -> None:
        self._call, self._took = call, took

    def __call__(self, *arguments: Any) -> Any:
        answers: list[Any] = []
        self._took.append(timed(lambda: answers.append(self._call(*arguments))))
        return answers[0]


@contextmanager
def parts_timed(backend: Any, took: dict[str, list[float]]) -> Iterator[None]:
    """Make the parts of each add record their time; the parts do their work as before."""
    from memweld.engine.search import item_store
    from memweld.engine.search.tokenizer import pack_terms

    pool = backend._engine.database._pool
    embedder = backend._engine.facts._embedding._embedder
    parts = (
        (embedder, "embed_texts", TimedCall(embedder.embed_texts, took["the embedder: tokens and their mean"])),
        (item_store, "pack_terms", TimedCall(pack_terms, took["terms: words and their stems"])),
        (pool, "_writer", TimedConnection(pool._open_writer(), took)),
    )
    with ExitStack() as stack:
        for owner, name, part in parts:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, part)
        yield


def pairs_of(
    user: Any, bare: Bare, texts: Sequence[str]
) -> list[tuple[str, Callable[[int], Any], Callable[[int], Any]]]:
    """Each memweld call with its bare statement."""
    state, history = user.state("n"), user.history("s")
    state.set("k", {"text": "first of all"})
    history.add_user_message("first of all")
    return [
        ("add", lambda number: user.add(texts[number]), bare.add),
        ("append to a history", lambda number: history.add_user_message(texts[number]), bare.append),
        ("set state", lambda number: state.set("k", {"text": texts[number]}), bare.set),
        ("get state", lambda _: state.get("k"), bare.get),
    ]


def measure_writes(
    durability: Durability, held: int, calls: int, shared: Shared
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """The median seconds of each call and of the bare statement; and of the parts of an add."""
    texts = sentences(vocabulary(shared), held + 2 * calls, random.Random(1))
    rows: dict[str, tuple[float, float]] = {}
    parts: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as place:
        for embedder, name in ((Known(texts, shared.unit(texts)), "add, the vector known"), (None, "add")):
            url = f"sqlite:///{place}/{name[-5:]}.db"
            bare = Bare(Path(place) / f"bare {name[-5:]}.db", durability, texts)
            with memweld.connect(url, durability=durability, embedder=embedder) as backend:
                ana = backend.user("ana")
                ana.add([{"role": "user", "content": text} for text in texts[:held]])
                bare.connection.executemany(INSERT_ITEM, bare._items[:held])
                for called, ours, theirs in pairs_of(ana, bare, texts):
                    took = [(timed(ours, at), timed(theirs, at)) for at in range(held, held + calls)]
                    mine, bares = zip(*took, strict=True)
                    rows[name if called == "add" else called] = statistics.median(mine), statistics.median(bares)
                if embedder is None:
                    with parts_timed(backend, parts):
                        for at in range(held + calls, held + 2 * calls):
                            parts["add"].append(timed(ana.add, texts[at]))
            bare.connection.close()
    return rows, _medians(parts, calls)


def _medians(parts: dict[str, list[float]], calls: int) -> dict[str, float]:
    """The median of each part of an add, some of which are several calls, and of the rest."""
    whole = statistics.median(parts.pop("add"))
    medians: dict[str, float] = {}
    for part, took in parts.items():
        several = len(took) // calls
        medians[part] = statistics.median(sum(took[at : at + several]) for at in range(0, several * calls, several))
    return {**medians, "Python around them": whole - sum(medians.values()), "an add": whole}


def tables_of_writes(calls: int, shared: Shared, *, held: int = 1000) -> Iterator[Table]:
    """Print the tables."""
    for durability in ("normal", "full"):
        rows, parts = measure_writes(durability, held, calls, shared)
        table = Table(title=f"one call with {held:,} memories, median; durability {durability}")
        for column in ("", "ms", "bare SQLite", "ratio"):
            table.add_column(column, justify="left" if not column else "right")
        for name in sorted(rows, key=["add", *rows].index):
            ours, bare = rows[name]
            table.add_row(name, ms(ours), ms(bare), f"{ours / bare:.1f}")
        yield table
        if durability == "normal":
            table = Table("where an add's time goes", "ms", "times bare SQLite")
            for part, seconds in parts.items():
                table.add_row(part, ms(seconds), f"{seconds / rows['add'][1]:.1f}")
            yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--held", type=int, default=1000)
    options = parser.parse_args()
    console = Console(width=120, soft_wrap=False)
    for table in tables_of_writes(options.calls, Shared(), held=options.held):
        console.print(table)
    console.print(
        f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()

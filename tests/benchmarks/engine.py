"""The embedded engine against other stores and against bare SQLite and numpy, in one run: ratios, not milliseconds.

    python tests/benchmarks/engine.py [--sizes 1000 10000] [--users 1 1000] [--systems memweld mem0 …]
        [--results FILE] [--draw DIRECTORY]

Searches: so many memories of one user, or spread over so many users; ten hits; the same texts and vectors everywhere
(``rivals.py``). memweld does more: it embeds the query, weighs its words and ranks by words as well. Calls of the
systems alternate, so that a noisy machine disturbs all, and the median is shown. The last rows are parts of memweld's
search, the vectors and the whole ranking, and a bare numpy scan of the same matrix.

Writes: each against the bare SQLite statement that stores the same bytes (``writes.py``). Then: the length of a
history, pages, RAM, and a fresh process.

``--draw`` writes the curves of the searches to DIRECTORY/performance.svg. 100,000 memories (``--sizes 100000``) take
many minutes, most of them the others' own; ``--results`` keeps the searches of several runs together.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from measuring import median, ms, sentences, timed, vocabulary
from rich.console import Console
from rich.table import Table
from rivals import RIVALS, Shared
from writes import tables_of_writes

import memweld

console = Console(width=120, soft_wrap=False)


class Memweld:
    """The embedded file."""

    packages = ("memweld", "numpy")

    def __init__(self, place: Path, shared: Shared) -> None:
        self.url = f"sqlite:///{place / 'memweld.db'}"
        self.backend = memweld.connect(self.url)

    def fill(self, users: Sequence[str], texts: Sequence[str], vectors: Any) -> None:
        by_user: dict[str, list[dict[str, str]]] = {}
        for user, text in zip(users, texts, strict=True):
            by_user.setdefault(user, []).append({"role": "user", "content": text})
        for user, messages in by_user.items():
            for at in range(0, len(messages), 1000):
                self.backend.user(user).add(messages[at : at + 1000])

    def search(self, user: str, query: str, vector: Any) -> int:
        return len(self.backend.user(user).search(query, limit=10))


SYSTEMS: dict[str, Any] = {"memweld": Memweld, **RIVALS}


# searching


def measure_searches(size: int, users: int, names: Sequence[str], calls: int, shared: Shared) -> dict[str, float]:
    """The median seconds of each system, and of numpy and memweld's ranking."""
    rng = random.Random(size + users)
    words = vocabulary(shared)
    texts = sentences(words, size, rng)
    owners = [f"user{number % users}" for number in range(size)]
    vectors = np.concatenate([shared.unit(texts[at : at + 5000]) for at in range(0, size, 5000)])
    asked = [(f"user{rng.randrange(users)}", text[: text.rindex(" ", 0, 40)]) for text in rng.sample(texts, calls)]
    questions = [(user, query, shared.unit([query])[0]) for user, query in asked]
    took: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        systems: dict[str, Any] = {}
        for name in names:
            home = Path(place) / name
            home.mkdir()
            systems[name] = SYSTEMS[name](home, shared)
            seconds = timed(systems[name].fill, owners, texts, vectors)
            first = timed(systems[name].search, *questions[0])
            console.print(f"[dim]{name}: filled in {seconds:.1f} s, first search {ms(first)} ms[/dim]")
            if name == "mem0" and first * calls > 60:
                questions = questions[: max(5, int(60 / first))]
        for user, query, vector in questions:
            for name, system in systems.items():
                if users > 1:
                    system.search(user, query, vector)
                took[name].append(timed(system.search, user, query, vector))
        result = {name: statistics.median(each) for name, each in took.items()}
        result |= measure_ranking(systems["memweld"].backend, questions)
        systems["memweld"].backend.close()
    return result


def measure_ranking(backend: Any, questions: Sequence[tuple[str, str, Any]]) -> dict[str, float]:
    """The vector part, the whole ranking, and numpy's scan of the same matrix."""
    from memweld.engines.facts.ranking import fits

    store = backend._engine._facts._store
    scans: dict[str, list[float]] = {"numpy matmul": [], "numpy scan": [], "vector part": [], "ranking": []}
    for user, query, vector in questions:
        with backend._engine.database.reading() as connection:
            place = connection.execute("SELECT root FROM owners WHERE user_id = ?", (user,)).fetchone()[0]
            snapshot = store._indexes.read(connection, place)
        bare = np.array(snapshot.vectors)
        for _ in range(3):
            scans["numpy matmul"].append(timed(np.matmul, bare, vector))
            scans["numpy scan"].append(timed(np.vecdot, bare, vector))
            scans["vector part"].append(timed(snapshot.cosines, vector))
            scans["ranking"].append(timed(fits, snapshot, query, vector))
        if len(scans["ranking"]) > 90:
            break
    return {name: statistics.median(each) for name, each in scans.items()}


def show_searches(results: dict[tuple[int, int], dict[str, float]]) -> None:
    table = Table(title="search, median ms (times memweld)")
    table.add_column("")
    for size, users in results:
        table.add_column(f"{size:,} of {users:,} user{'s' * (users > 1)}", justify="right")
    names = list(dict.fromkeys(name for each in results.values() for name in each))
    for name in names:
        cells: list[str] = []
        for each in results.values():
            if name not in each:
                cells.append("")
                continue
            ratio = f" ({each[name] / each['memweld']:.1f}x)" if name in RIVALS else ""
            if name == "vector part":
                ratio = f" ({each[name] / each['numpy scan']:.2f} of numpy)"
            cells.append(ms(each[name]) + ratio)
        table.add_row(name, *cells)
    console.print(table)


def draw(results: dict[tuple[int, int], dict[str, float]], directory: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "memweld", "svg.fonttype": "none"}
    from matplotlib import pyplot as plt

    several = sorted({users for _, users in results})
    figure, axes = plt.subplots(1, len(several), figsize=(9, 3.6), sharey=True, squeeze=False)
    for axis, users in zip(axes[0], several, strict=True):
        sizes = sorted(size for size, each in results if each == users)
        for name in SYSTEMS:
            known = [(size, 1000 * results[size, users][name]) for size in sizes if name in results[size, users]]
            if known:
                axis.plot(*zip(*known, strict=True), marker="o", label=name, linewidth=2.5 if name == "memweld" else 1)
        axis.set(xscale="log", yscale="log", xlabel="memories in the file", title=f"{users:,} user{'s' * (users > 1)}")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("search, median ms")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(directory / "performance.svg", metadata={"Date": None})


# lengths


def page_behind(memory: Any, behind: str | None) -> Any:
    return memory.all(limit=100, after=behind)


def measure_lengths(lengths: Sequence[int]) -> list[tuple[int, float, float, float, float]]:
    """Of histories of these lengths: appending to it, its last ten; of as many memories: a page, and the last page."""
    rows: list[tuple[int, float, float, float, float]] = []
    with tempfile.TemporaryDirectory() as place, memweld.connect(f"sqlite:///{place}/memweld.db") as backend:
        ana = backend.user("ana")
        history = ana.history("s")
        held = 0
        for length in lengths:
            while held < length:
                part = min(1000, length - held)
                said = [{"role": "user", "content": f"message {held + number}"} for number in range(part)]
                history.append(said)
                ana.add(said)
                held += part
            append = median(lambda number: history.add_user_message(f"one more {number}"), 100)
            last = median(lambda _: history.messages(limit=10), 100)
            page = median(lambda _: ana.all(limit=100), 50)
            behind, items = None, ana.all(limit=1000)
            while len(items) == 1000:
                behind, items = items[-101].id, ana.all(limit=1000, after=items[-1].id)
            late = statistics.median(timed(page_behind, ana, behind) for _ in range(50))
            rows.append((length, append, last, page, late))
    return rows


# RAM, changes and starting


FRESH = """
import resource, sys, time
start = time.perf_counter()
import memweld
backend = memweld.connect(sys.argv[1])
ana = backend.user("user0")
if sys.argv[2] == "empty":
    ana = backend.user("nobody")
ana.search("what about the garden", limit=10)
first = time.perf_counter() - start
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
held = rss()
def timed(call):
    began = time.perf_counter(); call(); return time.perf_counter() - began
look = lambda: ana.search("what about the garden", limit=10)
changes = []
if sys.argv[2] != "empty":
    look()
    for item in ana.all(limit=5):
        ana.delete(item.id); deleted = timed(look)
        (made,) = ana.add("something new " + item.id); added = timed(look)
        ana.update(made.id, "something else " + item.id); changes.append((deleted, added, timed(look)))
print(first, held, *(sorted(each)[len(changes) // 2] for each in zip(*changes)))
"""


def measure_fresh(size: int, shared: Shared) -> dict[str, Any]:
    """A fresh process with a file of one user's memories, and with one who has none."""
    texts = sentences(vocabulary(shared), size, random.Random(2))
    with tempfile.TemporaryDirectory() as place:
        system = Memweld(Path(place), shared)
        system.fill(["user0"] * size, texts, None)
        system.backend.close()
        runs: dict[str, list[list[float]]] = {}
        for kind in ("empty", "full"):
            runs[kind] = [[float(each) for each in _run(FRESH, system.url, kind).split()] for _ in range(3)]
        on_disk = (Path(place) / "memweld.db").stat().st_size
    empty, full = ([statistics.median(each) for each in zip(*runs[kind], strict=True)] for kind in ("empty", "full"))
    return {
        "connect() + first search, nothing stored": ms(empty[0]) + " ms",
        "connect() + first search": ms(full[0]) + " ms",
        "reading the memories (the difference)": ms(full[0] - empty[0]) + " ms",
        "RAM for the memories": f"{(full[1] - empty[1]) / 1e6:.0f} MB, of which the vectors {size * 1024 / 1e6:.0f} MB",
        "the file": f"{on_disk / 1e6:.0f} MB",
        "search after a delete / an add / an update": " / ".join(map(ms, full[2:])) + " ms",
    }


def _run(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, timeout=300
    ).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--users", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--writes", type=int, default=300)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--draw", type=Path)
    options = parser.parse_args()
    names = ["memweld", *(name for name in options.systems if name != "memweld")]
    shared = Shared()
    results: dict[tuple[int, int], dict[str, float]] = {}
    if options.results and options.results.exists():
        results = {(size, users): took for size, users, took in json.loads(options.results.read_text())}
    for users in options.users:
        for size in options.sizes:
            if users <= size:
                console.print(f"[bold]{size:,} memories, {users:,} users[/bold]")
                took = measure_searches(size, users, names, options.calls, shared)
                results[size, users] = results.get((size, users), {}) | took
                if options.results:
                    options.results.write_text(json.dumps([[*key, each] for key, each in results.items()]))
    results = dict(sorted(results.items(), key=lambda each: each[0][::-1]))
    show_searches(results)
    if options.draw:
        draw(results, options.draw)
    for table in tables_of_writes(options.writes, shared):
        console.print(table)
    table = Table("messages and memories", "append", "last 10", "page of 100", "last page of 100", title="median ms")
    for length, *took in measure_lengths((100, 1000, 10_000)):
        table.add_row(f"{length:,}", *map(ms, took))
    console.print(table)
    for size in (options.sizes[-1],):
        table = Table("", "", title=f"a fresh process, {size:,} memories of one user", show_header=False)
        for name, value in measure_fresh(size, shared).items():
            table.add_row(name, value)
        console.print(table)
    packages = sorted({package for name in names for package in SYSTEMS[name].packages})
    console.print(
        f"{', '.join(f'{name} {version(name)}' for name in packages)}, SQLite {sqlite3.sqlite_version}, "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
